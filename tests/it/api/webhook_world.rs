//! Webhooks with receivers, and events that are told to them.

use std::time::Duration;

use pocket_tasks::contract::delivery::{Delivery, DeliveryStatus};
use pocket_tasks::contract::event::{Event, EventType};
use pocket_tasks::contract::{DeliveryId, EventId, ProjectId, Timestamp, UserId, WebhookId};
use pocket_tasks::repositories::{DeliveryRecord, Lane, NewEvent};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::client::Ids as _;
use crate::support::{Client, Options, Receiver, TestApp, TestDatabase};

pub(crate) const WEBHOOKS: &str = "/v1/webhooks";

/// What tests need to send to themselves.
pub(crate) const LOCAL: [(&str, &str); 2] = [("WEBHOOK_ALLOW_HTTP", "true"), ("WEBHOOK_ALLOW_CIDRS", "127.0.0.0/8")];

pub(crate) fn options() -> Options {
    Options { variables: LOCAL.into(), ..Options::default() }
}

pub(crate) async fn app(database: &TestDatabase) -> TestApp {
    TestApp::new(database, options()).await
}

/// Makes a webhook for all types of events of all projects.
pub(crate) async fn webhook(user: &Client, url: &str) -> Value {
    user.post(WEBHOOKS, json!({"url": url, "events": ["*"]})).await.created()
}

/// The deliveries of a webhook, the oldest first.
pub(crate) async fn deliveries(user: &Client, webhook: &str) -> Vec<Value> {
    let list = user.get(format!("{WEBHOOKS}/{webhook}/deliveries?limit=100&dir=asc")).await.ok();
    list["data"].as_array().unwrap().clone()
}

/// Has something happen in a project, as a write would.
pub(crate) async fn happens(app: &TestApp, kind: EventType, project: &str) -> EventId {
    let event = new_event(app, kind, project);
    let transaction = app.store.begin().await.unwrap();
    app.services.events.tell(&*transaction, std::slice::from_ref(&event)).await.unwrap();
    transaction.commit().await.unwrap();
    event.id
}

pub(crate) fn new_event(app: &TestApp, kind: EventType, project: &str) -> NewEvent {
    NewEvent {
        id: EventId::generate(),
        kind,
        project_id: ProjectId::parse(project).unwrap(),
        actor_id: Some(UserId::generate()),
        occurred_at: app.clock.now(),
        data: json!({"title": "Ümlaut & \"quotes\""}).to_string(),
        previous: None,
        request_id: None,
    }
}

/// Moves the clock past the next attempt of a delivery and has it made; gives how long after the last attempt it was
/// due.
pub(crate) async fn next_attempt(app: &TestApp, user: &Client, webhook: &str) -> Duration {
    let delivery = deliveries(user, webhook).await.pop().unwrap();
    let time = |value: &Value| Timestamp::parse(value.as_str().unwrap_or_else(|| panic!("{delivery}"))).unwrap();
    let due = time(&delivery["next_attempt_at"]);
    let last = time(&delivery["attempts"].as_array().unwrap().last().unwrap()["at"]);
    let left = due.0 - app.clock.now().0;
    app.clock.advance(Duration::from_millis(u64::try_from(left.max(0)).unwrap() + 1));
    app.work().await;
    Duration::from_millis(u64::try_from(due.0 - last.0).unwrap())
}

/// A user who goes on calling when days have passed.
pub(crate) async fn lasting_user(app: &TestApp) -> Client {
    let mut user = app.user().await;
    let token = json!({"name": "Lasting", "scopes": ["read", "write"]});
    let token = user.post("/v1/me/api-tokens", token).await.created();
    user.token = Some(token["token"].as_str().unwrap().to_owned());
    user
}

/// A user with a project and a webhook at a receiver that answers with this status.
pub(crate) async fn scene(app: &TestApp, answer: &str) -> (Client, String, String, Receiver) {
    let (user, receiver) = (lasting_user(app).await, Receiver::new(answer).await);
    let project = user.project().await;
    let webhook = webhook(&user, &receiver.url).await.id();
    app.work().await;
    (user, project, webhook, receiver)
}

/// An event as it stands in the feed.
pub(crate) async fn stored(app: &TestApp, id: EventId) -> Option<Event> {
    let all = app.store.read().events().tail(0, 1_000).await.unwrap();
    all.into_iter().find(|event| event.id == id)
}

/// The lane of the job of the one webhook, if there is a job.
pub(crate) async fn lane_of_next(app: &TestApp) -> Option<Lane> {
    for lane in [Lane::Webhooks, Lane::Failing] {
        if app.store.read().queue().next_due(&[lane]).await.unwrap().is_some() {
            return Some(lane);
        }
    }
    None
}

/// Has so many things happen in a project at once.
pub(crate) async fn much_happens(app: &TestApp, count: usize, project: &str) {
    let events: Vec<_> = (0..count).map(|_| new_event(app, EventType::TaskCreated, project)).collect();
    let transaction = app.store.begin().await.unwrap();
    app.services.events.tell(&*transaction, &events).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Gives a webhook so many deliveries that wait for another attempt, which is to be made in a day.
pub(crate) async fn backlog(app: &TestApp, webhook: &str, count: usize) {
    let now = app.clock.now();
    let delivery = || Delivery {
        id: DeliveryId::generate(),
        webhook_id: WebhookId::parse(webhook).unwrap(),
        event_id: EventId::generate(),
        event_type: EventType::TaskCreated,
        status: DeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: Some(now.plus(Duration::from_hours(24))),
        created_at: now,
    };
    let records: Vec<_> = (0..count).map(|_| DeliveryRecord { delivery: delivery(), payload: None }).collect();
    let transaction = app.store.begin().await.unwrap();
    transaction.deliveries().add(&records).await.unwrap();
    transaction.commit().await.unwrap();
}

/// How many deliveries of a webhook have a status.
pub(crate) async fn count(user: &Client, webhook: &str, status: &str) -> u64 {
    let path = format!("{WEBHOOKS}/{webhook}/deliveries?limit=1&status={status}");
    user.get(path).await.ok()["meta"]["total"].as_u64().unwrap()
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, within: Duration, is_so: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + within;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "it takes too long until {what}");
        tokio::task::yield_now().await;
    }
}

/// Workers that run until they are dropped.
pub(crate) struct Working(JoinHandle<()>);

impl Working {
    pub(crate) fn start(app: &TestApp) -> Self {
        let runner = app.runner.clone();
        Self(tokio::spawn(async move { runner.run(tokio_util::sync::CancellationToken::new()).await }))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.abort();
    }
}
