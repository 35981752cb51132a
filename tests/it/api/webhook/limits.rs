//! Limits of deliveries: a webhook is no weapon against its receiver, and no burden on other users.

use std::time::Duration;

use pocket_tasks::contract::Timestamp;
use pocket_tasks::contract::event::EventType;
use serde_json::{Value, json};

use crate::api::fixtures::webhooks::{
    LOCAL, WEBHOOKS, count_deliveries, deliveries, emit_event, emit_events, fan_out, options, webhook,
};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, Receiver, TestApp, TestDatabase};

/// Maximum number of webhooks of a user.
const MAX_WEBHOOKS: usize = 50;

/// Maximum number of operations of a batch.
const BATCH_SIZE: usize = 100;

/// App with the default rates of deliveries.
async fn limited_app(database: &TestDatabase) -> TestApp {
    TestApp::new(database, Options { variables: LOCAL.into(), ..Options::default() }).await
}

/// Creates as many webhooks of one receiver as a user may have.
async fn aim(user: &Client, receiver: &Receiver) -> Vec<String> {
    let mut webhooks = Vec::new();
    for number in 0..MAX_WEBHOOKS {
        webhooks.push(webhook(user, &format!("{}?{number}", receiver.url)).await.id());
    }
    webhooks
}

/// Creates as many tasks in a project as one request may.
async fn create_batch(user: &Client, project: &str) {
    let operations = vec![json!({"op": "create", "title": "x"}); BATCH_SIZE];
    user.post(format!("/v1/projects/{project}/tasks/batch"), json!({"operations": operations})).await.ok();
}

/// Number of stored deliveries, and of jobs that deliver.
async fn stored_work(app: &TestApp, database: &TestDatabase) -> (usize, usize) {
    let jobs = app.store.read().queue().list_unfinished().await.unwrap();
    let deliveries = Raw::connect(database).await.texts("SELECT status FROM deliveries", "status").await;
    (deliveries.len(), jobs.iter().filter(|job| job.kind == "deliver_webhook").count())
}

on_both_databases! {
    async fn two_requests_reach_a_host_at_its_rate_and_store_only_attempts(database: TestDatabase) {
        let app = limited_app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let project = user.project().await;
        aim(&user, &receiver).await;
        app.work().await;
        let begin = app.clock.now();
        for _ in 0..2 {
            create_batch(&user, &project).await;
        }
        assert_eq!(stored_work(&app, &database).await, (0, 0), "the requests did nothing for webhooks");
        for second in 0..10 {
            app.work().await;
            let elapsed = usize::try_from((app.clock.now().0 - begin.0) / 1_000).unwrap();
            let sent = receiver.messages().len();
            assert!(sent <= (elapsed + 1) * 10, "{sent} in {elapsed} s");
            assert!(sent >= (second + 1) * 10, "{sent} after {second} s: the deliveries make progress");
            app.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(stored_work(&app, &database).await, (receiver.messages().len(), MAX_WEBHOOKS));
    }

    async fn a_flood_of_batches_stores_nothing_and_costs_other_users_nothing(database: TestDatabase) {
        let app = limited_app(&database).await;
        let (user, other, receiver) = (app.user().await, app.user().await, Receiver::new("200 OK"));
        let (project, quiet) = (user.project().await, other.project().await);
        aim(&user, &receiver).await;
        app.work().await;
        for _ in 0..55 {
            create_batch(&user, &project).await;
        }
        fan_out(&app).await;
        // One job per webhook, however many events there are.
        assert_eq!(stored_work(&app, &database).await, (0, MAX_WEBHOOKS));
        let mut raw = Raw::connect(&database).await;
        let state = async |raw: &mut Raw| {
            let mut state = raw.texts("SELECT CAST(pending_through AS text) AS value FROM webhooks", "value").await;
            state.extend(raw.texts("SELECT CAST(sequence AS text) AS value FROM webhook_fan_out", "value").await);
            state
        };
        let before = state(&mut raw).await;
        other.post(format!("/v1/projects/{quiet}/tasks"), json!({"title": "Mine"})).await.created();
        assert_eq!((before.len(), state(&mut raw).await), (MAX_WEBHOOKS + 1, before));
        assert_eq!(stored_work(&app, &database).await, (0, MAX_WEBHOOKS));
    }

    async fn a_user_is_limited_per_minute_without_loss_and_without_delay_of_others(database: TestDatabase) {
        let mut options = options();
        options.variables.retain(|(name, _)| *name != "WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE");
        options.variables.push(("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", "5"));
        let app = TestApp::new(&database, options).await;
        let (user, other) = (app.user().await, app.user().await);
        let (receiver, others) = (Receiver::new("200 OK"), Receiver::new("200 OK"));
        let (project, foreign) = (user.project().await, other.project().await);
        let ids = [webhook(&user, &receiver.url).await.id(), webhook(&user, &format!("{}?2", receiver.url)).await.id()];
        webhook(&other, &others.url).await;
        app.work().await;
        emit_events(&app, 6, &project).await;
        app.work().await;
        assert_eq!(receiver.messages().len(), 5);
        emit_event(&app, EventType::TaskCreated, &foreign).await;
        app.work().await;
        assert_eq!((receiver.messages().len(), others.messages().len()), (5, 1));
        let mut before = 5;
        while before < 12 {
            app.clock.advance(Duration::from_secs(61));
            app.work().await;
            let sent = receiver.messages().len();
            assert!(before < sent && sent <= before + 5, "{before}, then {sent}");
            before = sent;
        }
        for id in ids {
            assert_eq!((count_deliveries(&user, &id, "delivered").await, deliveries(&user, &id).await.len()), (6, 6));
        }
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
    }

    async fn a_waiting_webhook_is_not_woken_by_further_events(database: TestDatabase) {
        let app = limited_app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let project = user.project().await;
        for number in 0..3 {
            webhook(&user, &format!("{}?{number}", receiver.url)).await;
        }
        app.work().await;
        emit_events(&app, 40, &project).await;
        app.work().await;
        let times = async || {
            let jobs = app.store.read().queue().list_unfinished().await.unwrap();
            let mut times: Vec<Timestamp> = jobs.iter().map(|job| job.run_at).collect();
            times.sort();
            times
        };
        let before = times().await;
        assert_eq!(before.len(), 3);
        emit_event(&app, EventType::TaskCreated, &project).await;
        fan_out(&app).await;
        assert_eq!(times().await, before);
    }

    async fn tests_and_redeliveries_count_too(database: TestDatabase) {
        let app = limited_app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let id = webhook(&user, &receiver.url).await.id();
        let begin = app.clock.now();
        for _ in 0..30 {
            user.post_empty(format!("{WEBHOOKS}/{id}/test")).await.expect(202);
        }
        app.work().await;
        let elapsed = usize::try_from((app.clock.now().0 - begin.0) / 1_000).unwrap();
        let sent = receiver.messages().len();
        assert!(sent >= 10 && sent <= (elapsed + 1) * 10, "{sent} in {elapsed} s");
        while count_deliveries(&user, &id, "pending").await > 0 {
            app.clock.advance(Duration::from_secs(1));
            app.work().await;
        }
        assert_eq!(receiver.messages().len(), 30);
        let states: Vec<Value> = deliveries(&user, &id).await.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(states, vec![json!("delivered"); 30]);
    }
}
