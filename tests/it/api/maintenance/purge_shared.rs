//! Purging of comments, invitations and memberships shared with others.

use std::time::Duration;

use serde_json::{Value, json};

use super::purge::{PURGED_AFTER, purge};
use crate::api::comment::crud::{at, comment, comments_on, owner_with_task};
use crate::api::fixtures::account::Tables;
use crate::api::fixtures::common::{DAY, log_in_again, with};
use crate::api::fixtures::stored_members::{add_member, member, remove_member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Margin after the 30 days for requests that started at the last moment.
const GRACE: Duration = Duration::from_hours(2);

async fn invite(owner: &Client, project: &str, email: &str) -> Value {
    let body = json!({"email": email, "role": "viewer"});
    owner.post(format!("/v1/projects/{project}/invitations"), body).await.created()
}

/// Numbers of stored comments and invitations.
async fn stored_counts(database: &TestDatabase) -> [usize; 2] {
    let tables = Tables::read(database).await;
    ["comments.id", "invitations.id"].map(|column| tables.column(column).len())
}

on_both_databases! {
    async fn comments_in_shared_projects_are_kept_without_their_author(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, task) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let grace = member(&app, &project, "editor").await;
        // A project she stored_counts, a project she never joined because the task moved there, and a deleted task.
        let (former, never) = (owner.project().await, owner.project().await);
        add_member(&app, &former, &ada, "editor").await;
        let in_former = owner.task(&former, json!({"title": "x"})).await.id();
        let [moved, trashed] = [owner.task(&project, json!({"title": "x"})).await.id(), owner.task(&project, json!({"title": "x"})).await.id()];
        let mut hers = Vec::new();
        for task in [&task, &in_former, &moved, &trashed] {
            hers.push(comment(&ada, task, "Hers").await);
        }
        hers.push(comment(&ada, &task, "Once more").await);
        let others = [comment(&grace, &task, "Grace").await, comment(&owner, &in_former, "Owner").await];
        remove_member(&app, &former, &ada).await;
        owner.post(format!("/v1/tasks/{moved}/move"), json!({"project_id": never})).await.ok();
        ada.delete("/v1/me").await.no_content();
        app.clock.advance(DAY * 20);
        let owner = log_in_again(&app, &owner).await;
        owner.delete(format!("/v1/tasks/{trashed}")).await.no_content();
        app.clock.advance(DAY * 10 + GRACE);
        // The second run changes nothing.
        for _ in 0..2 {
            purge(&app).await;
        }

        assert_eq!(Tables::read(&database).await.columns_containing(ada.user_id()), [""; 0]);
        let owner = log_in_again(&app, &owner).await;
        owner.post_empty(format!("/v1/tasks/{trashed}/restore")).await.ok();
        for said in hers {
            let found = owner.get(at(&said)).await.ok();
            let without = json!({"author_id": null, "version": 2, "updated_at": found["updated_at"]});
            assert_eq!(found, with(&said, &without));
            assert!(found["updated_at"].as_str() > said["updated_at"].as_str());
        }
        for said in others {
            assert_eq!(owner.get(at(&said)).await.ok(), said);
        }
        // A comment without an author cannot be edited; the project owner can delete it.
        let list = owner.get(format!("{}?dir=asc", comments_on(&task))).await.ok();
        let [orphan, ..] = &list["data"].as_array().unwrap()[..] else { panic!("{list}") };
        let grace = log_in_again(&app, &grace).await;
        for user in [&grace, &owner] {
            let refused = user.patch(at(orphan), json!({"body": "Mine now"})).await.fails(403, "FORBIDDEN");
            assert_eq!(refused["message"], "Only the author of a comment can change it.");
        }
        assert_eq!(&owner.get(at(orphan)).await.ok(), orphan);
        grace.delete(at(orphan)).await.fails(403, "FORBIDDEN");
        owner.delete(at(orphan)).await.no_content();
    }

    async fn text_of_other_users_is_kept_even_if_it_contains_the_purged_id(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, _) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let task = owner.task(&project, json!({"title": "x", "assignee_id": ada.user_id()})).await.id();
        ada.delete("/v1/me").await.no_content();
        // Late enough for the event to be retained at the purge.
        app.clock.advance(DAY * 20);
        let owner = log_in_again(&app, &owner).await;
        let id = ada.user_id();
        let written = json!({"title": id, "description": format!("\"{id}\", \"assignee_id\":\"{id}\" and \\\"{id}\"")});
        owner.patch(format!("/v1/tasks/{task}"), written.clone()).await.ok();
        app.clock.advance(DAY * 10 + GRACE);
        purge(&app).await;
        let owner = log_in_again(&app, &owner).await;
        let feed = owner.get("/v1/events?type=task.updated").await.ok();
        let emitted = &feed["data"][0]["data"];
        for field in ["title", "description"] {
            assert_eq!(emitted[field], written[field]);
        }
        assert_eq!(emitted["assignee_id"], Value::Null);
    }

    async fn invitations_to_the_user_are_purged_and_those_by_the_user_are_anonymized(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (friend, ada) = (app.user().await, app.user().await);
        let project = friend.project().await;
        let declined = invite(&friend, &project, ada.email()).await.id();
        ada.post_empty(format!("/v1/invitations/{declined}/decline")).await.no_content();
        invite(&friend, &project, ada.email()).await;
        let by_friend = invite(&friend, &project, "grace@example.com").await;
        // Including a project that she transferred.
        let handed = ada.project().await;
        let by_ada = invite(&ada, &handed, "alan@example.com").await;
        add_member(&app, &handed, &friend, "editor").await;
        let role = json!({"role": "owner"});
        ada.patch(format!("/v1/projects/{handed}/members/{}", friend.user_id()), role).await.ok();
        let own = ada.project().await;
        invite(&ada, &own, friend.email()).await;
        ada.delete("/v1/me").await.no_content();
        assert_eq!(stored_counts(&database).await, [0, 5]);
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;

        let tables = Tables::read(&database).await;
        for word in [ada.email(), ada.user_id(), &own] {
            assert_eq!(tables.columns_containing(word), [""; 0]);
        }
        let friend = log_in_again(&app, &friend).await;
        for (project, kept, inviter) in
            [(&project, by_friend, json!(friend.user_id())), (&handed, by_ada, Value::Null)]
        {
            let list = friend.get(format!("/v1/projects/{project}/invitations")).await.ok();
            assert_eq!(list["data"], json!([with(&kept, &json!({"invited_by": inviter, "status": "expired"}))]));
            let members = friend.get(format!("/v1/projects/{project}/members")).await.ok();
            assert_eq!(members.column("user_id"), [json!(friend.user_id())]);
        }
        // A new account with the same address has no invitations.
        let body = json!({"email": ada.email(), "name": "Another", "password": "correct horse"});
        let session = app.anonymous().post("/v1/auth/register", body).await.created();
        let newcomer = app.with_token(session["access_token"].as_str().unwrap());
        assert_eq!(newcomer.get("/v1/invitations").await.ok()["data"], json!([]));
    }

    async fn comments_and_invitations_are_purged_with_their_task_or_project(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, task) = owner_with_task(&app).await;
        let (thrown_away, thrown_task) = (owner.project().await, owner.task(&project, json!({"title": "x"})).await.id());
        let inside = owner.task(&thrown_away, json!({"title": "Inside"})).await.id();
        for task in [&task, &thrown_task, &inside] {
            comment(&owner, task, "One").await;
            comment(&owner, task, "Two").await;
        }
        for project in [&project, &thrown_away] {
            invite(&owner, project, "grace@example.com").await;
        }
        assert_eq!(stored_counts(&database).await, [6, 2]);
        owner.delete(format!("/v1/tasks/{thrown_task}")).await.no_content();
        owner.delete(format!("/v1/projects/{thrown_away}")).await.no_content();
        app.clock.advance(DAY * 28);
        purge(&app).await;
        assert_eq!(stored_counts(&database).await, [6, 2], "while it can be restored");
        app.clock.advance(DAY * 2 + GRACE);
        purge(&app).await;
        assert_eq!(stored_counts(&database).await, [2, 1]);
        let owner = log_in_again(&app, &owner).await;
        assert_eq!(owner.get(comments_on(&task)).await.ok()["meta"]["total"], 2);
        let invitations = owner.get(format!("/v1/projects/{project}/invitations")).await.ok();
        assert_eq!(invitations["meta"]["total"], 1);
    }

    async fn a_deleted_member_is_hidden_until_restoration(app: TestApp) {
        let (owner, project, _) = owner_with_task(&app).await;
        let (ada, grace) = (member(&app, &project, "editor").await, member(&app, &project, "viewer").await);
        let path = format!("/v1/projects/{project}/members?sort=joined_at&dir=asc");
        let all = owner.get(&path).await.ok();
        assert_eq!(all["meta"]["total"], 3);
        ada.delete("/v1/me").await.no_content();
        let stored_counts = owner.get(&path).await.ok();
        assert_eq!((&stored_counts["meta"]["total"], stored_counts["data"].as_array().unwrap().len()), (&json!(2), 2));
        assert!(!stored_counts.column("user_id").contains(&json!(ada.user_id())), "{stored_counts}");
        assert_eq!(grace.get(format!("{path}&role=editor")).await.ok()["data"], json!([]));
        let gone = format!("/v1/projects/{project}/members/{}", ada.user_id());
        owner.patch(&gone, json!({"role": "viewer"})).await.fails(404, "NOT_FOUND");
        let again = json!({"email": ada.email(), "role": "viewer"});
        owner.post(format!("/v1/projects/{project}/invitations"), again).await.fails(409, "ALREADY_MEMBER");
        let ada = log_in_again(&app, &ada).await;
        assert_eq!(ada.get(&path).await.ok(), all);

        // The owner can remove a deleted member.
        ada.delete("/v1/me").await.no_content();
        let assigned = json!({"title": "x", "assignee_id": ada.user_id()});
        owner.post(format!("/v1/projects/{project}/tasks"), assigned).await.invalid(&["assignee_id:reference"]);
        owner.delete(&gone).await.no_content();
        owner.delete(&gone).await.fails(404, "NOT_FOUND");
        let ada = log_in_again(&app, &ada).await;
        ada.get(&path).await.fails(403, "FORBIDDEN");
    }
}
