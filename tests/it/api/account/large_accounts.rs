//! Accounts with many projects and sessions. Deletion and restoration are decided at once and carried out in portions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::events::{events_after, last_sequence, types};
use crate::api::fixtures::stored_members::add_member;
use crate::on_both_databases;
use crate::support::{Client, TestApp};
use pocket_tasks::contract::{SessionId, UserId};
use pocket_tasks::repositories::NewSession;

/// Number of projects: two portions and a half.
const PROJECTS: usize = 500;

/// Maximum number of projects that one transaction changes.
const PORTION: i64 = 200;

async fn owner_of_projects(app: &TestApp) -> Client {
    let owner = app.user().await;
    for _ in 0..PROJECTS {
        owner.project().await;
    }
    owner
}

async fn total(client: &Client, path: &str) -> Value {
    client.get(path).await.ok()["meta"]["total"].clone()
}

fn id(client: &Client) -> UserId {
    UserId::parse(client.user_id()).unwrap()
}

on_both_databases! {
    async fn deletion_and_restoration_of_an_account_change_a_bounded_number_of_projects_at_once(app: TestApp) {
        let (owner, friend) = (owner_of_projects(&app).await, app.user().await);
        let shared = friend.project().await;
        add_member(&app, &shared, &owner, "editor").await;
        let trashed = owner.project().await;
        owner.delete(format!("/v1/projects/{trashed}")).await.no_content();
        app.work().await;
        let mut before = last_sequence(&app).await;
        owner.delete("/v1/me").await.no_content();
        assert_eq!(last_sequence(&app).await - before, PORTION + 1);
        assert_eq!(total(&friend, &format!("/v1/projects/{shared}/members")).await, 1);
        // A worker that dies before its job completes.
        assert!(app.services.account_deletion.apply_state(id(&owner)).await.unwrap());
        app.work().await;
        let events = events_after(&app, before).await;
        assert_eq!(events.len(), PROJECTS + 1);
        assert_eq!(types(&events).iter().filter(|kind| **kind == "project.deleted").count(), PROJECTS);
        assert_eq!(types(&events).iter().filter(|kind| **kind == "member.removed").count(), 1);

        before = last_sequence(&app).await;
        let owner = log_in_again(&app, &owner).await;
        assert_eq!(last_sequence(&app).await - before, PORTION + 1);
        assert_eq!(total(&owner, "/v1/projects?role=owner").await, PORTION);
        app.work().await;
        assert_eq!(total(&owner, "/v1/projects?role=owner").await, PROJECTS);
        assert_eq!(total(&owner, "/v1/projects?deleted=true").await, 1);
        let events = events_after(&app, before).await;
        assert_eq!(types(&events).iter().filter(|kind| **kind == "project.restored").count(), PROJECTS);
        assert_eq!(types(&events).iter().filter(|kind| **kind == "member.added").count(), 1);
        for event in events.iter().filter(|event| event["type"] == "project.restored") {
            assert!(event["previous"]["deleted_at"].is_string(), "{event}");
            assert_eq!(event["data"]["deleted_at"], Value::Null);
        }
    }

    async fn a_login_ends_the_oldest_sessions_beyond_a_thousand(app: TestApp) {
        let user = app.user().await;
        app.clock.advance(Duration::from_secs(1));
        let now = app.clock.now();
        let transaction = app.store.begin().await.unwrap();
        for _ in 0..999 {
            let (user_id, id) = (id(&user), SessionId::generate());
            let expires_at = now + Duration::from_hours(24);
            let session = NewSession { id, user_id, user_agent: None, created_at: now, expires_at };
            transaction.sessions().add(&session).await.unwrap();
        }
        transaction.commit().await.unwrap();
        user.get("/v1/me").await.ok();
        app.clock.advance(Duration::from_secs(1));
        let again = log_in_again(&app, &user).await;
        user.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        assert_eq!(total(&again, "/v1/me/sessions").await, 1_000);
    }

    async fn a_login_during_the_deletion_of_projects_restores_all_of_them(app: TestApp) {
        let owner = owner_of_projects(&app).await;
        let before = last_sequence(&app).await;
        owner.delete("/v1/me").await.no_content();
        assert!(app.services.account_deletion.apply_state(id(&owner)).await.unwrap());
        // Of 500 projects, 400 are deleted, and the login restores 200 of these.
        let owner = log_in_again(&app, &owner).await;
        assert_eq!(total(&owner, "/v1/projects").await, 300);
        app.work().await;
        assert_eq!(total(&owner, "/v1/projects").await, PROJECTS);
        let events = events_after(&app, before).await;
        assert_eq!(events.len(), 800, "each deleted project was restored once");
        owner.patch("/v1/me", json!({"name": "Ada"})).await.ok();
    }
}
