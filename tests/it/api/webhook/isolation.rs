//! Nobody's receivers keep those of others waiting, however many of them hang, and in whatever way.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pocket_tasks::contract::WebhookId;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::{Health, Lane};
use pocket_tasks::webhooks::{Lookup, Turn};

use crate::api::fixtures::webhooks::{
    WEBHOOKS, Working, app, count, happens, lane_of_next, much_happens, options, scene, until, webhook,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, Receiver, TestApp, TestDatabase};

/// Far longer than anything here takes, so that a slow machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Timeout of requests, longer than the test: a receiver that hangs does so until the end.
const FOREVER: Duration = Duration::from_secs(3600);

/// Less than the 15 s that a receiver has to answer.
const PROMPTLY: Duration = Duration::from_secs(8);

/// As many webhooks a user may have; three of these have more than there are places in a lane.
const MOST: usize = 50;
const OWNERS: usize = 3;

/// How the receivers of others misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Silent,
    Dripping,
    /// Nobody answers what their addresses are.
    Nameless,
}

/// Looks names up for ever that begin like this, and knows all others.
const NAMELESS: &str = "nameless";

#[derive(Default)]
struct Names {
    asked: AtomicUsize,
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str, turn: Turn) -> io::Result<Vec<IpAddr>> {
        if name.starts_with(NAMELESS) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            // As a thread that goes on when nobody waits for it any more.
            std::mem::forget(turn);
            return std::future::pending().await;
        }
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Makes a webhook one of those that do not answer well, or one of the others.
async fn set_ailing(app: &TestApp, webhook: &str, is_ailing: bool) {
    let transaction = app.store.begin().await.unwrap();
    let record = transaction.webhooks().lock(WebhookId::parse(webhook).unwrap()).await.unwrap().unwrap();
    let health = Health { is_ailing, ..record.health };
    transaction.webhooks().update(&record.webhook, &health).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Whoever answers gets its event while those of others hang that are due before it: some because something happened,
/// some because they are tried out.
async fn nobody_waits_for_others(database: &TestDatabase, way: Way, is_ailing: bool) {
    let names = Arc::new(Names::default());
    let lookup = Arc::clone(&names) as Arc<dyn Lookup>;
    let (lookup, webhook_timeout) = (Some(lookup), Some(FOREVER));
    let app = &TestApp::new(database, Options { lookup, webhook_timeout, ..options() }).await;
    let (bad, good) = (Receiver::new("200 OK").await, Receiver::new("200 OK").await);
    match way {
        Way::Silent => bad.falls_silent(),
        Way::Dripping => bad.drips(),
        Way::Nameless => {}
    }
    // Each has a name of its own, as those of one who means harm would.
    let url = |receiver: &Receiver, name: String| receiver.url.replace("127.0.0.1", &format!("{name}.example"));
    let user = app.user().await;
    let project = user.project().await;
    let of_user = webhook(&user, &url(&good, "good".to_owned())).await.id();
    set_ailing(app, &of_user, is_ailing).await;
    if way == Way::Nameless {
        // Not even those of the same owner, who has room for them all.
        for number in 0..10 {
            let id = webhook(&user, &url(&bad, format!("{NAMELESS}{number}"))).await.id();
            set_ailing(app, &id, is_ailing).await;
            for _ in 0..4 {
                user.post_empty(format!("{WEBHOOKS}/{id}/test")).await.expect(202);
            }
        }
    }
    for _ in 0..OWNERS {
        let other = app.user().await;
        let others = other.project().await;
        for number in 0..MOST {
            let name = if way == Way::Nameless { NAMELESS } else { "bad" };
            let id = webhook(&other, &url(&bad, format!("{name}{number}"))).await.id();
            set_ailing(app, &id, is_ailing).await;
            if number % 2 == 0 {
                other.post_empty(format!("{WEBHOOKS}/{id}/test")).await.expect(202);
            }
        }
        much_happens(app, 2, &others).await;
    }
    // The mails about the new webhooks are not what is waited for.
    while app.runner.run_due(&[Lane::Slow]).await.unwrap() > 0 {}
    happens(app, EventType::TaskCreated, &project).await;
    let _working = Working::start(app);
    until("it arrives", PATIENCE, async || good.messages().len() == 1).await;
    let tried = bad.messages().len() + names.asked.load(Ordering::SeqCst);
    assert!(tried > 0, "the others are not waited for");
    // And again, while they are.
    happens(app, EventType::TaskUpdated, &project).await;
    until("the next arrives", PATIENCE, async || good.messages().len() == 2).await;
}

on_both_databases! {
    async fn whoever_answers_does_not_wait_for_those_who_are_silent(database: TestDatabase) {
        nobody_waits_for_others(&database, Way::Silent, false).await;
    }

    async fn whoever_answers_does_not_wait_for_those_who_go_on_talking(database: TestDatabase) {
        nobody_waits_for_others(&database, Way::Dripping, false).await;
    }

    async fn whoever_has_a_name_does_not_wait_for_those_whose_names_nobody_tells(database: TestDatabase) {
        nobody_waits_for_others(&database, Way::Nameless, false).await;
    }

    async fn whoever_has_a_name_again_does_not_wait_for_those_who_have_none(database: TestDatabase) {
        nobody_waits_for_others(&database, Way::Nameless, true).await;
    }

    async fn whoever_is_there_again_does_not_wait_for_those_who_are_not(database: TestDatabase) {
        nobody_waits_for_others(&database, Way::Silent, true).await;
    }

    async fn a_test_that_fails_has_its_webhook_kept_apart_until_one_succeeds(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "500 Oh").await;
        let test = async || {
            user.post_empty(format!("{WEBHOOKS}/{webhook}/test")).await.expect(202);
            app.work().await;
        };
        test().await;
        assert_eq!(lane_of_next(&app).await, Some(Lane::Failing), "it is to be attempted again");
        receiver.answers("200 OK");
        test().await;
        app.clock.advance(Duration::from_secs(6));
        app.work().await;
        assert_eq!(lane_of_next(&app).await, None);
        happens(&app, EventType::TaskCreated, &project).await;
        assert_eq!(lane_of_next(&app).await, Some(Lane::Webhooks));
    }

    async fn whoever_takes_long_over_an_answer_is_kept_apart_although_it_is_a_good_one(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
        receiver.drips();
        happens(&app, EventType::TaskCreated, &project).await;
        assert_eq!(lane_of_next(&app).await, Some(Lane::Webhooks));
        let begin = tokio::time::Instant::now();
        app.work().await;
        assert!(begin.elapsed() < PROMPTLY, "it is listened to for a moment");
        assert_eq!(count(&user, &webhook, "delivered").await, 1);
        happens(&app, EventType::TaskCreated, &project).await;
        assert_eq!(lane_of_next(&app).await, Some(Lane::Failing));
        receiver.answers("200 OK");
        app.work().await;
        happens(&app, EventType::TaskCreated, &project).await;
        assert_eq!(lane_of_next(&app).await, Some(Lane::Webhooks));
    }

    async fn a_test_that_fails_is_no_part_of_the_five_days_and_one_that_goes_well_ends_them(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "500 Oh").await;
        happens(&app, EventType::TaskCreated, &project).await;
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
