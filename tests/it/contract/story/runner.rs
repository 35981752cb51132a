//! Sends the documented examples of requests, and compares the responses.

use std::collections::BTreeSet;

use pocket_tasks::api::openapi::resolve;
use pocket_tasks::contract::event::EventType;
use poem::http::Method;
use serde_json::{Value, json};

use super::compare::World;
use crate::support::client::Call;
use crate::support::document::{DOCUMENT, EVENT_STREAM, operations, statuses};
use crate::support::{Answer, Client, SseClient, TestApp};

pub(super) struct Runner {
    pub(super) app: TestApp,
    pub(super) executed: BTreeSet<String>,
    world: World,
    /// Reader of all events, and its position in the feed.
    follower: Option<Client>,
    cursor: Option<String>,
    events: BTreeSet<String>,
}

/// Operation of the document.
struct Operation {
    method: Method,
    path: String,
    description: &'static Value,
}

impl Operation {
    #[track_caller]
    fn find(id: &str) -> Self {
        let (_, method, path, description) = operations().find(|(other, ..)| other == id).unwrap();
        Self { method, path, description }
    }

    /// Media type of the request, and its example.
    fn request(&self) -> Option<(&'static str, &'static Value)> {
        let (media_type, media) = self.description["requestBody"]["content"].as_object()?.iter().next()?;
        Some((media_type, &media["example"]))
    }

    /// Query of the request in the reference: the example of the first parameter that is a list.
    fn example_query(&self) -> String {
        let parameters = self.description["parameters"].as_array().into_iter().flatten();
        let mut lists = parameters.filter(|parameter| parameter["schema"]["type"] == "array");
        let Some(list) = lists.next() else { return String::new() };
        let values = list["schema"]["examples"][0].as_array().unwrap().iter();
        let name = list["name"].as_str().unwrap();
        let pairs: Vec<String> = values.map(|value| format!("{name}={}", value.as_str().unwrap())).collect();
        format!("?{}", pairs.join("&"))
    }

    fn response(&self, status: u16) -> &'static Value {
        resolve(&DOCUMENT, &self.description["responses"][status.to_string()])
    }

    /// The only successful status.
    #[track_caller]
    fn success(&self) -> u16 {
        let statuses: Vec<u16> = statuses(self.description).into_iter().filter(|status| *status < 300).collect();
        assert_eq!(statuses.len(), 1, "{statuses:?}");
        statuses[0]
    }

    fn error(&self, status: u16, code: &str) -> Option<&'static Value> {
        self.response(status).pointer(&format!("/content/application~1json/examples/{code}/value"))
    }
}

impl Runner {
    pub(super) fn new(app: TestApp) -> Self {
        let (executed, events) = (BTreeSet::new(), BTreeSet::new());
        Self { app, executed, world: World::default(), follower: None, cursor: None, events }
    }

    /// Sets the real value of a field of a request.
    #[track_caller]
    pub(super) fn expect(&mut self, id: &str, field: &str, real: &str) {
        let (_, example) = Operation::find(id).request().unwrap();
        self.world.learn(example.pointer(&format!("/{field}")).unwrap(), json!(real));
    }

    /// Last token in an e-mail with this subject.
    pub(super) async fn mailed_token(&self, address: &str, subject: &str) -> String {
        self.app.work().await;
        let mut mails = self.app.mails_to(address).into_iter().filter(|mail| mail.subject == subject);
        mails.next_back().unwrap_or_else(|| panic!("no {subject} to {address}")).token().to_owned()
    }

    /// Sets the token of a request to the last one in an e-mail.
    pub(super) async fn expect_mailed_token(&mut self, id: &str, address: &str, subject: &str) {
        let token = self.mailed_token(address, subject).await;
        self.expect(id, "token", &token);
    }

    /// Path of an operation with real values.
    #[track_caller]
    pub(super) fn real_path(&self, id: &str) -> String {
        let operation = Operation::find(id);
        let mut path = operation.path.clone();
        for parameter in operation.description["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(&DOCUMENT, parameter);
            if parameter["required"] == true {
                assert_eq!(parameter["in"], "path", "{id}");
                let name = parameter["name"].as_str().unwrap();
                let real = self.world.real(&parameter["example"]);
                path = path.replace(&format!("{{{name}}}"), real.as_str().unwrap());
            }
        }
        path
    }

    /// Prepares a request from a client whose address and device are in the examples.
    fn call(&self, id: &str, client: &Client, query: &str) -> Call {
        let call = client.call(Operation::find(id).method, self.real_path(id) + query);
        let call = call.header("x-forwarded-for", "192.0.2.7");
        call.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0")
    }

    /// Sends the documented request and an invalid one. Returns the response, or the request if it has none.
    pub(super) async fn run(&mut self, id: &str, client: &Client) -> Value {
        self.run_invalid(id, client).await;
        assert!(self.executed.insert(id.to_owned()), "{id} is executed twice");
        let operation = Operation::find(id);
        let mut call = self.call(id, client, &operation.example_query());
        let mut sent = Value::Null;
        if let Some((media_type, example)) = operation.request() {
            sent = self.world.realized(example);
            call = call.body(media_type, sent.to_string());
        }
        let answer = call.send().await;
        assert_eq!(answer.status.as_u16(), operation.success(), "{id}: {sent}: {}", answer.text);
        self.compare_location(id, &answer);
        let received = answer.body.clone();
        self.compare_response(id, &received);
        self.compare_new_events().await;
        if received.is_null() { sent } else { received }
    }

