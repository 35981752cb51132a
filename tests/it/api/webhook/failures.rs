//! Failed deliveries: retries, backoff and disabling.

use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Queue;
use serde_json::{Value, json};

use crate::api::fixtures::webhooks::{
    WEBHOOKS, app, deliveries, emit_event, options, queue_of_next, run_next_attempt, subscribed_user, webhook,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Mail, POLL_INTERVAL, Receiver, TestApp, TestDatabase};

const SCHEDULE: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

on_both_databases! {
    async fn a_delivery_is_attempted_ten_times_at_the_documented_intervals(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        for (attempts, seconds) in SCHEDULE.into_iter().enumerate() {
            assert_eq!(receiver.messages().len(), attempts + 1);
            let waited = run_next_attempt(&app, &user, &webhook).await;
            // The delay starts at the end of the attempt.
            let (least, most) = (Duration::from_secs(seconds), Duration::from_secs(seconds).mul_f64(1.1));
            assert!(waited >= least && waited <= most + Duration::from_secs(2), "{seconds}: {waited:?}");
        }
        assert_eq!(receiver.messages().len(), 10);
        let delivery = deliveries(&user, &webhook).await.pop().unwrap();
        assert_eq!((&delivery["status"], &delivery["next_attempt_at"]), (&json!("failed"), &Value::Null));
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 10);
        app.clock.advance(Duration::from_hours(200));
        app.work().await;
        assert_eq!(receiver.messages().len(), 10);
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], true, "less than five days have passed");
        let ids: Vec<_> = receiver.messages().iter().map(|one| one.header("webhook-id").to_owned()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let times: Vec<_> = receiver.messages().iter().map(|one| one.header("webhook-timestamp").to_owned()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    }

    async fn every_response_but_2xx_is_a_failure(database: TestDatabase) {
        let app = app(&database).await;
        for (answer, status) in [
            ("200 OK", "delivered"),
            ("202 Accepted", "delivered"),
            ("299 Fine", "delivered"),
            ("301 Moved\r\nlocation: /elsewhere", "pending"),
            ("404 Not Found", "pending"),
            ("429 Too Many", "pending"),
            ("500 Oh", "pending"),
            ("nonsense", "pending"),
        ] {
            let (user, project, webhook, receiver) = subscribed_user(&app, answer).await;
            emit_event(&app, EventType::TaskCreated, &project).await;
            app.work().await;
            let delivery = deliveries(&user, &webhook).await.pop().unwrap();
            assert_eq!(delivery["status"], status, "{answer}: {delivery}");
            assert_eq!(receiver.messages().len(), 1, "{answer}");
            user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        }
        let user = app.user().await;
        let project = user.project().await;
        let gone = Receiver::new("200 OK").url.clone();
        let webhook = webhook(&user, &gone).await.id();
        app.work().await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        let delivery = deliveries(&user, &webhook).await.pop().unwrap();
        let attempt = &delivery["attempts"][0];
        assert_eq!((&attempt["status_code"], &delivery["status"]), (&Value::Null, &json!("pending")));
        assert!(attempt["error"].as_str().unwrap().ends_with('.'), "{attempt}");
    }

    async fn retry_after_delays_the_next_attempt(database: TestDatabase) {
        let app = app(&database).await;
        for (retry_after, least, most) in [(3_600, 3_600, 3_602), (1, 5, 8), (999_999_999_u64, 86_400, 86_402)] {
            let (user, project, webhook, _receiver) =
                subscribed_user(&app, &format!("503 Busy\r\nretry-after: {retry_after}")).await;
            emit_event(&app, EventType::TaskCreated, &project).await;
            app.work().await;
            let waited = run_next_attempt(&app, &user, &webhook).await;
            assert!((least..=most).contains(&waited.as_secs()), "{retry_after}: {waited:?}");
            user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        }
    }

    async fn a_410_response_disables_the_webhook(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        receiver.answers("410 Gone");
        emit_event(&app, EventType::TaskUpdated, &project).await;
        app.work().await;
        let disabled = user.get(format!("{WEBHOOKS}/{webhook}")).await.ok();
        assert_eq!((&disabled["enabled"], &disabled["version"]), (&json!(false), &json!(2)));
        let reason = disabled["disabled_reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("410"), "{reason}");
        let all = deliveries(&user, &webhook).await;
        assert!(all.len() == 2 && all.iter().all(|one| one["status"] == "failed"), "{all:?}");
        let mail = app.mails_to(user.email()).into_iter().find(|mail| mail.subject == "A webhook was disabled").unwrap();
        for part in [reason.as_str(), receiver.url.as_str(), webhook.as_str()] {
            assert!(mail.text.contains(part), "{part}: {}", mail.text);
        }
        emit_event(&app, EventType::TaskUpdated, &project).await;
        app.clock.advance(Duration::from_hours(24));
        app.work().await;
        assert_eq!(receiver.messages().len(), 2);
        let enabled = user.patch(format!("{WEBHOOKS}/{webhook}"), json!({"enabled": true})).await.ok();
        assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&json!(true), &Value::Null));
    }

    async fn five_days_of_failures_disable_the_webhook(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        let fail = async || {
            emit_event(&app, EventType::TaskCreated, &project).await;
            app.work().await;
            user.get(&path).await.ok()["enabled"] == true
        };
        assert!(fail().await);
        app.clock.advance(Duration::from_hours(119));
        assert!(fail().await, "after less than five days");
        receiver.answers("200 OK");
        assert!(fail().await);
        receiver.answers("500 Oh");
        app.clock.advance(Duration::from_hours(2));
        assert!(fail().await, "a success restarts the period");
        app.clock.advance(Duration::from_hours(119));
        assert!(fail().await, "less than five days after the success");
        app.clock.advance(Duration::from_hours(2));
        assert!(!fail().await, "after five days");
        let disabled = user.get(&path).await.ok();
        assert!(disabled["disabled_reason"].as_str().unwrap().contains("five days"), "{disabled}");
        let all = deliveries(&user, &webhook).await;
        assert!(all.iter().all(|one| one["next_attempt_at"].is_null()), "{all:?}");
        let is_notice = |mail: &Mail| mail.subject == "A webhook was disabled" && mail.text.contains(&webhook);
        let mails = |app: &TestApp| app.mails_to(user.email()).iter().filter(|mail| is_notice(mail)).count();
        assert_eq!(mails(&app), 1);
        user.patch(&path, json!({"enabled": true})).await.ok();
        assert!(fail().await, "enabling it restarts the period");
        assert_eq!(mails(&app), 1);
    }

    async fn failed_tests_do_not_disable_the_webhook(database: TestDatabase) {
        let app = app(&database).await;
        let (user, _, webhook, receiver) = subscribed_user(&app, "410 Gone").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        for _ in 0..2 {
            user.post_empty(format!("{path}/test")).await.expect(202);
            app.work().await;
            assert_eq!(user.get(&path).await.ok()["enabled"], true);
            app.clock.advance(Duration::from_hours(6 * 24));
        }
        assert!(receiver.messages().len() >= 2);
    }

    async fn a_failing_webhook_uses_the_degraded_queue_until_it_succeeds(database: TestDatabase) {
        let app = app(&database).await;
        let (_user, project, _webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::Webhooks));
        app.work().await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::WebhooksDegraded));
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(queue_of_next(&app).await, Some(Queue::WebhooksDegraded));
        receiver.answers("200 OK");
        app.work().await;
        // The first delivery is due for another attempt.
        assert_eq!(queue_of_next(&app).await, Some(Queue::Webhooks));
        app.clock.advance(Duration::from_secs(6));
        app.work().await;
        assert_eq!(queue_of_next(&app).await, None);
    }

    async fn a_hanging_receiver_does_not_delay_others(database: TestDatabase) {
        let app = app(&database).await;
        let (user, silent, good) = (app.user().await, Receiver::new("200 OK"), Receiver::new("200 OK"));
        silent.falls_silent();
        let project = user.project().await;
        for (number, receiver) in [&silent, &silent, &silent, &good].into_iter().enumerate() {
            webhook(&user, &format!("{}?{number}", receiver.url)).await;
        }
        let shutdown = tokio_util::sync::CancellationToken::new();
        let running = tokio::spawn({
            let (runner, shutdown) = (app.runner.clone(), shutdown.clone());
            async move { runner.run(shutdown).await }
        });
        emit_event(&app, EventType::TaskCreated, &project).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while good.messages().is_empty() || silent.messages().len() < 3 {
            assert!(tokio::time::Instant::now() < deadline, "a receiver waits for another one");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        running.abort();
        drop(shutdown);
    }

    async fn retry_delays_are_configurable(database: TestDatabase) {
        let mut options = options();
        options.variables.push(("WEBHOOK_RETRY_SECONDS", "2,7"));
        let app = TestApp::new(&database, options).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        assert_eq!(receiver.messages().len(), 0);
        app.clock.advance(Duration::from_secs(3));
        app.work().await;
        assert_eq!(receiver.messages().len(), 1);
        assert!(run_next_attempt(&app, &user, &webhook).await >= Duration::from_secs(7));
        assert_eq!(receiver.messages().len(), 2);
        assert_eq!(deliveries(&user, &webhook).await[0]["status"], "failed");
    }

    async fn deliveries_created_while_a_job_ends_are_not_lost(database: TestDatabase) {
        let app = Arc::new(app(&database).await);
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let shutdown = tokio_util::sync::CancellationToken::new();
        let running = tokio::spawn({
            let (runner, shutdown) = (app.runner.clone(), shutdown.clone());
            async move { runner.run(shutdown).await }
        });
        let mut writers = Vec::new();
        for _ in 0..4 {
            let (app, project) = (Arc::clone(&app), project.clone());
            writers.push(tokio::spawn(async move {
                for _ in 0..15 {
                    emit_event(&app, EventType::TaskCreated, &project).await;
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while receiver.messages().len() < 60 {
            assert!(tokio::time::Instant::now() < deadline, "{} of 60 came", receiver.messages().len());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        shutdown.cancel();
        running.await.unwrap();
        assert!(deliveries(&user, &webhook).await.iter().all(|one| one["status"] == "delivered"));
    }
}
