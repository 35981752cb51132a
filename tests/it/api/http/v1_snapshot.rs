//! The answers of v1, byte by byte: who wrote a client for the first release must not notice any later one.
//!
//! Tests that compare JSON do not see the order of fields, escapes, or a `null` that is left out; this one does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, percent_encoded};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::operations;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// What v1 answered before there was any other version. A difference is a break, unless it was decided on.
const SNAPSHOT: &str = include_str!("v1_snapshot.txt");

/// The headers that say something about the body, or what to do next.
const HEADERS: [&str; 4] = ["content-type", "location", "allow", "www-authenticate"];

/// The times that are sent, as they come back; all others are the clock's.
const SENT: [&str; 3] = ["2026-03-01T09:00:00.000Z", "2026-03-31T22:30:00.000Z", "2026-04-01T09:00:00.000Z"];

/// Fields whose value is another one in every run.
const CHANGING: [&str; 6] = ["access_token", "next_cursor", "refresh_token", "request_id", "secret", "token"];

/// Any UUID, and any time of an answer: `x` is a hexadecimal digit, `0` a decimal one.
const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const TIME: &str = "0000-00-00T00:00:00.000Z";

/// Requests and their answers, as a text that is the same in every run.
struct Record {
    app: TestApp,
    text: String,
    ids: Vec<String>,
    /// Whether what is promised is done.
    works: bool,
    succeeded: BTreeSet<String>,
}

impl Record {
    fn new(app: TestApp) -> Self {
        Self { app, text: String::new(), ids: Vec::new(), works: true, succeeded: BTreeSet::new() }
    }

    /// Sends `METHOD path`, with a body unless it is null, and gives the answer's.
    async fn send(&mut self, client: &Client, request: &str, body: Value) -> Value {
        self.send_as(client, request, |call| if body.is_null() { call } else { call.json(&body) }).await
    }

    async fn send_as(&mut self, client: &Client, request: &str, prepare: impl FnOnce(Call) -> Call) -> Value {
        // No two changes at the same time, so that lists which are sorted by time have one order.
        self.app.clock.advance(Duration::from_secs(1));
        // What is done after an answer is done before the next request.
        if self.works {
            self.app.work().await;
        }
        let (method, path) = request.split_once(' ').unwrap();
        let answer = prepare(client.call(method.parse().unwrap(), path)).send().await;
        let mut entry = format!("{request} -> {}\n", answer.status.as_u16());
        for name in HEADERS {
            for value in answer.headers.get_all(name) {
                writeln!(entry, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        if !answer.text.is_empty() {
            writeln!(entry, "{}", answer.text).unwrap();
        }
        let masked = self.masked(&entry);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += &masked;
        if answer.status.is_success() {
            self.succeeded.insert(address(method, path.split('?').next().unwrap()));
        }
        answer.body
    }

    async fn get_all(&mut self, client: &Client, paths: &[String]) {
        for path in paths {
            self.send(client, &format!("GET {path}"), Value::Null).await;
        }
    }

    /// The text with stable names for what differs from run to run; every other byte stays.
    fn masked(&mut self, text: &str) -> String {
        let mut masked = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let changing = CHANGING.iter().find_map(|name| Some((name, rest.strip_prefix(&format!("\"{name}\":\""))?)));
            if let Some((name, value)) = changing {
                write!(masked, "\"{name}\":\"<{}>", name.replace('_', " ")).unwrap();
                rest = &value[value.find('"').unwrap()..];
            } else if let Some((id, after)) = shaped(rest, UUID) {
                let known = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
                    self.ids.push(id.to_owned());
                    self.ids.len() - 1
                });
                write!(masked, "<id {}>", known + 1).unwrap();
                rest = after;
            } else if let Some((time, after)) = shaped(rest, TIME) {
                masked += if SENT.contains(&time) { time } else { "<time>" };
                rest = after;
            } else {
                masked.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        masked
    }
}

/// Splits off what begins the text, if it has that shape.
fn shaped<'t>(text: &'t str, shape: &str) -> Option<(&'t str, &'t str)> {
    let (start, rest) = text.split_at_checked(shape.len())?;
    let fits = start.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
        b'x' => byte.is_ascii_hexdigit(),
        b'0' => byte.is_ascii_digit(),
        _ => byte == shape,
    });
    fits.then_some((start, rest))
}

