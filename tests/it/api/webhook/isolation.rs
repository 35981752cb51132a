//! Isolation of webhooks: hanging receivers of other users do not delay deliveries.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pocket_tasks::contract::WebhookId;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::{EndpointHealth, Queue, WebhookRecord};
use pocket_tasks::webhooks::Resolver;

use crate::api::fixtures::webhooks::{
    RunningWorker, WEBHOOKS, app, count_deliveries, emit_event, emit_events, options, queue_of_next, subscribed_user,
    wait_until, webhook,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, Receiver, TestApp, TestDatabase};

/// Test timeout, generous for slow machines.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Request timeout longer than the test, so that hanging receivers hang until its end.
const REQUEST_TIMEOUT: Duration = Duration::from_hours(1);

/// Shorter than the response timeout of receivers.
const PROMPTLY: Duration = Duration::from_secs(8);

/// Maximum number of webhooks per user; the owners together have more than a queue has slots.
const MAX_PER_USER: usize = 50;
const OWNERS: usize = 3;

/// Misbehaviour of the receivers of other users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misbehaviour {
    Silent,
    Dripping,
    /// Their names do not resolve.
    Nameless,
}

/// Prefix of names whose resolution never ends.
const NAMELESS: &str = "nameless";

#[derive(Default)]
struct Names {
    asked: AtomicUsize,
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if name.starts_with(NAMELESS) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Marks a webhook as degraded or healthy.
async fn set_degraded(app: &TestApp, webhook: &str, is_degraded: bool) {
    let transaction = app.store.begin().await.unwrap();
    let record = transaction.webhooks().lock(WebhookId::parse(webhook).unwrap()).await.unwrap().unwrap();
    let health = EndpointHealth { is_degraded, ..record.health };
    transaction.webhooks().update(&WebhookRecord { health, ..record }).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Asserts that a healthy receiver gets its events while earlier deliveries and tests for other receivers hang.
async fn check_isolation(database: &TestDatabase, misbehaviour: Misbehaviour, is_degraded: bool) {
    let names = Arc::new(Names::default());
    let resolver = Arc::clone(&names) as Arc<dyn Resolver>;
    let (webhook_timeout, resolver) = (Some(REQUEST_TIMEOUT), Some(resolver));
    let app = &TestApp::new(database, Options { webhook_timeout, resolver, ..options() }).await;
    let (bad, good) = (Receiver::new("200 OK"), Receiver::new("200 OK"));
    match misbehaviour {
        Misbehaviour::Silent => bad.falls_silent(),
        Misbehaviour::Dripping => bad.drips(),
        Misbehaviour::Nameless => {}
    }
    // Each webhook has its own host name, as those of an attacker would.
    let url = |receiver: &Receiver, name: String| receiver.url.replace("127.0.0.1", &format!("{name}.example"));
    let user = app.user().await;
    let project = user.project().await;
    let of_user = webhook(&user, &url(&good, "good".to_owned())).await.id();
    set_degraded(app, &of_user, is_degraded).await;
    if misbehaviour == Misbehaviour::Nameless {
        // The webhooks of the same owner hang too, within the owner's limits.
        for number in 0..10 {
            let id = webhook(&user, &url(&bad, format!("{NAMELESS}{number}"))).await.id();
            set_degraded(app, &id, is_degraded).await;
            for _ in 0..4 {
                user.post_empty(format!("{WEBHOOKS}/{id}/test")).await.expect(202);
            }
        }
    }
    for _ in 0..OWNERS {
        let other = app.user().await;
        let others = other.project().await;
        for number in 0..MAX_PER_USER {
            let name = if misbehaviour == Misbehaviour::Nameless { NAMELESS } else { "bad" };
            let id = webhook(&other, &url(&bad, format!("{name}{number}"))).await.id();
            set_degraded(app, &id, is_degraded).await;
            if number % 2 == 0 {
                other.post_empty(format!("{WEBHOOKS}/{id}/test")).await.expect(202);
            }
        }
        emit_events(app, 2, &others).await;
    }
    // Sends the notices about the new webhooks first.
    while app.runner.run_due(&[Queue::Mail]).await.unwrap() > 0 {}
    emit_event(app, EventType::TaskCreated, &project).await;
    let _working = RunningWorker::start(app);
    wait_until("it arrives", TIMEOUT, async || good.messages().len() == 1).await;
    let tried = bad.messages().len() + names.asked.load(Ordering::SeqCst);
    assert!(tried > 0, "no delivery to the other receivers was attempted");
    // The other deliveries are still in progress.
    emit_event(app, EventType::TaskUpdated, &project).await;
    wait_until("the next arrives", TIMEOUT, async || good.messages().len() == 2).await;
}

on_both_databases! {
    async fn a_healthy_receiver_does_not_wait_for_silent_ones(database: TestDatabase) {
        check_isolation(&database, Misbehaviour::Silent, false).await;
    }

    async fn a_healthy_receiver_does_not_wait_for_dripping_ones(database: TestDatabase) {
        check_isolation(&database, Misbehaviour::Dripping, false).await;
    }

    async fn a_healthy_receiver_does_not_wait_for_unresolvable_ones(database: TestDatabase) {
        check_isolation(&database, Misbehaviour::Nameless, false).await;
    }

    async fn a_degraded_receiver_does_not_wait_for_unresolvable_ones(database: TestDatabase) {
        check_isolation(&database, Misbehaviour::Nameless, true).await;
    }

    async fn a_degraded_receiver_does_not_wait_for_silent_ones(database: TestDatabase) {
        check_isolation(&database, Misbehaviour::Silent, true).await;
    }

    async fn a_failed_test_moves_the_webhook_to_the_degraded_queue_until_one_succeeds(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        let test = async || {
            user.post_empty(format!("{WEBHOOKS}/{webhook}/test")).await.expect(202);
            app.work().await;
        };
        test().await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::WebhooksDegraded), "the test is due for another attempt");
        receiver.answers("200 OK");
        test().await;
        app.clock.advance(Duration::from_secs(6));
        app.work().await;
        assert_eq!(queue_of_next(&app).await, None);
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::Webhooks));
    }

    async fn a_slow_success_moves_the_webhook_to_the_degraded_queue(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        receiver.drips();
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::Webhooks));
        let begin = tokio::time::Instant::now();
        app.work().await;
        assert!(begin.elapsed() < PROMPTLY, "the body is read for a limited time");
        assert_eq!(count_deliveries(&user, &webhook, "delivered").await, 1);
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::WebhooksDegraded));
        receiver.answers("200 OK");
        app.work().await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::Webhooks));
    }

    async fn failed_tests_do_not_count_towards_disabling_and_successful_tests_reset_it(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        let since = async || {
            let id = WebhookId::parse(&webhook).unwrap();
            app.store.read().webhooks().find(id).await.unwrap().unwrap().health.failing_since
        };
        let before = since().await;
        assert!(before.is_some());
        for (answer, expected) in [("500 Oh", before), ("200 OK", None), ("500 Oh", None)] {
            receiver.answers(answer);
            user.post_empty(format!("{WEBHOOKS}/{webhook}/test")).await.expect(202);
            app.work().await;
            assert_eq!(since().await, expected, "{answer}");
        }
    }
}
