//! Purging of soft-deleted resources.

use std::time::Duration;

use pocket_tasks::repositories::{Job, Queue};
use pocket_tasks::security::TokenKind;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{
    Tables, VERIFICATION, api_client, app_requiring_verification, forgot_password, mailed_tokens, prune, reset_token,
    run_job, secret_and_hash, set_verified, try_log_in, user_with,
};
use crate::api::fixtures::common::{DAY, log_in_again, with};
use crate::api::fixtures::stored_members::{add_member, member};
use crate::api::fixtures::writes::{KEY, new_key};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

pub(crate) const PURGED_AFTER: Duration = Duration::from_hours(30 * 24 + 2);
const A_DAY_EARLIER: Duration = Duration::from_hours(29 * 24 + 2);

pub(crate) async fn purge(app: &TestApp) {
    run_job(app, Job::PurgeDeleted {}).await;
}

async fn plain_app(database: &TestDatabase) -> TestApp {
    TestApp::new(database, Options::default()).await
}

on_both_databases! {
    async fn purging_an_account_leaves_no_trace_of_the_person(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let friend = app.user().await;
        let shared = friend.project().await;
        let ada = user_with(&app, &json!({"name": "Ada Lovelace-Unmistakable"})).await;
        add_member(&app, &shared, &ada, "editor").await;
        app.work().await;
        let mut secrets = Vec::new();
        let mut remember = |kind, token: &str| {
            let [_, hash] = secret_and_hash(kind, token);
            secrets.extend([token.to_owned(), hash]);
        };
        remember(TokenKind::Mail, &mailed_tokens(&app, &ada, VERIFICATION)[0]);
        remember(TokenKind::Mail, &reset_token(&app, &ada).await);
        remember(TokenKind::Refresh, ada.session["refresh_token"].as_str().unwrap());
        let (script, _) = api_client(&app, &ada, &["read", "write"]).await;
        remember(TokenKind::Api, script.token.as_deref().unwrap());
        script.get("/v1/me").await.ok();
        // Requests with idempotency keys, in her own project and in the friend's, with tasks assigned to each other.
        let own = ada.call(Method::POST, "/v1/projects").json(&json!({"name": "Hers"})).header(KEY, &new_key());
        let own = own.send().await.created().id();
        add_member(&app, &own, &friend, "editor").await;
        let hers = friend.task(&own, json!({"title": "Help her", "assignee_id": ada.user_id()})).await;
        let body = json!({"title": "Theirs", "assignee_id": ada.user_id()});
        let call = ada.call(Method::POST, format!("/v1/projects/{shared}/tasks")).json(&body).header(KEY, &new_key());
        let theirs = call.send().await.created();
        let trashed = ada.project().await;
        ada.delete(format!("/v1/projects/{trashed}")).await.no_content();
        for user in [&ada, &friend] {
            set_verified(&app, user, true).await;
        }
        // Her comments and invitations, and invitations sent to her.
        let said = ada.post(format!("/v1/tasks/{}/comments", theirs.id()), json!({"body": "Mine"})).await.created();
        for (owner, project, email) in [(&ada, &own, "grace@example.com"), (&friend, &friend.project().await, ada.email())]
        {
            let body = json!({"email": email, "role": "viewer"});
            owner.post(format!("/v1/projects/{project}/invitations"), body).await.created();
        }
        set_verified(&app, &ada, false).await;
        // Pending e-mails and a scheduled digest.
        forgot_password(&app, ada.email()).await.expect(202);
        ada.post_empty("/v1/auth/resend-verification").await.expect(202);

        let her = |tables: &Tables| -> Vec<String> {
            let words = [ada.user_id(), ada.email(), "Lovelace-Unmistakable", &own, &trashed];
            let words = words.into_iter().map(str::to_owned).chain(secrets.clone());
            words.flat_map(|word| tables.columns_containing(&word).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
        };
        let before = her(&Tables::read(&database).await);
        for column in [
            "users.id", "users.email", "users.name", "members.user_id", "tasks.assignee_id", "tasks.created_by",
            "sessions.user_id", "refresh_tokens.hash", "email_tokens.hash", "api_tokens.hash", "jobs.payload",
            "jobs.pending_key", "idempotency_keys.user_id", "projects.owner_id", "comments.author_id",
            "invitations.email", "invitations.invited_by", "invitations.project_id",
        ] {
            assert!(before.iter().any(|found| found == column), "{column} has nothing to purge: {before:?}");
        }
        ada.delete("/v1/me").await.no_content();
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;
        assert_eq!(her(&Tables::read(&database).await), [""; 0]);

        let friend = log_in_again(&app, &friend).await;
        let left = friend.get(format!("/v1/tasks/{}", theirs.id())).await.ok();
        let without = json!({"created_by": null, "assignee_id": null, "version": 2, "updated_at": left["updated_at"]});
        assert_eq!(left, with(&theirs, &without));
        friend.get(format!("/v1/tasks/{}", hers.id())).await.fails(404, "NOT_FOUND");
        assert_eq!(friend.get(format!("/v1/comments/{}", said.id())).await.ok()["author_id"], Value::Null);
        // The address is free for a new account.
        let body = json!({"email": ada.email(), "name": "Another", "password": "correct horse"});
        let session = app.anonymous().post("/v1/auth/register", body).await.created();
        assert_ne!(session["user"]["id"], ada.user_id());
        let newcomer = app.with_token(session["access_token"].as_str().unwrap());
        assert_eq!(newcomer.get("/v1/projects").await.ok()["data"], json!([]));
        app.with_token(script.token.as_deref().unwrap()).get("/v1/me").await.fails(401, "UNAUTHENTICATED");
    }

    async fn tasks_of_other_users_are_kept(database: TestDatabase) {
        let app = plain_app(&database).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let ada = member(&app, &project, "editor").await;
        let grace = member(&app, &project, "editor").await;
        let full = json!({
            "title": "Tea", "description": "Green", "status": "done", "priority": "high", "labels": ["a", "b"],
            "due_at": "2026-01-31T09:00:00.000Z",
        });
        let mut expected = Vec::new();
        for (creator, assignee, changes) in [
            (&ada, &ada, json!({"created_by": null, "assignee_id": null, "version": 2})),
            (&ada, &grace, json!({"created_by": null, "version": 2})),
            (&grace, &ada, json!({"assignee_id": null, "version": 2})),
            (&owner, &grace, json!({})),
        ] {
            let task = creator.task(&project, with(&full, &json!({"assignee_id": assignee.user_id()}))).await;
            expected.push((task, changes));
        }
        let unassigned = ada.task(&project, json!({"title": "x", "assignee_id": ada.user_id()})).await;
        owner.patch("/v1/me", json!({"name": "Owner"})).await.ok();
        ada.delete("/v1/me").await.no_content();
        app.clock.advance(A_DAY_EARLIER);
        let owner = log_in_again(&app, &owner).await;
        owner.delete(format!("/v1/tasks/{}", unassigned.id())).await.no_content();
        app.clock.advance(DAY);
        purge(&app).await;

        let owner = log_in_again(&app, &owner).await;
        for (task, changes) in expected {
            let found = owner.get(format!("/v1/tasks/{}", task.id())).await.ok();
            let is_changed = changes != json!({});
            assert_eq!(found["updated_at"] != task["updated_at"], is_changed);
            assert_eq!(found, with(&with(&task, &changes), &json!({"updated_at": found["updated_at"]})));
        }
        // Including deleted tasks.
        let restored = owner.post_empty(format!("/v1/tasks/{}/restore", unassigned.id())).await.ok();
        assert_eq!((&restored["created_by"], &restored["assignee_id"]), (&Value::Null, &Value::Null));
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"], json!({"total": 5, "done": 4}));
        log_in_again(&app, &grace).await.get("/v1/me").await.ok();
    }

    async fn resources_are_purged_30_days_after_deletion(database: TestDatabase) {
        let app = plain_app(&database).await;
        let user = app.user().await;
        let project = user.project().await;
        let mut ids = Vec::new();
        let mut delete = async |user: &Client| {
            let task = user.task(&project, json!({"title": "x"})).await.id();
            user.delete(format!("/v1/tasks/{task}")).await.no_content();
            let thrown_away = user.project().await;
            let inside = user.task(&thrown_away, json!({"title": "Inside"})).await.id();
            user.delete(format!("/v1/projects/{thrown_away}")).await.no_content();
            let account = app.user().await;
            account.delete("/v1/me").await.no_content();
            ids.push([task, thrown_away, inside, account.user_id().to_owned()]);
        };
        delete(&user).await;
        app.clock.advance(DAY);
        let user = log_in_again(&app, &user).await;
        delete(&user).await;
        // Restored in time.
        let restored = user.task(&project, json!({"title": "Back"})).await.id();
        user.delete(format!("/v1/tasks/{restored}")).await.no_content();
        user.post_empty(format!("/v1/tasks/{restored}/restore")).await.ok();
        app.clock.advance(A_DAY_EARLIER);
        purge(&app).await;
        // Its events are at least as old and are removed by the other hourly job.
        prune(&app).await;

        let tables = Tables::read(&database).await;
        let [old, young] = <[_; 2]>::try_from(ids).unwrap();
        for id in &old {
            // The audit log keeps the id of a project.
            let mut left = tables.columns_containing(id);
            left.retain(|column| *column != "audit_entries.project_id");
            assert_eq!(left, [""; 0]);
        }
        for (id, column) in young.iter().zip(["tasks.id", "projects.id", "tasks.id", "users.id"]) {
            assert!(tables.columns_containing(id).contains(&column), "{column}");
        }
        let user = log_in_again(&app, &user).await;
        user.post_empty(format!("/v1/tasks/{}/restore", young[0])).await.ok();
        user.post_empty(format!("/v1/projects/{}/restore", young[1])).await.ok();
        user.get(format!("/v1/tasks/{}", young[2])).await.ok();
        user.get(format!("/v1/tasks/{restored}")).await.ok();
        assert_eq!(user.get(format!("/v1/projects/{project}")).await.ok()["task_counts"]["total"], 2);
    }

    async fn purging_is_idempotent(database: TestDatabase) {
        let app = plain_app(&database).await;
        let friend = app.user().await;
        let project = friend.project().await;
        let ada = member(&app, &project, "editor").await;
        let task = ada.task(&project, json!({"title": "Tea"})).await.id();
        ada.delete("/v1/me").await.no_content();
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;
        let friend = log_in_again(&app, &friend).await;
        let before = friend.get(format!("/v1/tasks/{task}")).await.ok();
        for _ in 0..2 {
            purge(&app).await;
        }
        assert_eq!(friend.get(format!("/v1/tasks/{task}")).await.ok(), before);
    }

    async fn an_interrupted_purge_continues(database: TestDatabase) {
        let app = plain_app(&database).await;
        let friend = app.user().await;
        let (first, second) = (friend.project().await, friend.project().await);
        let ada = member(&app, &first, "editor").await;
        add_member(&app, &second, &ada, "editor").await;
        let own = ada.project().await;
        ada.task(&own, json!({"title": "Hers"})).await;
        let mut tasks = Vec::new();
        for project in [&first, &second] {
            tasks.push(ada.task(project, json!({"title": "Theirs"})).await.id());
        }
        ada.delete("/v1/me").await.no_content();
        app.clock.advance(PURGED_AFTER);
        // The first process dies after her projects and one project of another user.
        let user = serde_json::from_value(json!(ada.user_id())).unwrap();
        for step in 0..2 {
            let transaction = app.store.begin().await.unwrap();
            if step == 0 {
                transaction.maintenance().purge_project(serde_json::from_value(json!(own)).unwrap()).await.unwrap();
            } else {
                let project = serde_json::from_value(json!(first)).unwrap();
                transaction.maintenance().anonymize_member(user, project, app.clock.now(), 100).await.unwrap();
            }
            transaction.commit().await.unwrap();
        }
        try_log_in(&app, ada.email(), "correct horse").await.fails(401, "INVALID_CREDENTIALS");
        purge(&app).await;
        assert_eq!(Tables::read(&database).await.columns_containing(ada.user_id()), [""; 0]);
        let friend = log_in_again(&app, &friend).await;
        for task in tasks {
            let task = friend.get(format!("/v1/tasks/{task}")).await.ok();
            assert_eq!((&task["version"], &task["created_by"]), (&json!(2), &Value::Null));
        }
    }

    async fn concurrent_purges_have_the_effect_of_one(database: TestDatabase) {
        let app = plain_app(&database).await;
        let friend = app.user().await;
        let project = friend.project().await;
        let mut gone = Vec::new();
        for _ in 0..3 {
            let ada = member(&app, &project, "editor").await;
            let own = ada.project().await;
            ada.task(&own, json!({"title": "Hers"})).await;
            ada.task(&project, json!({"title": "Theirs", "assignee_id": ada.user_id()})).await;
            ada.delete("/v1/me").await.no_content();
            gone.extend([ada.user_id().to_owned(), own]);
        }
        app.clock.advance(PURGED_AFTER);
        // Two runs, as when the lease of the first expires while it works.
        for key in ["one", "other"] {
            let transaction = app.store.begin().await.unwrap();
            transaction.jobs().enqueue_once(&Job::PurgeDeleted {}, key, app.clock.now()).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let (one, other) = tokio::join!(app.runner.run_due(Queue::ALL), app.runner.run_due(Queue::ALL));
        assert!(one.unwrap() + other.unwrap() >= 2);
        // A run that lost the race is retried later.
        app.clock.advance(Duration::from_mins(10));
        app.work().await;
        assert_eq!(app.store.read().queue().list_unfinished().await.unwrap().len(), 0);
        let tables = Tables::read(&database).await;
        for id in gone {
            assert_eq!(tables.columns_containing(&id), [""; 0]);
        }
        let tasks = log_in_again(&app, &friend).await.get("/v2/tasks").await.ok();
        assert_eq!(tasks.column("version"), [2, 2, 2]);
    }

    async fn a_purge_larger_than_one_batch_completes(database: TestDatabase) {
        let app = plain_app(&database).await;
        let user = app.user().await;
        let (project, kept) = (user.project().await, user.project().await);
        let operations: Vec<_> = (0..100).map(|_| json!({"op": "create", "title": "x"})).collect();
        for _ in 0..6 {
            user.post(format!("/v1/projects/{project}/tasks/batch"), json!({"operations": operations})).await.ok();
        }
        user.task(&kept, json!({"title": "Kept"})).await;
        user.delete(format!("/v1/projects/{project}")).await.no_content();
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;
        // The audit log keeps for a year which project was deleted.
        assert_eq!(Tables::read(&database).await.columns_containing(&project), ["audit_entries.project_id"]);
        let user = log_in_again(&app, &user).await;
        assert_eq!(user.get("/v1/tasks").await.ok()["meta"]["total"], 1);
        let mut raw = Raw::connect(&database).await;
        let left = raw.texts("SELECT CAST(count(*) AS text) AS number FROM tasks", "number").await;
        assert_eq!(left, ["1"]);
    }
}
