//! Query plans of webhooks: subscriptions and due, cancelled or stalled deliveries are found by indexes.

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::strings::{EventName, WebhookUrl};
use pocket_tasks::contract::webhook::Webhook;
use pocket_tasks::contract::webhook::delivery::{Delivery, DeliveryStatus};
use pocket_tasks::contract::{DeliveryId, EventId, WebhookId};
use pocket_tasks::repositories::{DeliveryRecord, EndpointHealth, FeedCursor, Store as _, WebhookRecord};

use super::feed_order::new_event;
use super::fixtures::{at, commit};
use super::plans::Planner;
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{TestDatabase, databases};

/// New webhook of the user for all events, not stored.
pub(super) fn new_webhook(user: &User) -> WebhookRecord {
    let webhook = Webhook {
        id: WebhookId::generate(),
        url: WebhookUrl::new_unchecked("https://example.com/"),
        project_id: None,
        events: vec![EventName::new_unchecked("*")],
        description: None,
        enabled: true,
        disabled_reason: None,
        version: 1,
        created_at: at(3),
        updated_at: at(3),
    };
    let (health, cursor) = (EndpointHealth::default(), FeedCursor::default());
    WebhookRecord { webhook, owner: user.id, api_token: None, health, cursor, secret: b"one".to_vec() }
}

fn new_delivery(webhook: WebhookId) -> DeliveryRecord {
    let delivery = Delivery {
        id: DeliveryId::generate(),
        webhook_id: webhook,
        event_id: EventId::generate(),
        event_type: EventType::TaskCreated,
        status: DeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: Some(at(5)),
        created_at: at(4),
    };
    DeliveryRecord { delivery, payload: None }
}

/// Planner for a database with one webhook and a few deliveries.
async fn with_deliveries(database: &TestDatabase) -> (Planner, WebhookId) {
    let planner = Planner::new(database).await;
    let (store, record) = (database.store().await, new_webhook(&planner.user));
    let id = record.webhook.id;
    commit(&store, async |transaction| {
        transaction.webhooks().add(&record).await.unwrap();
        transaction.deliveries().add(&[new_delivery(id), new_delivery(id)]).await.unwrap();
    })
    .await;
    (planner, id)
}

/// Generic plan of the sent statement with these words; on SQLite, which does not report its statements, of the one written
/// by hand.
async fn plan(planner: &mut Planner, words: &str, by_hand: &str) -> String {
    let sql = match planner.raw {
        Raw::Sqlite(_) => by_hand.to_owned(),
        Raw::Postgres(_) => planner.sent(words).await,
    };
    format!("{sql}\n{}", planner.generic_plan(&sql).await.replace('"', "").replace("COVERING ", ""))
}

/// Plan on SQLite of the statement that was sent to PostgreSQL, which differs only in the names of parameters.
async fn plan_on_sqlite(plan: &str) -> String {
    let sql = plan.lines().next().unwrap();
    let sqlite = databases::sqlite().await;
    let plan = Planner::new(&sqlite).await.generic_plan(sql).await;
    sqlite.remove().await;
    format!("{sql}\n{}", plan.replace('"', "").replace("COVERING ", ""))
}

/// Asserts that due deliveries of a webhook are read from their index in order.
async fn goes_by_what_is_due(planner: &mut Planner, words: &str, by_hand: &str) {
    let first = plan(planner, words, by_hand).await;
    let mut plans = vec![(matches!(planner.raw, Raw::Postgres(_)), first)];
    if plans[0].0 {
        plans.push((false, plan_on_sqlite(&plans[0].1).await));
    }
    for (is_postgres, plan) in plans {
        let found = if is_postgres {
            "deliveries_due on deliveries"
        } else {
            "deliveries USING INDEX deliveries_due (webhook_id=?"
        };
        assert!(plan.contains(found), "{plan}");
        for sign in ["SCAN deliveries", "TEMP B-TREE", "Seq Scan on deliveries", "Sort"] {
            assert!(!plan.contains(sign), "{sign}: {plan}");
        }
    }
}

