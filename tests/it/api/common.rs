//! What several of these tests need.

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use pocket_tasks::contract::Timestamp;
use poem::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::client::Ids as _;
use crate::support::{Answer, Client, TestApp};

/// An id that nothing has.
pub(super) const NOBODY: &str = "01936f50-1c80-7e5c-b130-4d8e3f70ffff";

/// What stands for the id of nothing in a path, however it is spelt.
pub(super) const NO_IDS: [&str; 8] =
    [NOBODY, "not-a-uuid", "00000000-0000-0000-0000-000000000000", "1", "a%2Fb", "%00", "%FF", "%zz"];

pub(super) const DAY: Duration = Duration::from_hours(24);

/// A text as it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut query, byte| {
        if byte.is_ascii_alphanumeric() {
            query.push(char::from(byte));
        } else {
            write!(query, "%{byte:02X}").unwrap();
        }
        query
    })
}

/// The same user with a new token, for when the old one has expired.
pub(super) async fn log_in_again(app: &TestApp, user: &Client) -> Client {
    let credentials = json!({"email": user.email(), "password": "correct horse"});
    let session = app.anonymous().post("/v1/auth/login", credentials).await.ok();
    let mut client = app.with_token(session["access_token"].as_str().unwrap());
    client.session = session;
    client
}

pub(super) fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}

/// A time of an answer, moved by milliseconds.
pub(super) fn moved(value: &Value, milliseconds: i64) -> String {
    Timestamp(time(value).0 + milliseconds).to_string()
}

/// Sends a request, with a body unless it is null.
pub(super) async fn send(client: &Client, method: &Method, path: &str, body: &Value) -> Answer {
    let call = client.call(method.clone(), path);
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

/// The items as the contract sorts them: what has no key is last ascending and first descending, ties go by id.
pub(super) fn sorted<'v>(
    items: impl IntoIterator<Item = &'v Value>,
    descending: bool,
    key: impl Fn(&Value) -> Option<String>,
) -> Vec<Value> {
    let mut items: Vec<&Value> = items.into_iter().collect();
    items.sort_by_key(|item| {
        let key = key(item);
        (key.is_none(), key, item.id())
    });
    if descending {
        items.reverse();
    }
    items.into_iter().map(|item| item["id"].clone()).collect()
}

/// The ids in any order that is the same for the same ids.
pub(super) fn id_set(list: &Value) -> Vec<Value> {
    sorted(list["data"].as_array().unwrap(), false, |_| None)
}

/// Runs all at the same time, and gives their results in any order.
pub(super) async fn at_once<T: Send + 'static>(
    all: impl IntoIterator<Item: Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    all.into_iter().collect::<JoinSet<T>>().join_all().await
}

/// A copy of the resource with other values in these fields.
pub(super) fn with(resource: &Value, fields: &Value) -> Value {
    let mut resource = resource.clone();
    for (name, value) in fields.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}