    /// Sends the documented request again, which creates another resource in the place of the first one.
    pub(super) async fn run_again(&mut self, id: &str, client: &Client) {
        let operation = Operation::find(id);
        let (media_type, example) = operation.request().unwrap();
        let call = self.call(id, client, "").body(media_type, self.world.realized(example).to_string());
        let created = call.send().await.created();
        let documented = &operation.response(201)["content"]["application/json"]["example"];
        self.world.learn(&documented["id"], created["id"].clone());
    }

    pub(super) async fn open_stream(&mut self, id: &str, client: &Client) -> SseClient {
        self.run_invalid(id, client).await;
        self.executed.insert(id.to_owned());
        self.call(id, client, &Operation::find(id).example_query()).follow().await
    }

    /// Compares the body of a successful response, or an event of a stream.
    #[track_caller]
    pub(super) fn compare_response(&mut self, id: &str, body: &Value) {
        let operation = Operation::find(id);
        let content = &operation.response(operation.success())["content"];
        let media = content.get("application/json").or_else(|| content.get(EVENT_STREAM));
        match media {
            Some(media) => self.world.compare(id, &media["example"], body),
            None => assert_eq!(*body, Value::Null, "{id}"),
        }
    }

    fn compare_location(&mut self, id: &str, answer: &Answer) {
        let operation = Operation::find(id);
        let header = resolve(&DOCUMENT, &operation.response(operation.success())["headers"]["Location"]);
        if let Some(example) = header["example"].as_str() {
            // The id of the resource is learnt from the body.
            let body = &operation.response(operation.success())["content"]["application/json"]["example"];
            if answer.body.get("id").is_some() {
                self.world.compare(&format!("{id}.id"), &body["id"], &answer.body["id"]);
            }
            let documented = json!(self.world.realized_text(example));
            self.world.compare(&format!("{id} Location"), &documented, &json!(answer.header("location")));
        }
    }

    /// Sends a request with the documented violations.
    async fn run_invalid(&mut self, id: &str, client: &Client) {
        let operation = Operation::find(id);
        let Some(documented) = operation.error(400, "VALIDATION_FAILED") else { return };
        let details = documented["details"].as_array().unwrap();
        assert!(details.len() > 1, "{id} shows one violation only");
        let (mut query, mut body) = (String::new(), operation.request().map(|(_, example)| example.clone()));
        for detail in details {
            let field = detail["field"].as_str().unwrap();
            if detail["in"] == "query" {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.extend([field, "=1"]);
                continue;
            }
            let members = body.as_mut().and_then(Value::as_object_mut).unwrap();
            match detail["code"].as_str().unwrap() {
                "required" => drop(members.shift_remove(field).unwrap()),
                "null" => drop(members.insert(field.to_owned(), Value::Null)),
                "unknown_field" => drop(members.insert(field.to_owned(), json!(1))),
                other => panic!("{id} documents {other}, which has no known cause"),
            }
        }
        let mut call = self.call(id, client, &query);
        if let (Some(body), Some((media_type, _))) = (body, operation.request()) {
            call = call.body(media_type, body.to_string());
        }
        let answer = call.send().await;
        assert_eq!(answer.status, 400, "{id}: {}", answer.text);
        self.world.compare(&format!("{id} 400"), documented, &answer.body);
    }

    /// Sends the documented request with an entity tag that is not the current one.
    pub(super) async fn run_stale(&mut self, id: &str, client: &Client, body: Option<Value>) {
        let operation = Operation::find(id);
        let mut call = self.call(id, client, "").header("if-match", "\"older.older\"");
        if let Some((media_type, example)) = operation.request() {
            call = call.body(media_type, self.world.realized(body.as_ref().unwrap_or(example)).to_string());
        }
        let answer = call.send().await;
        assert_eq!(answer.status, 412, "{id}: {}", answer.text);
        let documented = operation.error(412, "PRECONDITION_FAILED").unwrap();
        self.world.compare(&format!("{id} 412"), documented, &answer.body);
    }

    /// Compares the events of all further requests.
    pub(super) fn follow_events(&mut self, client: &Client) {
        self.follower = Some(client.clone());
    }

    async fn compare_new_events(&mut self) {
        let Some(follower) = self.follower.clone().filter(|_| !self.is_complete()) else { return };
        let cursor = self.cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = follower.get(format!("/v1/events?limit=100{cursor}")).await.ok();
        for event in page["data"].as_array().unwrap() {
            self.compare_event(event);
        }
        self.cursor = page["meta"]["next_cursor"].as_str().map(str::to_owned);
    }

    /// Compares the first event of a type with its example.
    pub(super) fn compare_event(&mut self, event: &Value) {
        let kind = event["type"].as_str().unwrap();
        if self.events.insert(kind.to_owned()) {
            let message = &DOCUMENT["webhooks"][kind]["post"]["requestBody"]["content"]["application/json"]["schema"];
            let documented = &resolve(&DOCUMENT, message)["examples"][0];
            self.world.compare(kind, documented, event);
        }
    }

    fn is_complete(&self) -> bool {
        self.events.len() == EventType::all().count()
    }

    #[track_caller]
    pub(super) fn assert_all_events_seen(&self) {
        assert!(self.is_complete(), "an event type did not occur: {:?}", self.events);
    }

    #[track_caller]
    pub(super) fn finish(self) {
        let differences = self.world.differences;
        assert!(differences.is_empty(), "the examples differ from the server:\n{}", differences.join("\n"));
    }
}
