//! Deletion and restoration of accounts.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{Tables, api_client, try_log_in, user_with};
use crate::api::fixtures::common::{DAY, concurrently, id_set, log_in_again, send, with};
use crate::api::fixtures::stored_members::{add_member, member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

const PASSWORD: &str = "correct horse";

async fn delete_account(client: &Client) {
    client.delete("/v1/me").await.no_content();
}

async fn is_gone(client: &Client, project: &str, task: &str) {
    for path in [format!("/v1/projects/{project}"), format!("/v1/tasks/{task}")] {
        client.get(&path).await.fails(404, "NOT_FOUND");
        client.patch(&path, json!({})).await.fails(404, "NOT_FOUND");
        client.delete(&path).await.fails(404, "NOT_FOUND");
    }
    for path in [format!("/v1/projects/{project}/tasks"), format!("/v2/projects/{project}/tasks")] {
        client.get(path).await.fails(404, "NOT_FOUND");
    }
    for list in ["/v1/projects", "/v1/tasks", "/v2/tasks", "/v1/tasks?deleted=true"] {
        assert_eq!(client.get(list).await.ok()["data"], json!([]), "{list}");
    }
}

on_both_databases! {
    async fn deletion_revokes_all_sessions_and_tokens_of_the_account(app: TestApp) {
        let user = app.user().await;
        let other_place = log_in_again(&app, &user).await;
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        let stranger = app.user().await;
        app.anonymous().delete("/v1/me").await.fails(401, "UNAUTHENTICATED");
        delete_account(&user).await;
        for client in [&user, &other_place, &script] {
            for (method, path) in [(Method::GET, "/v1/me"), (Method::DELETE, "/v1/me"), (Method::GET, "/v1/projects")] {
                send(client, &method, path, &Value::Null).await.fails(401, "TOKEN_REVOKED");
            }
        }
        for client in [&user, &other_place] {
            let body = json!({"refresh_token": client.session["refresh_token"]});
            app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
        }
        stranger.get("/v1/me").await.ok();
    }

    async fn projects_of_a_deleted_account_are_hidden_from_members(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let (editor, viewer) = (
            member(&app, &project, "editor").await,
            member(&app, &project, "viewer").await,
        );
        let task = owner.task(&project, json!({"title": "Tea", "assignee_id": editor.user_id()})).await.id();
        let before = editor.get(format!("/v1/projects/{project}")).await.ok();
        delete_account(&owner).await;
        for client in [&editor, &viewer] {
            is_gone(client, &project, &task).await;
        }
        let new_task = editor.post(format!("/v1/projects/{project}/tasks"), json!({"title": "x"})).await;
        new_task.fails(404, "NOT_FOUND");
        editor.post_empty(format!("/v1/projects/{project}/restore")).await.fails(403, "FORBIDDEN");

        app.clock.advance(Duration::from_secs(1));
        try_log_in(&app, owner.email(), PASSWORD).await.ok();
        let after = editor.get(format!("/v1/projects/{project}")).await.ok();
        let version = before["version"].as_i64().unwrap() + 2;
        assert_eq!(after, with(&before, &json!({"version": version, "updated_at": after["updated_at"]})));
        assert_eq!(viewer.get(format!("/v1/tasks/{task}")).await.ok()["assignee_id"], editor.user_id());
        editor.post(format!("/v1/projects/{project}/tasks"), json!({"title": "x"})).await.created();
    }

    async fn login_restores_a_deleted_account_completely(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let friend = app.user().await;
        let shared = friend.project().await;
        let user = user_with(&app, &json!({"timezone": "Asia/Tokyo"})).await;
        add_member(&app, &shared, &user, "editor").await;
        let (project, trashed) = (user.project().await, user.project().await);
        let task = user.task(&project, json!({"title": "Tea", "status": "done", "labels": ["a"]})).await;
        let gone = user.task(&project, json!({"title": "Gone"})).await;
        let foreign = user.task(&shared, json!({"title": "Theirs", "assignee_id": user.user_id()})).await;
        user.delete(format!("/v1/tasks/{}", gone.id())).await.no_content();
        user.delete(format!("/v1/projects/{trashed}")).await.no_content();
        let (script, created) = api_client(&app, &user, &["read"]).await;
        let digests = scheduled_digests(&database).await;
        let me = user.get("/v1/me").await.ok();
        app.work().await;

        app.clock.advance(DAY);
        let user = log_in_again(&app, &user).await;
        delete_account(&user).await;
        assert_ne!(scheduled_digests(&database).await, digests);
        let theirs = friend_view(&app, &friend, &foreign.id()).await;
        assert_eq!(theirs, foreign, "content in other people's projects is kept");
        app.clock.advance(DAY * 29);

        let user = log_in_again(&app, &user).await;
        let after = user.get("/v1/me").await.ok();
        assert_eq!(after, with(&me, &json!({"version": 3, "updated_at": after["updated_at"]})));
        assert_eq!(user.get("/v1/projects").await.ok().column("id").len(), 2);
        user.get(format!("/v1/projects/{project}")).await.ok();
        user.get(format!("/v1/projects/{trashed}")).await.fails(404, "NOT_FOUND");
        assert_eq!(user.get(format!("/v1/tasks/{}", task.id())).await.ok(), task);
        user.get(format!("/v1/tasks/{}", gone.id())).await.fails(404, "NOT_FOUND");
        user.patch(format!("/v1/tasks/{}", foreign.id()), json!({"title": "Ours"})).await.ok();
        // The project was deleted before the account, so its 30 days are over.
        user.post_empty(format!("/v1/projects/{trashed}/restore")).await.fails(404, "NOT_FOUND");
        script.get("/v1/me").await.ok();
        assert_eq!(user.get("/v1/me/api-tokens").await.ok().column("id"), [created["id"].clone()]);
        assert_eq!(user.get("/v1/me/sessions").await.ok()["meta"]["total"], 1, "sessions are not restored");
        assert_eq!(scheduled_digests(&database).await.len(), digests.len());
    }

    async fn projects_deleted_before_the_account_stay_deleted_after_its_restoration(app: TestApp) {
        let user = app.user().await;
        let (kept, trashed) = (user.project().await, user.project().await);
        user.delete(format!("/v1/projects/{trashed}")).await.no_content();
        for round in 0..3 {
            delete_account(&log_in_again(&app, &user).await).await;
            let user = log_in_again(&app, &user).await;
            let projects = user.get("/v1/projects").await.ok();
            assert_eq!(id_set(&projects), [json!(kept)], "{round}");
            assert_eq!(id_set(&user.get("/v1/projects?deleted=true").await.ok()), [json!(trashed)], "{round}");
        }
        let user = log_in_again(&app, &user).await;
        user.post_empty(format!("/v1/projects/{trashed}/restore")).await.ok();
        // A project that was deleted after a restoration is not restored with the account.
        user.delete(format!("/v1/projects/{kept}")).await.no_content();
        delete_account(&user).await;
        let user = log_in_again(&app, &user).await;
        assert_eq!(id_set(&user.get("/v1/projects").await.ok()), [json!(trashed)]);
        assert_eq!(id_set(&user.get("/v1/projects?deleted=true").await.ok()), [json!(kept)]);
    }

    async fn an_account_cannot_be_restored_after_30_days(app: TestApp) {
        let (early, late) = (app.user().await, app.user().await);
        delete_account(&early).await;
        delete_account(&late).await;
        try_log_in(&app, late.email(), "wrong horse").await.fails(401, "INVALID_CREDENTIALS");
        app.clock.advance(Duration::from_mins(30 * 24 * 60 - 5));
        try_log_in(&app, early.email(), PASSWORD).await.ok();
        app.clock.advance(Duration::from_mins(5));
        try_log_in(&app, late.email(), PASSWORD).await.fails(401, "INVALID_CREDENTIALS");
        let again = json!({"email": late.email().to_uppercase(), "name": "Ada", "password": PASSWORD});
        app.anonymous().post("/v1/auth/register", again).await.fails(409, "EMAIL_TAKEN");
        log_in_again(&app, &early).await.get("/v1/me").await.ok();
    }

    async fn concurrent_deletions_take_effect_once(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let answers = concurrently((0..6).map(|_| {
            let user = user.clone();
            async move { user.delete("/v1/me").await }
        })).await;
        let (done, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
        assert_eq!(done.len(), 1);
        for answer in late {
            answer.fails(401, "TOKEN_REVOKED");
        }
        let user = log_in_again(&app, &user).await;
        assert_eq!(user.get("/v1/me").await.ok()["version"], 3);
        assert_eq!(user.get(format!("/v1/projects/{project}")).await.ok()["version"], 3);
    }

    async fn login_during_account_deletion_is_all_or_nothing(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let logins = (0..6).map(|_| {
            let (app, email) = (app.clone(), user.email().to_owned());
            async move { try_log_in(&app, &email, PASSWORD).await.ok() }
        });
        let (sessions, answer) = tokio::join!(concurrently(logins), user.delete("/v1/me"));
        answer.no_content();
        for session in sessions {
            let client = app.with_token(session["access_token"].as_str().unwrap());
            let answer = client.get(format!("/v1/projects/{project}")).await;
            if answer.status.is_success() {
                client.get("/v1/me").await.ok();
            } else {
                answer.fails(401, "TOKEN_REVOKED");
            }
        }
        log_in_again(&app, &user).await.get(format!("/v1/projects/{project}")).await.ok();
    }
}

async fn friend_view(app: &TestApp, friend: &Client, task: &str) -> Value {
    log_in_again(app, friend).await.get(format!("/v1/tasks/{task}")).await.ok()
}

/// Scheduled digest times of all users who receive digests.
async fn scheduled_digests(database: &TestDatabase) -> Vec<String> {
    let mut plans = Tables::read(database).await.column("users.next_digest_at");
    plans.retain(|plan| !plan.is_empty() && plan != "null");
    plans.sort();
    plans
}