/// An operation by its method and path, whatever ids are in it.
fn address(method: &str, path: &str) -> String {
    let is_id = |part: &str| part.starts_with('{') || shaped(part, UUID).is_some();
    let parts: Vec<&str> = path.split('/').map(|part| if is_id(part) { "*" } else { part }).collect();
    format!("{method} {}", parts.join("/"))
}

fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

/// Ada and Ben get accounts, and Ada looks after hers.
async fn accounts(record: &mut Record) -> (Client, Client) {
    let nobody = record.app.anonymous();
    let ada = json!({"email": "Ada@Example.com", "name": "Ada", "password": "correct horse"});
    let session = record.send(&nobody, "POST /v1/auth/register", ada).await;
    let mut ada = record.app.with_token(token(&session));
    ada.session = session;
    let ben = json!({
        "email": "ben@example.com", "name": "Ben \"B\" <Öz>", "password": "correct horse",
        "timezone": "Europe/Berlin", "weekly_digest": false,
    });
    let session = record.send(&nobody, "POST /v1/auth/register", ben).await;
    let ben = record.app.with_token(token(&session));

    let login = json!({"email": "ada@example.com", "password": "correct horse"});
    let phone = |call: Call| call.header("user-agent", "Phone/1.0").json(&login);
    let session = record.send_as(&nobody, "POST /v1/auth/login", phone).await;
    let refresh = json!({"refresh_token": session["refresh_token"]});
    record.send(&nobody, "POST /v1/auth/refresh", refresh).await;
    record.send(&ada, "GET /v1/me", Value::Null).await;
    record.send(&ada, "PATCH /v1/me", json!({"name": "Ada L.", "timezone": "Europe/London"})).await;
    let sessions = record.send(&ada, "GET /v1/me/sessions", Value::Null).await;
    record.get_all(&ada, &["/v1/me/sessions?sort=last_used_at&dir=desc&limit=1&offset=1".to_owned()]).await;
    let phone = sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    record.send(&ada, &format!("DELETE /v1/me/sessions/{}", phone.id()), Value::Null).await;
    (ada, ben)
}

/// Two projects, of which one is deleted and restored.
async fn projects(record: &mut Record, ada: &Client) -> (String, String) {
    let kitchen =
        json!({"name": "Kitchen", "description": "All of it,\n\"new\" & <shiny> – für uns 🙂", "color": "#0A7cFf"});
    let kitchen = record.send(ada, "POST /v1/projects", kitchen).await.id();
    let garden = record.send(ada, "POST /v1/projects", json!({"name": "Garden"})).await.id();
    record.send(ada, &format!("GET /v1/projects/{kitchen}"), Value::Null).await;
    let change = json!({"name": "Large kitchen", "description": null});
    record.send(ada, &format!("PATCH /v1/projects/{kitchen}"), change).await;
    record.send(ada, &format!("DELETE /v1/projects/{garden}"), Value::Null).await;
    record.get_all(ada, &["/v1/projects".to_owned(), "/v1/projects?deleted=true".to_owned()]).await;
    record.send(ada, &format!("POST /v1/projects/{garden}/restore"), Value::Null).await;
    (kitchen, garden)
}

