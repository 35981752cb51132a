//! JSON client that checks each response against the published document.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use poem::{Body, Endpoint as _, Request};
use serde_json::{Value, json};

use super::{SseClient, TestApp, document};

#[derive(Clone)]
pub(crate) struct Client {
    app: TestApp,
    pub(crate) token: Option<String>,
    /// Session response, for clients of registered users.
    pub(crate) session: Value,
}

/// Request that has not been sent.
pub(crate) struct Call {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

/// Response that conforms to the document.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Body as JSON; null if absent.
    pub(crate) body: Value,
    /// Raw body.
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(app: TestApp, token: Option<String>) -> Self {
        Self { app, token, session: Value::Null }
    }

    /// The same client of another app, on a copy of the database.
    pub(crate) fn of(&self, app: &TestApp) -> Self {
        Self { app: app.clone(), ..self.clone() }
    }

    pub(crate) fn user_id(&self) -> &str {
        self.session["user"]["id"].as_str().unwrap()
    }

    pub(crate) fn email(&self) -> &str {
        self.session["user"]["email"].as_str().unwrap()
    }

    /// Prepares a request.
    pub(crate) fn call(&self, method: Method, path: impl Into<String>) -> Call {
        let call =
            Call { client: self.clone(), method, path: path.into(), headers: HeaderMap::new(), body: Body::empty() };
        match &self.token {
            Some(token) => call.header("authorization", &format!("Bearer {token}")),
            None => call,
        }
    }

    pub(crate) async fn get(&self, path: impl Into<String>) -> Answer {
        self.call(Method::GET, path).send().await
    }

    pub(crate) async fn post(&self, path: impl Into<String>, body: Value) -> Answer {
        self.call(Method::POST, path).json(&body).send().await
    }

    /// Sends a POST without a body.
    pub(crate) async fn post_empty(&self, path: impl Into<String>) -> Answer {
        self.call(Method::POST, path).send().await
    }

    pub(crate) async fn patch(&self, path: impl Into<String>, body: Value) -> Answer {
        self.call(Method::PATCH, path).json(&body).send().await
    }

    pub(crate) async fn delete(&self, path: impl Into<String>) -> Answer {
        self.call(Method::DELETE, path).send().await
    }

    /// Creates a project and returns its id.
    pub(crate) async fn project(&self) -> String {
        self.post("/v1/projects", json!({"name": "A project"})).await.created().id()
    }

    /// Creates a task and returns it.
    pub(crate) async fn task(&self, project: &str, body: Value) -> Value {
        self.post(format!("/v1/projects/{project}/tasks"), body).await.created()
    }
}

impl Call {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Adds a header line, which may contain invalid text.
    pub(crate) fn header_line(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub(crate) fn without_header(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) async fn send(self) -> Answer {
        self.send_and_keep().await.0
    }

    /// Opens an event stream.
    pub(crate) async fn follow(self) -> SseClient {
        let (answer, body) = self.send_and_keep().await;
        SseClient::new(answer, body)
    }

    /// Sends the request and returns the response with the unread body of a stream.
    async fn send_and_keep(self) -> (Answer, Body) {
        let uri: Uri = self.path.parse().unwrap_or_else(|error| panic!("{}: {error}", self.path));
        let mut request = Request::builder().method(self.method.clone()).uri(uri).body(self.body);
        request.headers_mut().extend(self.headers);
        let mut response = self.client.app.endpoint.call(request).await.unwrap();
        let status = response.status();
        let headers = response.headers().clone();
        let mut stream = Body::empty();
        if headers.get(header::CONTENT_TYPE).is_some_and(|value| value == document::EVENT_STREAM) {
            stream = response.take_body();
        }
        let bytes = response.take_body().into_bytes().await.unwrap();
        let compressed = headers.contains_key(header::CONTENT_ENCODING);
        let text = if compressed { String::new() } else { String::from_utf8(bytes.to_vec()).unwrap() };
        let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
        let body = if is_json && !compressed {
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        } else {
            Value::Null
        };
        let answer = Answer { status, headers, body, text };
        document::check(&self.method, &self.path, &answer);
        (answer, stream)
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.body
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        self.expect(200)
    }

    #[track_caller]
    pub(crate) fn created(self) -> Value {
        assert!(self.headers.contains_key(header::LOCATION), "a 201 says where");
        self.expect(201)
    }

    #[track_caller]
    pub(crate) fn no_content(self) {
        assert_eq!(self.text, "", "a 204 has no body");
        self.expect(204);
    }

    /// Expects this status and error code, and returns the error envelope.
    #[track_caller]
    pub(crate) fn fails(self, status: u16, error: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["error"], error, "{body}");
        body
    }

    /// Expects validation errors: `field:code` of each, in order.
    #[track_caller]
    pub(crate) fn invalid(self, failures: &[&str]) {
        let body = self.fails(400, "VALIDATION_FAILED");
        let details = body["details"].as_array().unwrap();
        let found: Vec<String> = details
            .iter()
            .map(|detail| format!("{}:{}", detail["field"].as_str().unwrap(), detail["code"].as_str().unwrap()))
            .collect();
        assert_eq!(found, failures, "{body}");
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("there is no {name}")).to_str().unwrap()
    }
}

pub(crate) trait Ids {
    /// Id of a resource.
    fn id(&self) -> String;
    /// Field of every item of a list.
    fn column(&self, field: &str) -> Vec<Value>;
}

impl Ids for Value {
    #[track_caller]
    fn id(&self) -> String {
        self["id"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn column(&self, field: &str) -> Vec<Value> {
        self["data"].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
    }
}
