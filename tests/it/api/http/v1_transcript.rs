//! Byte-for-byte transcript of v1 responses, which protects clients of the first release from later changes.
//!
//! Unlike comparisons of JSON values, the transcript covers the order of fields, escapes and omitted `null` values.
//! Review an intended change with `cargo insta review`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::account::{set_verified, signed_in};
use crate::api::fixtures::common::{UNKNOWN_ID, percent_encoded};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::operations;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Headers in the transcript: those that describe the body or direct the client.
const HEADERS: [&str; 4] = ["content-type", "location", "allow", "www-authenticate"];

/// Times sent by the client. They are returned unchanged, while all others depend on the clock.
const SENT: [&str; 3] = ["2026-03-01T09:00:00.000Z", "2026-03-31T22:30:00.000Z", "2026-04-01T09:00:00.000Z"];

/// Replacements for values that differ from run to run. The first and the last one protect the times in `SENT`.
const REDACTIONS: [(&str, &str); 10] = [
    (r#""access_token":"[^"]*""#, r#""access_token":"<access token>""#),
    (r#""next_cursor":"[^"]*""#, r#""next_cursor":"<next cursor>""#),
    (r#""refresh_token":"[^"]*""#, r#""refresh_token":"<refresh token>""#),
    (r#""request_id":"[^"]*""#, r#""request_id":"<request id>""#),
    (r#""secret":"[^"]*""#, r#""secret":"<secret>""#),
    (r#""ticket":"[^"]*""#, r#""ticket":"<ticket>""#),
    (r#""token":"[^"]*""#, r#""token":"<token>""#),
    ("(2026-03-01T09:00:00|2026-03-31T22:30:00|2026-04-01T09:00:00).000Z", "$1<sent>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    ("<sent>", ".000Z"),
];

/// Transcript of requests and responses.
struct Transcript {
    app: TestApp,
    text: String,
    ids: Vec<String>,
    /// Runs due jobs between requests.
    runs_jobs: bool,
    succeeded: BTreeSet<String>,
}

impl Transcript {
    fn new(app: TestApp) -> Self {
        Self { app, text: String::new(), ids: Vec::new(), runs_jobs: true, succeeded: BTreeSet::new() }
    }

    /// Sends `METHOD path`, without a body if it is null, and returns the body of the response.
    async fn send(&mut self, client: &Client, request: &str, body: Value) -> Value {
        self.send_as(client, request, |call| if body.is_null() { call } else { call.json(&body) }).await
    }

    async fn send_as(&mut self, client: &Client, request: &str, prepare: impl FnOnce(Call) -> Call) -> Value {
        // Each change has its own time, so that lists sorted by time have a definite order.
        self.app.clock.advance(Duration::from_secs(1));
        // Completes background work before the next request.
        if self.runs_jobs {
            self.app.work().await;
        }
        let (method, path) = request.split_once(' ').unwrap();
        // A fixed request id, because generated ones are UUIDs and would be numbered.
        let call = client.call(method.parse().unwrap(), path).header("x-request-id", "transcript");
        let answer = prepare(call).send().await;
        let mut entry = format!("{request} -> {}\n", answer.status.as_u16());
        for name in HEADERS {
            for value in answer.headers.get_all(name) {
                writeln!(entry, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        if !answer.text.is_empty() {
            writeln!(entry, "{}", answer.text).unwrap();
        }
        let entry = self.with_numbered_ids(&entry);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += &entry;
        if answer.status.is_success() {
            self.succeeded.insert(operation_key(method, path.split('?').next().unwrap()));
        }
        answer.body
    }

    async fn get_all(&mut self, client: &Client, paths: &[String]) {
        for path in paths {
            self.send(client, &format!("GET {path}"), Value::Null).await;
        }
    }

    /// Replaces each id by its number in the order of appearance.
    fn with_numbered_ids(&mut self, text: &str) -> String {
        let mut numbered = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let id = rest.get(..UUID_LEN).filter(|id| is_uuid(id));
            if let Some(id) = id {
                let known = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
                    self.ids.push(id.to_owned());
                    self.ids.len() - 1
                });
                write!(numbered, "<id {}>", known + 1).unwrap();
            } else {
                numbered.push(first);
            }
            rest = &rest[id.map_or(first.len_utf8(), str::len)..];
        }
        numbered
    }
}

/// Length of a hyphenated UUID.
const UUID_LEN: usize = 36;

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LEN && uuid::Uuid::parse_str(text).is_ok()
}

/// Operation by method and path, with placeholders for ids.
fn operation_key(method: &str, path: &str) -> String {
    let is_id = |part: &str| part.starts_with('{') || is_uuid(part);
    let parts: Vec<&str> = path.split('/').map(|part| if is_id(part) { "*" } else { part }).collect();
    format!("{method} {}", parts.join("/"))
}

fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

/// Ada and Ben register, and Ada manages her account.
async fn accounts(transcript: &mut Transcript) -> (Client, Client) {
    let anonymous = transcript.app.anonymous();
    let ada = json!({"email": "Ada@Example.com", "name": "Ada", "password": "correct horse"});
    let session = transcript.send(&anonymous, "POST /v1/auth/register", ada).await;
    let mut ada = transcript.app.with_token(token(&session));
    ada.session = session;
    let ben = json!({
        "email": "ben@example.com", "name": "Ben \"B\" <Öz>", "password": "correct horse",
        "timezone": "Europe/Berlin", "weekly_digest": false,
    });
    let session = transcript.send(&anonymous, "POST /v1/auth/register", ben).await;
    let ben = transcript.app.with_token(token(&session));

    let login = json!({"email": "ada@example.com", "password": "correct horse"});
    let phone = |call: Call| call.header("user-agent", "Phone/1.0").json(&login);
    let session = transcript.send_as(&anonymous, "POST /v1/auth/login", phone).await;
    let refresh = json!({"refresh_token": session["refresh_token"]});
    transcript.send(&anonymous, "POST /v1/auth/refresh", refresh).await;
    transcript.send(&ada, "GET /v1/me", Value::Null).await;
    transcript.send(&ada, "PATCH /v1/me", json!({"name": "Ada L.", "timezone": "Europe/London"})).await;
    let sessions = transcript.send(&ada, "GET /v1/me/sessions", Value::Null).await;
    transcript.get_all(&ada, &["/v1/me/sessions?sort=last_used_at&dir=desc&limit=1&offset=1".to_owned()]).await;
    let phone = sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    transcript.send(&ada, &format!("DELETE /v1/me/sessions/{}", phone.id()), Value::Null).await;
    (ada, ben)
}

/// Ada creates two projects, and deletes and restores one of them.
async fn projects(transcript: &mut Transcript, ada: &Client) -> (String, String) {
    let kitchen =
        json!({"name": "Kitchen", "description": "All of it,\n\"new\" & <shiny> – für uns 🙂", "color": "#0A7cFf"});
    let kitchen = transcript.send(ada, "POST /v1/projects", kitchen).await.id();
    let garden = transcript.send(ada, "POST /v1/projects", json!({"name": "Garden"})).await.id();
    transcript.send(ada, &format!("GET /v1/projects/{kitchen}"), Value::Null).await;
    let change = json!({"name": "Large kitchen", "description": null});
    transcript.send(ada, &format!("PATCH /v1/projects/{kitchen}"), change).await;
    transcript.send(ada, &format!("DELETE /v1/projects/{garden}"), Value::Null).await;
    transcript.get_all(ada, &["/v1/projects".to_owned(), "/v1/projects?deleted=true".to_owned()]).await;
    transcript.send(ada, &format!("POST /v1/projects/{garden}/restore"), Value::Null).await;
    (kitchen, garden)
}

/// Ada creates four tasks and deletes the last. Returns the first two.
async fn tasks(transcript: &mut Transcript, ada: &Client, kitchen: &str, garden: &str) -> (String, String) {
    let (in_kitchen, in_garden) =
        (format!("POST /v1/projects/{kitchen}/tasks"), format!("POST /v1/projects/{garden}/tasks"));
    let tiles = json!({
        "title": "Choose the tiles", "description": "Blue\tor \\ green", "status": "in_progress",
        "priority": "high", "due_at": SENT[0], "assignee_id": ada.user_id(), "labels": ["shopping", "Küche"],
    });
    let tiles = transcript.send(ada, &in_kitchen, tiles).await.id();
    let paint = transcript.send(ada, &in_kitchen, json!({"title": "Buy paint"})).await.id();
    // The response has the time in UTC.
    let apples = json!({"title": "Äpfel ernten", "due_at": "2026-04-01T00:30:00+02:00", "labels": ["shopping"]});
    transcript.send(ada, &in_garden, apples).await;
    let news = json!({"title": "Read old news", "status": "done", "priority": "low"});
    let news = transcript.send(ada, &in_kitchen, news).await.id();

    transcript.send(ada, &format!("GET /v1/tasks/{tiles}"), Value::Null).await;
    let change =
        json!({"title": "Order the tiles", "status": "done", "due_at": null, "assignee_id": null, "labels": []});
    let path = format!("PATCH /v1/tasks/{tiles}");
    transcript.send(ada, &path, change).await;
    transcript.send(ada, &path, json!({})).await;
    let back = json!({
        "status": "todo", "due_at": SENT[2], "assignee_id": ada.user_id(), "labels": ["shopping", "Küche"],
    });
    transcript.send(ada, &path, back).await;
    transcript.send(ada, &format!("PATCH /v1/tasks/{paint}"), json!({"status": "done"})).await;
    transcript.send(ada, &format!("DELETE /v1/tasks/{paint}"), Value::Null).await;
    transcript.send(ada, &format!("POST /v1/tasks/{paint}/restore"), Value::Null).await;
    transcript.send(ada, &format!("DELETE /v1/tasks/{news}"), Value::Null).await;
    (tiles, paint)
}

async fn lists(transcript: &mut Transcript, ada: &Client, kitchen: &str, paint: &str) {
    let project_queries =
        ["?sort=name", "?sort=name&dir=desc&limit=1&page=2", "?role=owner&archived=false&q=gard", "?archived=true"];
    transcript.get_all(ada, &project_queries.map(|query| format!("/v1/projects{query}"))).await;
    transcript.get_all(ada, &[format!("/v1/projects/{kitchen}")]).await;

    let paint = transcript.send(ada, &format!("GET /v1/tasks/{paint}"), Value::Null).await;
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
    transcript.get_all(ada, &paths).await;
}

async fn errors(transcript: &mut Transcript, ada: &Client, ben: &Client, kitchen: &str, tiles: &str) {
    let anonymous = transcript.app.anonymous();
    let create = format!("POST /v1/projects/{kitchen}/tasks");
    let many = json!({
        "priority": "soon", "labels": ["a", "a", ""], "due_at": "tomorrow", "description": 1, "status": null, "colour": "red",
    });
    transcript.send(ada, &create, many).await;
    transcript.send(ada, &create, json!({"title": "x", "assignee_id": UNKNOWN_ID})).await;
    transcript.send(ada, &format!("PATCH /v1/tasks/{tiles}"), json!({"title": "x".repeat(1_000)})).await;
    transcript.send_as(ada, &create, |call| call.body("application/json", "{\"title\": ")).await;
    transcript.send_as(ada, &create, |call| call.body("text/plain", "title")).await;
    transcript.send_as(ada, &create, |call| call.body("application/json", vec![b' '; 2_000_000])).await;
    transcript.send_as(ada, "GET /v1/tasks", |call| call.header("accept", "text/html")).await;
    transcript.get_all(ada, &["/v1/tasks?limit=0&page=1&offset=0&status=open&nonsense=1&sort=size".to_owned()]).await;
    transcript.get_all(ada, &[format!("/v1/tasks?project_id={UNKNOWN_ID}")]).await;
    transcript.get_all(&anonymous, &["/v1/tasks".to_owned()]).await;
    transcript.get_all(&transcript.app.with_token("no.token"), &["/v1/me".to_owned()]).await;
    for request in [
        format!("GET /v1/projects/{kitchen}"),
        format!("GET /v1/tasks?project_id={kitchen}"),
        format!("GET /v1/tasks/{tiles}"),
        format!("DELETE /v1/tasks/{tiles}"),
    ] {
        transcript.send(ben, &request, Value::Null).await;
    }
    for request in ["GET /v1/projects/none", "GET /v1/tasks/none", "POST /v1/tasks/none/restore", "GET /v1/nothing"] {
        transcript.send(ada, request, Value::Null).await;
    }
    for request in ["PUT /v1/tasks", &format!("PUT /v1/tasks/{tiles}"), "GET /v1/auth/login"] {
        transcript.send(ada, request, Value::Null).await;
    }
    transcript.send(ada, &format!("PATCH /v1/projects/{kitchen}"), json!({"archived": true})).await;
    transcript.send(ada, &create, json!({"title": "x"})).await;
    let ada_again = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    transcript.send(&anonymous, "POST /v1/auth/register", ada_again).await;
    transcript.send(&anonymous, "POST /v1/auth/login", json!({"email": "ada@example.com", "password": "wrong"})).await;
    transcript.send(&anonymous, "POST /v1/auth/refresh", json!({"refresh_token": "rt_unknown"})).await;
    transcript.send(&anonymous, "POST /v1/auth/refresh", json!({})).await;
}

/// Sessions end in every possible way.
async fn session_ends(transcript: &mut Transcript, ada: &Client, ben: &Client) {
    let anonymous = transcript.app.anonymous();
    let wrong = json!({"current_password": "battery staple", "new_password": "battery staple"});
    transcript.send(ada, "POST /v1/me/password", wrong).await;
    let right = json!({"current_password": "correct horse", "new_password": "battery staple"});
    transcript.send(ada, "POST /v1/me/password", right).await;
    let refresh = json!({"refresh_token": ada.session["refresh_token"]});
    transcript.send(&anonymous, "POST /v1/auth/refresh", refresh.clone()).await;
    transcript.app.clock.advance(Duration::from_mins(1));
    transcript.send(&anonymous, "POST /v1/auth/refresh", refresh).await;
    transcript.get_all(ada, &["/v1/me".to_owned()]).await;
    let login = json!({"email": "ada@example.com", "password": "battery staple"});
    let session = transcript.send(&anonymous, "POST /v1/auth/login", login).await;
    let ada = transcript.app.with_token(token(&session));
    transcript.send(&ada, "POST /v1/auth/logout", Value::Null).await;
    transcript.get_all(&ada, &["/v1/me".to_owned()]).await;
    transcript.app.clock.advance(Duration::from_hours(1));
    transcript.get_all(ben, &["/v1/me".to_owned()]).await;
}

/// Operations added after the first release.
async fn moves_and_batches(transcript: &mut Transcript) {
    let anonymous = transcript.app.anonymous();
    let login = json!({"email": "ada@example.com", "password": "battery staple"});
    let session = transcript.send(&anonymous, "POST /v1/auth/login", login).await;
    let ada = transcript.app.with_token(token(&session));
    let project = transcript.send(&ada, "POST /v1/projects", json!({"name": "Cellar"})).await.id();
    let create = format!("POST /v1/projects/{project}/tasks");
    let first = transcript.send(&ada, &create, json!({"title": "Sweep"})).await.id();
    let second = transcript.send(&ada, &create, json!({"title": "Air"})).await.id();
    let relocate = format!("POST /v1/tasks/{second}/move");
    transcript.send(&ada, &relocate, json!({"before_id": first})).await;
    transcript.send(&ada, &relocate, json!({"before_id": UNKNOWN_ID})).await;
    let operations = json!({"operations": [
        {"op": "create", "title": "Light"},
        {"op": "update", "task_id": first, "status": "done"},
        {"op": "delete", "task_id": second},
    ]});
    transcript.send(&ada, &format!("{create}/batch"), operations).await;
    transcript.send(&ada, &format!("{create}/batch"), json!({"operations": [{"op": "create"}]})).await;
}

/// Life cycle of an account and its API tokens.
async fn account_life_cycle(transcript: &mut Transcript) {
    let anonymous = transcript.app.anonymous();
    let eve = json!({"email": "eve@example.com", "name": "Eve", "password": "correct horse"});
    let session = transcript.send(&anonymous, "POST /v1/auth/register", eve).await;
    let eve = transcript.app.with_token(token(&session));
    transcript.send(&eve, "POST /v1/auth/resend-verification", Value::Null).await;
    let email = json!({"email": "eve@example.com"});
    transcript.send(&anonymous, "POST /v1/auth/forgot-password", email).await;
    transcript.app.work().await;
    let mails = transcript.app.mails_to("eve@example.com");
    let sent = |subject: &str| {
        let mail = mails.iter().find(|mail| mail.subject == subject).unwrap();
        json!({"token": mail.token()})
    };
    let mut verification = sent("Confirm your e-mail address");
    transcript.send(&anonymous, "POST /v1/auth/verify-email", verification.clone()).await;
    verification["password"] = json!("correct horse");
    transcript.send(&anonymous, "POST /v1/auth/verify-email", verification.clone()).await;
    transcript.send(&anonymous, "POST /v1/auth/verify-email", verification).await;
    transcript.send(&eve, "GET /v1/me", Value::Null).await;
    transcript.send(&eve, "GET /v1/me/audit-log?dir=asc", Value::Null).await;

    let impostor = json!({"email": "dan@example.com", "name": "Not Dan", "password": "correct horse"});
    transcript.send(&anonymous, "POST /v1/auth/register", impostor).await;
    transcript.app.work().await;
    let squatted = transcript.app.mails_to("dan@example.com");
    let mail = squatted.iter().find(|mail| mail.subject == "Confirm your e-mail address").unwrap();
    let disowned = json!({"token": mail.token()});
    transcript.send(&anonymous, "POST /v1/auth/disown-account", disowned.clone()).await;
    transcript.send(&anonymous, "POST /v1/auth/disown-account", disowned).await;

    let script = json!({"name": "Script", "scopes": ["write", "read"], "expires_at": "2999-01-01T00:00:00Z"});
    let script = transcript.send(&eve, "POST /v1/me/api-tokens", script).await;
    transcript.send(&eve, "POST /v1/me/api-tokens", json!({"name": "Reader", "scopes": ["read"]})).await;
    transcript.send(&eve, "GET /v1/me/api-tokens", Value::Null).await;
    transcript.send(&eve, "GET /v1/me/api-tokens?dir=asc&limit=1", Value::Null).await;
    let program = transcript.app.with_token(script["token"].as_str().unwrap());
    transcript.send(&program, "POST /v1/auth/logout", Value::Null).await;
    transcript.send(&eve, &format!("DELETE /v1/me/api-tokens/{}", script.id()), Value::Null).await;
    transcript.send(&program, "GET /v1/me", Value::Null).await;

    let mut reset = sent("Set a new password");
    reset["password"] = json!("battery staple");
    transcript.send(&anonymous, "POST /v1/auth/reset-password", reset).await;
    transcript.send(&eve, "GET /v1/me", Value::Null).await;
    let login = json!({"email": "eve@example.com", "password": "battery staple"});
    let session = transcript.send(&anonymous, "POST /v1/auth/login", login.clone()).await;
    let eve = transcript.app.with_token(token(&session));
    transcript.send(&eve, "DELETE /v1/me", Value::Null).await;
    transcript.send(&eve, "GET /v1/me", Value::Null).await;
    transcript.send(&anonymous, "POST /v1/auth/login", login).await;
}

/// Members join a project, comment and leave.
async fn collaboration(transcript: &mut Transcript) {
    let anonymous = transcript.app.anonymous();
    let mut people = Vec::new();
    for name in ["Fay", "Gus"] {
        let email = format!("{}@example.com", name.to_lowercase());
        let new = json!({"email": email, "name": name, "password": "correct horse"});
        let session = transcript.send(&anonymous, "POST /v1/auth/register", new).await;
        people.push((signed_in(&transcript.app, session.clone()), session["user"].id()));
    }
    let [(fay, fay_id), (gus, gus_id)] = <[_; 2]>::try_from(people).unwrap_or_else(|_| unreachable!());
    let project = transcript.send(&fay, "POST /v1/projects", json!({"name": "Boat"})).await.id();
    set_verified(&transcript.app, &fay, true).await;
    let invite = format!("POST /v1/projects/{project}/invitations");
    let gus_invited = json!({"email": "Gus@example.com", "role": "editor"});
    let first = transcript.send(&fay, &invite, gus_invited.clone()).await.id();
    transcript.send(&fay, &invite, gus_invited.clone()).await;
    let revoke = format!("DELETE /v1/projects/{project}/invitations/{first}");
    transcript.send(&fay, &revoke, Value::Null).await;
    transcript.send(&fay, &revoke, Value::Null).await;
    let second = transcript.send(&fay, &invite, gus_invited.clone()).await.id();
    transcript.send(&gus, &format!("POST /v1/invitations/{second}/accept"), Value::Null).await;
    let verification = async || {
        transcript.app.work().await;
        let mails = transcript.app.mails_to("gus@example.com");
        let mail = mails.iter().find(|mail| mail.subject == "Confirm your e-mail address").unwrap();
        json!({"token": mail.token(), "password": "correct horse"})
    };
    let verification = verification().await;
    transcript.send(&anonymous, "POST /v1/auth/verify-email", verification).await;
    transcript.send(&gus, "GET /v1/invitations?status=pending", Value::Null).await;
    transcript.send(&fay, &format!("POST /v1/invitations/{second}/accept"), Value::Null).await;
    transcript.send(&gus, &format!("POST /v1/invitations/{second}/accept"), Value::Null).await;
    transcript.send(&gus, &format!("POST /v1/invitations/{second}/decline"), Value::Null).await;
    transcript.send(&fay, &invite, gus_invited).await;
    let boat = transcript.send(&fay, "POST /v1/projects", json!({"name": "Sail"})).await.id();
    let other = json!({"email": "gus@example.com", "role": "viewer"});
    let third = transcript.send(&fay, &format!("POST /v1/projects/{boat}/invitations"), other).await.id();
    transcript.send(&gus, &format!("POST /v1/invitations/{third}/decline"), Value::Null).await;
    transcript.send(&fay, &format!("GET /v1/projects/{project}/invitations"), Value::Null).await;
    transcript.send(&gus, &format!("GET /v1/projects/{project}/members?sort=name"), Value::Null).await;

    let task = json!({"title": "Hoist", "assignee_id": gus_id});
    let task = transcript.send(&fay, &format!("POST /v1/projects/{project}/tasks"), task).await.id();
    let comments = format!("/v1/tasks/{task}/comments");
    let comment = transcript.send(&fay, &format!("POST {comments}"), json!({"body": "When?"})).await.id();
    transcript.send(&gus, &format!("POST {comments}"), json!({"body": " "})).await;
    transcript.send(&gus, &format!("GET {comments}"), Value::Null).await;
    let comment = format!("/v1/comments/{comment}");
    transcript.send(&gus, &format!("GET {comment}"), Value::Null).await;
    transcript.send(&gus, &format!("PATCH {comment}"), json!({"body": "Now."})).await;
    transcript.send(&fay, &format!("PATCH {comment}"), json!({"body": "Now?"})).await;
    transcript.send(&fay, &format!("DELETE {comment}"), Value::Null).await;
    transcript.send(&fay, &format!("GET {comment}"), Value::Null).await;

    let members = format!("/v1/projects/{project}/members");
    transcript.send(&gus, &format!("PATCH {members}/{gus_id}"), json!({"role": "owner"})).await;
    transcript.send(&fay, &format!("DELETE {members}/{fay_id}"), Value::Null).await;
    transcript.send(&fay, &format!("PATCH {members}/{gus_id}"), json!({"role": "owner"})).await;
    transcript.send(&gus, &format!("GET /v1/projects/{project}"), Value::Null).await;
    transcript.send(&gus, &format!("PATCH {members}/{fay_id}"), json!({"role": "viewer"})).await;
    transcript.send(&fay, &format!("DELETE {members}/{fay_id}"), Value::Null).await;
    transcript.send(&fay, &format!("GET {members}"), Value::Null).await;
}

async fn feed(transcript: &mut Transcript) {
    let new = json!({"email": "ida@example.com", "name": "Ida", "password": "correct horse"});
    let session = transcript.send(&transcript.app.anonymous(), "POST /v1/auth/register", new).await;
    let ida = transcript.app.with_token(token(&session));
    let project = transcript.send(&ida, "POST /v1/projects", json!({"name": "Dock"})).await.id();
    let task = json!({"title": "Moor"});
    let task = transcript.send(&ida, &format!("POST /v1/projects/{project}/tasks"), task).await.id();
    transcript.send(&ida, &format!("PATCH /v1/tasks/{task}"), json!({"status": "done"})).await;
    let paths = [
        "?limit=2",
        "?order=desc&limit=1",
        "?type=task.updated,project.created",
        "?cursor=nonsense",
        "?type=none",
        "/stream",
    ];
    transcript.get_all(&ida, &paths.map(|query| format!("/v1/events{query}"))).await;
    let filter = json!({"project_id": project, "type": ["task.created"]});
    transcript.send(&ida, "POST /v1/events/stream-tickets", filter).await;
}

/// Hal manages a webhook. No jobs run, because the duration of an attempt is part of its log.
async fn webhooks(transcript: &mut Transcript) {
    transcript.runs_jobs = false;
    let hal = json!({"email": "hal@example.com", "name": "Hal", "password": "correct horse"});
    let session = transcript.send(&transcript.app.anonymous(), "POST /v1/auth/register", hal).await;
    let hal = transcript.app.with_token(token(&session));
    let project = transcript.send(&hal, "POST /v1/projects", json!({"name": "Horn"})).await.id();
    let new = json!({"url": "https://hook.invalid/?a=\"b\"", "project_id": project, "events": ["task.created", "webhook.test"]});
    let webhook = transcript.send(&hal, "POST /v1/webhooks", new).await.id();
    transcript
        .send(&hal, "POST /v1/webhooks", json!({"url": "https://hook.invalid/", "events": ["*", "task.exploded"]}))
        .await;
    transcript.send(&hal, "GET /v1/webhooks", Value::Null).await;
    let webhook = format!("/v1/webhooks/{webhook}");
    transcript.send(&hal, &format!("GET {webhook}"), Value::Null).await;
    let change = json!({"project_id": null, "events": ["*"], "description": "A\nbell", "enabled": false});
    transcript.send(&hal, &format!("PATCH {webhook}"), change).await;
    transcript.send(&hal, &format!("POST {webhook}/rotate-secret"), Value::Null).await;
    let delivery = transcript.send(&hal, &format!("POST {webhook}/test"), Value::Null).await.id();
    transcript.send(&hal, &format!("POST {webhook}/deliveries/{delivery}/redeliver"), Value::Null).await;
    transcript.send(&hal, &format!("GET {webhook}/deliveries"), Value::Null).await;
    transcript.send(&hal, &format!("DELETE {webhook}"), Value::Null).await;
    transcript.send(&hal, &format!("GET {webhook}"), Value::Null).await;
}

on_both_databases! {
    async fn v1_responses_match_the_transcript(database: TestDatabase) {
        let mut transcript = Transcript::new(TestApp::new(&database, Options::default()).await);
        let (ada, ben) = accounts(&mut transcript).await;
        let (kitchen, garden) = projects(&mut transcript, &ada).await;
        let (tiles, paint) = tasks(&mut transcript, &ada, &kitchen, &garden).await;
        lists(&mut transcript, &ada, &kitchen, &paint).await;
        errors(&mut transcript, &ada, &ben, &kitchen, &tiles).await;
        session_ends(&mut transcript, &ada, &ben).await;
        moves_and_batches(&mut transcript).await;
        // The remaining parts require verified addresses.
        let app = TestApp::new(&database, Options { variables: vec![("REQUIRE_EMAIL_VERIFICATION", "true")], ..Options::default() });
        transcript.app = app.await;
        account_life_cycle(&mut transcript).await;
        collaboration(&mut transcript).await;
        feed(&mut transcript).await;
        webhooks(&mut transcript).await;

        for (id, method, path, _) in operations().filter(|(_, _, path, _)| path.starts_with("/v1/")) {
            assert!(transcript.succeeded.contains(&operation_key(method.as_str(), &path)), "{id} is missing from the transcript");
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, replacement) in REDACTIONS {
            settings.add_filter(pattern, replacement);
        }
        settings.bind(|| insta::assert_snapshot!("v1_transcript", transcript.text));
    }
}