/// Three tasks, and a fourth in the trash; gives the first two.
async fn tasks(record: &mut Record, ada: &Client, kitchen: &str, garden: &str) -> (String, String) {
    let (in_kitchen, in_garden) =
        (format!("POST /v1/projects/{kitchen}/tasks"), format!("POST /v1/projects/{garden}/tasks"));
    let tiles = json!({
        "title": "Choose the tiles", "description": "Blue\tor \\ green", "status": "in_progress",
        "priority": "high", "due_at": SENT[0], "assignee_id": ada.user_id(), "labels": ["shopping", "Küche"],
    });
    let tiles = record.send(ada, &in_kitchen, tiles).await.id();
    let paint = record.send(ada, &in_kitchen, json!({"title": "Buy paint"})).await.id();
    // The offset is not given back.
    let apples = json!({"title": "Äpfel ernten", "due_at": "2026-04-01T00:30:00+02:00", "labels": ["shopping"]});
    record.send(ada, &in_garden, apples).await;
    let news = json!({"title": "Read old news", "status": "done", "priority": "low"});
    let news = record.send(ada, &in_kitchen, news).await.id();

    record.send(ada, &format!("GET /v1/tasks/{tiles}"), Value::Null).await;
    let change =
        json!({"title": "Order the tiles", "status": "done", "due_at": null, "assignee_id": null, "labels": []});
    let path = format!("PATCH /v1/tasks/{tiles}");
    record.send(ada, &path, change).await;
    record.send(ada, &path, json!({})).await;
    let back = json!({
        "status": "todo", "due_at": SENT[2], "assignee_id": ada.user_id(), "labels": ["shopping", "Küche"],
    });
    record.send(ada, &path, back).await;
    record.send(ada, &format!("PATCH /v1/tasks/{paint}"), json!({"status": "done"})).await;
    record.send(ada, &format!("DELETE /v1/tasks/{paint}"), Value::Null).await;
    record.send(ada, &format!("POST /v1/tasks/{paint}/restore"), Value::Null).await;
    record.send(ada, &format!("DELETE /v1/tasks/{news}"), Value::Null).await;
    (tiles, paint)
}

async fn lists(record: &mut Record, ada: &Client, kitchen: &str, paint: &str) {
    let project_queries =
        ["?sort=name", "?sort=name&dir=desc&limit=1&page=2", "?role=owner&archived=false&q=gard", "?archived=true"];
    record.get_all(ada, &project_queries.map(|query| format!("/v1/projects{query}"))).await;
    record.get_all(ada, &[format!("/v1/projects/{kitchen}")]).await;

    let paint = record.send(ada, &format!("GET /v1/tasks/{paint}"), Value::Null).await;
    let after = format!("?created_after={0}&updated_after={0}", paint["created_at"].as_str().unwrap());
    let search = format!("?q={}", percent_encoded("ÄPFEL ern"));
    let label = format!("?label=shopping,{}", percent_encoded("Küche"));
    let due = format!("?due_after={}&due_before={}&sort=due_at", SENT[0], SENT[2]);
    let queries = [
        "",
        "?sort=title",
        "?sort=title&dir=desc&limit=1",
        "?sort=position&limit=1&page=2",
        "?sort=created_at&dir=asc&limit=1&offset=1",
        "?sort=due_at&dir=desc&limit=2",
        "?sort=due_at&limit=100&page=7",
        "?status=todo,in_progress&priority=none,high&sort=priority",
        "?assignee_id=me",
        "?assignee_id=none&sort=title",
        &after,
        &search,
        &label,
        &due,
        "?deleted=true",
    ];
    let in_project = queries.iter().map(|query| format!("/v1/projects/{kitchen}/tasks{query}"));
    let of_all = queries.iter().map(|query| format!("/v1/tasks{query}"));
    let one_more = format!("/v1/tasks?project_id={kitchen}&sort=title");
    let paths: Vec<String> = in_project.chain(of_all).chain([one_more]).collect();
    record.get_all(ada, &paths).await;
}

