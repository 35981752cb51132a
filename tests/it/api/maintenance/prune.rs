//! Pruning of expired keys, tokens, sessions and jobs.

use std::time::Duration;

use pocket_tasks::repositories::Job;
use pocket_tasks::security::TokenKind;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::account::sessions::refresh;
use crate::api::fixtures::account::{Tables, api_client, prune, reset, reset_token, secret_and_hash, try_log_in};
use crate::api::fixtures::common::{DAY, log_in_again};
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::{Client, Options, TestApp, TestDatabase};

const HOUR: Duration = Duration::from_hours(1);

fn hash_of(token: &Value) -> String {
    let [_, hash] = secret_and_hash(TokenKind::Refresh, token.as_str().unwrap());
    hash
}

async fn assert_kept(database: &TestDatabase, what: &[(&str, bool)]) {
    let tables = Tables::read(database).await;
    for (hash, is_kept) in what {
        assert_eq!(!tables.columns_containing(hash).is_empty(), *is_kept, "{hash} of {what:?}");
    }
}

fn keyed(client: &Client, key: &str) -> Call {
    client.call(Method::POST, "/v1/projects").json(&json!({"name": "Once"})).header(KEY, key)
}

on_both_databases! {
    async fn idempotency_keys_are_pruned_after_they_expire(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        let [old, young] = [new_key(), new_key()];
        keyed(&user, &old).send().await.created();
        app.clock.advance(HOUR * 2);
        let user = log_in_again(&app, &user).await;
        keyed(&user, &young).send().await.created();
        app.clock.advance(HOUR * 23 + Duration::from_mins(30));
        prune(&app).await;
        assert_kept(&database, &[(&old, false), (&young, true)]).await;
        let user = log_in_again(&app, &user).await;
        assert_eq!(keyed(&user, &young).send().await.header(REPLAYED), "true");
        assert!(!keyed(&user, &old).send().await.headers.contains_key(REPLAYED));
        assert_eq!(user.get("/v1/projects").await.ok()["meta"]["total"], 3);
    }

    async fn ended_sessions_are_pruned_and_active_ones_are_kept(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        let (ended, unused) = (log_in_again(&app, &user).await, log_in_again(&app, &user).await);
        ended.post_empty("/v1/auth/logout").await.no_content();
        app.clock.advance(HOUR * 47);
        prune(&app).await;
        let refresh_token = |client: &Client| hash_of(&client.session["refresh_token"]);
        let [of_user, of_ended, of_unused] = [&user, &ended, &unused].map(refresh_token);
        assert_kept(&database, &[(&of_user, true), (&of_ended, true), (&of_unused, true)]).await;
        app.clock.advance(HOUR * 2);
        prune(&app).await;
        assert_kept(&database, &[(&of_user, true), (&of_ended, false), (&of_unused, true)]).await;
        app.clock.advance(DAY * 20);
        let living = refresh(&app, &user).await;
        app.clock.advance(DAY * 8 + HOUR * 2);
        prune(&app).await;
        let of_living = refresh_token(&living);
        // Tokens are pruned after 30 days; the session is kept while its last token is valid.
        assert_kept(&database, &[(&of_user, false), (&of_unused, false), (&of_living, true)]).await;
        app.clock.advance(DAY * 2);
        prune(&app).await;
        assert_eq!(Tables::read(&database).await.column("sessions.id").len(), 1);
        let living = refresh(&app, &living).await;
        assert_eq!(living.get("/v1/me/sessions").await.ok()["meta"]["total"], 1);
        for spent in [&user, &unused, &ended] {
            let body = json!({"refresh_token": spent.session["refresh_token"]});
            app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
        }
        living.get("/v1/me").await.ok();
    }

    async fn reuse_of_a_refresh_token_is_detected_until_it_would_have_expired(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        app.clock.advance(DAY);
        let next = refresh(&app, &user).await;
        let last = refresh(&app, &next).await;
        // Shortly before the token would have expired.
        app.clock.advance(HOUR * (29 * 24 - 1));
        prune(&app).await;
        let body = json!({"refresh_token": user.session["refresh_token"]});
        app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "REFRESH_TOKEN_REUSED");
        let body = json!({"refresh_token": last.session["refresh_token"]});
        app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
    }

    async fn mailed_tokens_are_pruned_when_they_expire(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (one, other) = (app.user().await, app.user().await);
        let hash = |token: &str| secret_and_hash(TokenKind::Mail, token)[1].clone();
        let old = reset_token(&app, &one).await;
        app.clock.advance(HOUR + Duration::from_mins(30));
        let young = reset_token(&app, &other).await;
        app.clock.advance(Duration::from_mins(40));
        prune(&app).await;
        assert_kept(&database, &[(&hash(&old), false), (&hash(&young), true)]).await;
        reset(&app, &young, "battery staple").await.no_content();
        try_log_in(&app, other.email(), "battery staple").await.ok();
    }

    async fn api_tokens_are_pruned_30_days_after_their_end(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        let (good, _) = api_client(&app, &user, &["read"]).await;
        let (revoked, created) = api_client(&app, &user, &["read"]).await;
        user.delete(format!("/v1/me/api-tokens/{}", created.id())).await.no_content();
        let end = (app.clock.now() + DAY).to_string();
        let body = json!({"name": "x", "scopes": ["read"], "expires_at": end});
        let created = user.post("/v1/me/api-tokens", body).await.created();
        let expired = app.with_token(created["token"].as_str().unwrap());
        app.clock.advance(DAY * 29);
        prune(&app).await;
        revoked.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        expired.get("/v1/me").await.fails(401, "TOKEN_EXPIRED");
        app.clock.advance(DAY + HOUR);
        prune(&app).await;
        revoked.get("/v1/me").await.fails(401, "UNAUTHENTICATED");
        expired.get("/v1/me").await.fails(401, "TOKEN_EXPIRED");
        app.clock.advance(DAY);
        prune(&app).await;
        expired.get("/v1/me").await.fails(401, "UNAUTHENTICATED");
        good.get("/v1/me").await.ok();
    }

    async fn completed_jobs_are_pruned_and_pending_jobs_are_kept(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let once = async |key: &str| {
            let transaction = app.store.begin().await.unwrap();
            let enqueued = transaction.jobs().enqueue_once(&Job::PlanDigests {}, key, app.clock.now()).await.unwrap();
            transaction.commit().await.unwrap();
            enqueued
        };
        assert!(once("old").await);
        app.work().await;
        app.clock.advance(DAY * 2);
        assert!(once("young").await);
        app.work().await;
        let waiting = app.store.begin().await.unwrap();
        let later = app.clock.now() + DAY * 30;
        waiting.jobs().enqueue(&Job::PurgeDeleted {}, app.clock.now(), later).await.unwrap();
        waiting.commit().await.unwrap();
        app.clock.advance(DAY * 6 + HOUR);
        prune(&app).await;
        assert!(once("old").await, "the old job was pruned");
        assert!(!once("young").await, "the young job was kept");
        let kinds: Vec<String> =
            app.store.read().queue().list_unfinished().await.unwrap().into_iter().map(|job| job.kind).collect();
        assert_eq!(kinds, ["purge_deleted", "plan_digests"]);
    }

    async fn pruning_is_idempotent(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        keyed(&user, &new_key()).send().await.created();
        api_client(&app, &user, &["read"]).await;
        reset_token(&app, &user).await;
        let counts = async || {
            let tables = Tables::read(&database).await;
            ["sessions.id", "refresh_tokens.hash", "email_tokens.hash", "api_tokens.id", "idempotency_keys.key"]
                .map(|column| tables.column(column).len())
        };
        for _ in 0..3 {
            prune(&app).await;
            assert_eq!(counts().await, [1; 5], "nothing has expired");
        }
        app.clock.advance(DAY * 40);
        for _ in 0..2 {
            prune(&app).await;
            assert_eq!(counts().await, [0, 0, 0, 1, 0]);
        }
    }
}