on_both_databases! {
    async fn the_subscriptions_of_an_event_are_found_by_project_membership(database: TestDatabase) {
        let (mut planner, webhook) = with_deliveries(&database).await;
        let store = database.store().await;
        let receivers = store.read().webhooks().list_subscriptions(&[planner.project.id]).await.unwrap();
        assert_eq!(receivers.iter().map(|receiver| receiver.webhook).collect::<Vec<_>>(), [webhook]);
        let by_hand = "SELECT w.id, w.events, m.project_id, m.role FROM members m JOIN users u ON m.user_id = u.id \
                       JOIN webhooks w ON w.user_id = m.user_id WHERE m.project_id IN (?) AND u.deleted_at IS NULL \
                       AND w.enabled = ? AND (w.project_id IS NULL OR w.project_id = m.project_id)";
        let plan = plan(&mut planner, "SELECT \"webhooks\".\"id\", \"webhooks\".\"events\", \"members\"", by_hand).await;
        if !database.is_postgres() {
            assert!(plan.contains("(project_id=?") && plan.contains("webhooks_by_user (user_id=?"), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
            return;
        }
        assert!(plan.contains("members_pkey on members") && plan.contains("webhooks_by_user on webhooks"), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
        let plan = plan_on_sqlite(&plan).await;
        assert!(plan.contains("webhooks_by_user (user_id=?") && !plan.contains("SCAN"), "{plan}");
    }

    async fn deliveries_are_found_by_their_keys(database: TestDatabase) {
        let (mut planner, webhook) = with_deliveries(&database).await;
        let (store, event) = (database.store().await, new_event(planner.project.id, EventType::TaskUpdated));
        let id = event.id;
        commit(&store, async |transaction| transaction.events().append(&[event]).await.unwrap()).await;
        let found = store.read().deliveries().find_deliverable(webhook, id).await.unwrap().unwrap();
        assert_eq!((found.webhook.webhook.id, found.event.id, found.role), (webhook, id, Role::Owner));
        for (webhook, event) in [(WebhookId::generate(), id), (webhook, EventId::generate())] {
            assert!(store.read().deliveries().find_deliverable(webhook, event).await.unwrap().is_none());
        }
        let by_hand = "SELECT webhooks.*, events.*, members.role FROM webhooks \
                       JOIN users ON webhooks.user_id = users.id JOIN members ON members.user_id = webhooks.user_id \
                       JOIN events ON members.project_id = events.project_id \
                       WHERE webhooks.id = ? AND webhooks.removed_at IS NULL AND users.deleted_at IS NULL AND events.id = ?";
        let plan = plan(&mut planner, "AS \"event\\_id\"", by_hand).await;
        // A single membership can be found by either index.
        for sign in ["SCAN", "Seq Scan", "events_by_project", "webhooks_by_user"] {
            assert!(!plan.contains(sign), "{sign}: {plan}");
        }
    }

    async fn due_deliveries_are_read_from_their_index(database: TestDatabase) {
        let (mut planner, webhook) = with_deliveries(&database).await;
        let store = database.store().await;
        assert_eq!(store.read().deliveries().list_due(webhook, at(9), 50).await.unwrap().len(), 2);
        let by_hand = "SELECT id, event_id, event_type, created_at FROM deliveries WHERE webhook_id = ? \
                       AND next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT ?";
        goes_by_what_is_due(&mut planner, "SELECT%\"next\\_attempt\\_at\" <= ", by_hand).await;
        assert_eq!(store.read().deliveries().next_due(webhook).await.unwrap(), Some(at(5)));
        let by_hand = "SELECT next_attempt_at FROM deliveries WHERE webhook_id = ? AND next_attempt_at IS NOT NULL \
                       ORDER BY next_attempt_at LIMIT ?";
        goes_by_what_is_due(&mut planner, "SELECT \"deliveries\".\"next\\_attempt\\_at\" FROM", by_hand).await;
    }

    async fn cancelled_and_stalled_deliveries_are_found_by_the_same_index(database: TestDatabase) {
        let (mut planner, webhook) = with_deliveries(&database).await;
        let store = database.store().await;
        let found = store.read().webhook_maintenance().list_stalled_webhooks(None, at(9), 50).await.unwrap();
        assert_eq!((found.webhooks, found.next), (vec![(webhook, false)], None));
        let by_hand = "SELECT id, is_degraded, EXISTS(SELECT ? FROM deliveries WHERE deliveries.webhook_id = webhooks.id \
                       AND deliveries.next_attempt_at < ?) OR (enabled = ? AND feed_position < pending_through) FROM webhooks WHERE id > ? ORDER BY id LIMIT ?";
        goes_by_what_is_due(&mut planner, "SELECT%EXISTS%\"is\\_stalled\"", by_hand).await;
        for (before, limit, expected) in [(at(5), 50, None), (at(6), 50, None), (at(6), 1, Some(webhook))] {
            let found = store.read().webhook_maintenance().list_stalled_webhooks(None, before, limit).await.unwrap();
            assert_eq!((found.webhooks.len(), found.next), (usize::from(before == at(6)), expected));
        }
        assert!(store.read().webhook_maintenance().list_stalled_webhooks(Some(webhook), at(9), 50).await.unwrap().webhooks.is_empty());

        let transaction = store.begin().await.unwrap();
        assert_eq!(transaction.deliveries().cancel_pending(webhook, at(3), 9).await.unwrap(), 0);
        assert_eq!(transaction.deliveries().cancel_pending(webhook, at(4), 1).await.unwrap(), 1);
        // Before the commit, because the server reports only the last statement of each connection.
        let by_hand = "UPDATE deliveries SET status = ?, next_attempt_at = ? WHERE id IN (SELECT id FROM deliveries \
                       WHERE webhook_id = ? AND next_attempt_at IS NOT NULL AND event_type <> ? AND created_at + ? <= ? \
                       ORDER BY next_attempt_at, id LIMIT ?)";
        let plan = plan(&mut planner, "UPDATE \"deliveries\"%LIMIT", by_hand).await;
        drop(transaction);
        assert!(plan.contains("deliveries_due") && !plan.contains("Seq Scan") && !plan.contains("SCAN"), "{plan}");
    }
}