async fn errors(record: &mut Record, ada: &Client, ben: &Client, kitchen: &str, tiles: &str) {
    let nobody = record.app.anonymous();
    let create = format!("POST /v1/projects/{kitchen}/tasks");
    let many = json!({
        "priority": "soon", "labels": ["a", "a", ""], "due_at": "tomorrow", "description": 1, "status": null, "colour": "red",
    });
    record.send(ada, &create, many).await;
    record.send(ada, &create, json!({"title": "x", "assignee_id": UNKNOWN_ID})).await;
    record.send(ada, &format!("PATCH /v1/tasks/{tiles}"), json!({"title": "x".repeat(1_000)})).await;
    record.send_as(ada, &create, |call| call.body("application/json", "{\"title\": ")).await;
    record.send_as(ada, &create, |call| call.body("text/plain", "title")).await;
    record.send_as(ada, &create, |call| call.body("application/json", vec![b' '; 2_000_000])).await;
    record.send_as(ada, "GET /v1/tasks", |call| call.header("accept", "text/html")).await;
    record.get_all(ada, &["/v1/tasks?limit=0&page=1&offset=0&status=open&nonsense=1&sort=size".to_owned()]).await;
    record.get_all(ada, &[format!("/v1/tasks?project_id={UNKNOWN_ID}")]).await;
    record.get_all(&nobody, &["/v1/tasks".to_owned()]).await;
    record.get_all(&record.app.with_token("no.token"), &["/v1/me".to_owned()]).await;
    for request in [
        format!("GET /v1/projects/{kitchen}"),
        format!("GET /v1/tasks?project_id={kitchen}"),
        format!("GET /v1/tasks/{tiles}"),
        format!("DELETE /v1/tasks/{tiles}"),
    ] {
        record.send(ben, &request, Value::Null).await;
    }
    for request in ["GET /v1/projects/none", "GET /v1/tasks/none", "POST /v1/tasks/none/restore", "GET /v1/nothing"] {
        record.send(ada, request, Value::Null).await;
    }
    for request in ["PUT /v1/tasks", &format!("PUT /v1/tasks/{tiles}"), "GET /v1/auth/login"] {
        record.send(ada, request, Value::Null).await;
    }
    record.send(ada, &format!("PATCH /v1/projects/{kitchen}"), json!({"archived": true})).await;
    record.send(ada, &create, json!({"title": "x"})).await;
    let ada_again = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    record.send(&nobody, "POST /v1/auth/register", ada_again).await;
    record.send(&nobody, "POST /v1/auth/login", json!({"email": "ada@example.com", "password": "wrong"})).await;
    record.send(&nobody, "POST /v1/auth/refresh", json!({"refresh_token": "rt_unknown"})).await;
    record.send(&nobody, "POST /v1/auth/refresh", json!({})).await;
}

/// Sessions come to their ends, one in each way.
async fn ends(record: &mut Record, ada: &Client, ben: &Client) {
    let nobody = record.app.anonymous();
    let wrong = json!({"current_password": "battery staple", "new_password": "battery staple"});
    record.send(ada, "POST /v1/me/password", wrong).await;
    let right = json!({"current_password": "correct horse", "new_password": "battery staple"});
    record.send(ada, "POST /v1/me/password", right).await;
    let refresh = json!({"refresh_token": ada.session["refresh_token"]});
    record.send(&nobody, "POST /v1/auth/refresh", refresh.clone()).await;
    record.app.clock.advance(Duration::from_mins(1));
    record.send(&nobody, "POST /v1/auth/refresh", refresh).await;
    record.get_all(ada, &["/v1/me".to_owned()]).await;
    let login = json!({"email": "ada@example.com", "password": "battery staple"});
    let session = record.send(&nobody, "POST /v1/auth/login", login).await;
    let ada = record.app.with_token(token(&session));
    record.send(&ada, "POST /v1/auth/logout", Value::Null).await;
    record.get_all(&ada, &["/v1/me".to_owned()]).await;
    record.app.clock.advance(Duration::from_hours(1));
    record.get_all(ben, &["/v1/me".to_owned()]).await;
}

/// What came after the first release, and is kept from then on.
async fn moves_and_batches(record: &mut Record) {
    let nobody = record.app.anonymous();
    let login = json!({"email": "ada@example.com", "password": "battery staple"});
    let session = record.send(&nobody, "POST /v1/auth/login", login).await;
    let ada = record.app.with_token(token(&session));
    let project = record.send(&ada, "POST /v1/projects", json!({"name": "Cellar"})).await.id();
    let create = format!("POST /v1/projects/{project}/tasks");
    let first = record.send(&ada, &create, json!({"title": "Sweep"})).await.id();
    let second = record.send(&ada, &create, json!({"title": "Air"})).await.id();
    let relocate = format!("POST /v1/tasks/{second}/move");
    record.send(&ada, &relocate, json!({"before_id": first})).await;
    record.send(&ada, &relocate, json!({"before_id": UNKNOWN_ID})).await;
    let operations = json!({"operations": [
        {"op": "create", "title": "Light"},
        {"op": "update", "task_id": first, "status": "done"},
        {"op": "delete", "task_id": second},
    ]});
    record.send(&ada, &format!("{create}/batch"), operations).await;
    record.send(&ada, &format!("{create}/batch"), json!({"operations": [{"op": "create"}]})).await;
}

/// An account from its proof to its end, and the tokens of its programs.
async fn life_of_an_account(record: &mut Record) {
    let nobody = record.app.anonymous();
    let eve = json!({"email": "eve@example.com", "name": "Eve", "password": "correct horse"});
    let session = record.send(&nobody, "POST /v1/auth/register", eve).await;
    let eve = record.app.with_token(token(&session));
    record.send(&eve, "POST /v1/auth/resend-verification", Value::Null).await;
    let address = json!({"email": "eve@example.com"});
    record.send(&nobody, "POST /v1/auth/forgot-password", address).await;
    record.app.work().await;
    let mails = record.app.mails_to("eve@example.com");
    let sent = |subject: &str| {
        let mail = mails.iter().find(|mail| mail.subject == subject).unwrap();
        json!({"token": mail.token()})
    };
    let proof = sent("Confirm your e-mail address");
    record.send(&nobody, "POST /v1/auth/verify-email", proof.clone()).await;
    record.send(&nobody, "POST /v1/auth/verify-email", proof).await;
    record.send(&eve, "GET /v1/me", Value::Null).await;

    let script = json!({"name": "Script", "scopes": ["write", "read"], "expires_at": "2999-01-01T00:00:00Z"});
    let script = record.send(&eve, "POST /v1/me/api-tokens", script).await;
    record.send(&eve, "POST /v1/me/api-tokens", json!({"name": "Reader", "scopes": ["read"]})).await;
    record.send(&eve, "GET /v1/me/api-tokens", Value::Null).await;
    record.send(&eve, "GET /v1/me/api-tokens?dir=asc&limit=1", Value::Null).await;
    let program = record.app.with_token(script["token"].as_str().unwrap());
    record.send(&program, "POST /v1/auth/logout", Value::Null).await;
    record.send(&eve, &format!("DELETE /v1/me/api-tokens/{}", script.id()), Value::Null).await;
    record.send(&program, "GET /v1/me", Value::Null).await;

    let mut reset = sent("Set a new password");
    reset["password"] = json!("battery staple");
    record.send(&nobody, "POST /v1/auth/reset-password", reset).await;
    record.send(&eve, "GET /v1/me", Value::Null).await;
    let login = json!({"email": "eve@example.com", "password": "battery staple"});
    let session = record.send(&nobody, "POST /v1/auth/login", login.clone()).await;
    let eve = record.app.with_token(token(&session));
    record.send(&eve, "DELETE /v1/me", Value::Null).await;
    record.send(&eve, "GET /v1/me", Value::Null).await;
    record.send(&nobody, "POST /v1/auth/login", login).await;
}

/// People come into a project, talk, and go.
async fn collaboration(record: &mut Record) {
    let nobody = record.app.anonymous();
    let mut people = Vec::new();
    for name in ["Fay", "Gus"] {
        let email = format!("{}@example.com", name.to_lowercase());
        let new = json!({"email": email, "name": name, "password": "correct horse"});
        let session = record.send(&nobody, "POST /v1/auth/register", new).await;
        people.push((record.app.with_token(token(&session)), session["user"].id()));
    }
    let [(fay, fay_id), (gus, gus_id)] = <[_; 2]>::try_from(people).unwrap_or_else(|_| unreachable!());
    let project = record.send(&fay, "POST /v1/projects", json!({"name": "Boat"})).await.id();
    let invite = format!("POST /v1/projects/{project}/invitations");
    let gus_invited = json!({"email": "Gus@example.com", "role": "editor"});
    let first = record.send(&fay, &invite, gus_invited.clone()).await.id();
    record.send(&fay, &invite, gus_invited.clone()).await;
    let revoke = format!("DELETE /v1/projects/{project}/invitations/{first}");
    record.send(&fay, &revoke, Value::Null).await;
    record.send(&fay, &revoke, Value::Null).await;
    let second = record.send(&fay, &invite, gus_invited.clone()).await.id();
    record.send(&gus, &format!("POST /v1/invitations/{second}/accept"), Value::Null).await;
    let proof = async || {
        record.app.work().await;
        let mails = record.app.mails_to("gus@example.com");
        let mail = mails.iter().find(|mail| mail.subject == "Confirm your e-mail address").unwrap();
        json!({"token": mail.token()})
    };
    let proof = proof().await;
    record.send(&nobody, "POST /v1/auth/verify-email", proof).await;
    record.send(&gus, "GET /v1/invitations?status=pending", Value::Null).await;
    record.send(&fay, &format!("POST /v1/invitations/{second}/accept"), Value::Null).await;
    record.send(&gus, &format!("POST /v1/invitations/{second}/accept"), Value::Null).await;
    record.send(&gus, &format!("POST /v1/invitations/{second}/decline"), Value::Null).await;
    record.send(&fay, &invite, gus_invited).await;
    let boat = record.send(&fay, "POST /v1/projects", json!({"name": "Sail"})).await.id();
    let other = json!({"email": "gus@example.com", "role": "viewer"});
    let third = record.send(&fay, &format!("POST /v1/projects/{boat}/invitations"), other).await.id();
    record.send(&gus, &format!("POST /v1/invitations/{third}/decline"), Value::Null).await;
    record.send(&fay, &format!("GET /v1/projects/{project}/invitations"), Value::Null).await;
    record.send(&gus, &format!("GET /v1/projects/{project}/members?sort=name"), Value::Null).await;

    let task = json!({"title": "Hoist", "assignee_id": gus_id});
    let task = record.send(&fay, &format!("POST /v1/projects/{project}/tasks"), task).await.id();
    let comments = format!("/v1/tasks/{task}/comments");
    let comment = record.send(&fay, &format!("POST {comments}"), json!({"body": "When?"})).await.id();
    record.send(&gus, &format!("POST {comments}"), json!({"body": " "})).await;
    record.send(&gus, &format!("GET {comments}"), Value::Null).await;
    let comment = format!("/v1/comments/{comment}");
    record.send(&gus, &format!("GET {comment}"), Value::Null).await;
    record.send(&gus, &format!("PATCH {comment}"), json!({"body": "Now."})).await;
    record.send(&fay, &format!("PATCH {comment}"), json!({"body": "Now?"})).await;
    record.send(&fay, &format!("DELETE {comment}"), Value::Null).await;
    record.send(&fay, &format!("GET {comment}"), Value::Null).await;

    let members = format!("/v1/projects/{project}/members");
    record.send(&gus, &format!("PATCH {members}/{gus_id}"), json!({"role": "owner"})).await;
    record.send(&fay, &format!("DELETE {members}/{fay_id}"), Value::Null).await;
    record.send(&fay, &format!("PATCH {members}/{gus_id}"), json!({"role": "owner"})).await;
    record.send(&gus, &format!("GET /v1/projects/{project}"), Value::Null).await;
    record.send(&gus, &format!("PATCH {members}/{fay_id}"), json!({"role": "viewer"})).await;
    record.send(&fay, &format!("DELETE {members}/{fay_id}"), Value::Null).await;
    record.send(&fay, &format!("GET {members}"), Value::Null).await;
}

async fn feed(record: &mut Record) {
    let new = json!({"email": "ida@example.com", "name": "Ida", "password": "correct horse"});
    let session = record.send(&record.app.anonymous(), "POST /v1/auth/register", new).await;
    let ida = record.app.with_token(token(&session));
    let project = record.send(&ida, "POST /v1/projects", json!({"name": "Dock"})).await.id();
    let task = json!({"title": "Moor"});
    let task = record.send(&ida, &format!("POST /v1/projects/{project}/tasks"), task).await.id();
    record.send(&ida, &format!("PATCH /v1/tasks/{task}"), json!({"status": "done"})).await;
    let paths = [
        "?limit=2",
        "?order=desc&limit=1",
        "?type=task.updated,project.created",
        "?cursor=nonsense",
        "?type=none",
        "/stream",
    ];
    record.get_all(&ida, &paths.map(|query| format!("/v1/events{query}"))).await;
}

/// Hal has events sent to an address. Nothing is sent, because nobody knows how long that would take.
async fn webhooks(record: &mut Record) {
    record.works = false;
    let hal = json!({"email": "hal@example.com", "name": "Hal", "password": "correct horse"});
    let session = record.send(&record.app.anonymous(), "POST /v1/auth/register", hal).await;
    let hal = record.app.with_token(token(&session));
    let project = record.send(&hal, "POST /v1/projects", json!({"name": "Horn"})).await.id();
    let new = json!({"url": "https://hook.invalid/?a=\"b\"", "project_id": project, "events": ["task.created", "webhook.test"]});
    let webhook = record.send(&hal, "POST /v1/webhooks", new).await.id();
    record
        .send(&hal, "POST /v1/webhooks", json!({"url": "https://hook.invalid/", "events": ["*", "task.exploded"]}))
        .await;
    record.send(&hal, "GET /v1/webhooks", Value::Null).await;
    let webhook = format!("/v1/webhooks/{webhook}");
    record.send(&hal, &format!("GET {webhook}"), Value::Null).await;
    let change = json!({"project_id": null, "events": ["*"], "description": "A\nbell", "enabled": false});
    record.send(&hal, &format!("PATCH {webhook}"), change).await;
    record.send(&hal, &format!("POST {webhook}/rotate-secret"), Value::Null).await;
    let delivery = record.send(&hal, &format!("POST {webhook}/test"), Value::Null).await.id();
    record.send(&hal, &format!("POST {webhook}/deliveries/{delivery}/redeliver"), Value::Null).await;
    record.send(&hal, &format!("GET {webhook}/deliveries"), Value::Null).await;
    record.send(&hal, &format!("DELETE {webhook}"), Value::Null).await;
    record.send(&hal, &format!("GET {webhook}"), Value::Null).await;
}

on_both_databases! {
    async fn v1_answers_stay_byte_compatible(database: TestDatabase) {
        let mut record = Record::new(TestApp::new(&database, Options::default()).await);
        let (ada, ben) = accounts(&mut record).await;
        let (kitchen, garden) = projects(&mut record, &ada).await;
        let (tiles, paint) = tasks(&mut record, &ada, &kitchen, &garden).await;
        lists(&mut record, &ada, &kitchen, &paint).await;
        errors(&mut record, &ada, &ben, &kitchen, &tiles).await;
        ends(&mut record, &ada, &ben).await;
        moves_and_batches(&mut record).await;
        // What follows needs addresses to be proved.
        let app = TestApp::new(&database, Options { variables: vec![("REQUIRE_EMAIL_VERIFICATION", "true")], ..Options::default() });
        record.app = app.await;
        life_of_an_account(&mut record).await;
        collaboration(&mut record).await;
        feed(&mut record).await;
        webhooks(&mut record).await;

        for (id, method, path, _) in operations().filter(|(_, _, path, _)| path.starts_with("/v1/")) {
            assert!(record.succeeded.contains(&address(method.as_str(), &path)), "{id} is not in the snapshot");
        }
        let text = record.text;
        let mut lines = text.lines().zip(SNAPSHOT.lines());
        let (now, before) = lines.find(|(now, before)| now != before).unwrap_or_default();
        assert!(text == SNAPSHOT, "v1 answered\n{before}\nand now answers\n{now}\nThis is all:\n{text}");
    }
}
