//! API tokens: creation, use, listing and revocation.

use std::time::Duration;

use pocket_tasks::security::TokenKind;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{TOKENS, Tables, api_client, expiring_token, later, secret_and_hash};
use crate::api::fixtures::common::{DAY, UNKNOWN_IDS, log_in_again, time};
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_token_acts_on_behalf_of_its_owner(app: TestApp) {
        let user = app.user().await;
        let answer = user.post(TOKENS, json!({"name": " Backup \t", "scopes": ["write", "read"]})).await;
        let location = answer.header("location").to_owned();
        let created = answer.created();
        assert_eq!(location, format!("{TOKENS}/{}", created.id()));
        assert_eq!(created["name"], "Backup");
        assert_eq!(created["scopes"], json!(["read", "write"]));
        assert_eq!((&created["expires_at"], &created["last_used_at"]), (&Value::Null, &Value::Null));
        assert!(time(&created["created_at"]) <= app.clock.now());
        let script = app.with_token(created["token"].as_str().unwrap());
        assert_eq!(script.get("/v1/me").await.ok(), user.get("/v1/me").await.ok());
        let project = script.project().await;
        let task = script.task(&project, json!({"title": "Tea", "assignee_id": user.user_id()})).await;
        assert_eq!(task["created_by"], user.user_id());
        let mine = script.get(format!("/v2/tasks?assignee_id=me&project_id={project}")).await.ok();
        assert_eq!(mine.column("id"), [task["id"].clone()]);
        assert_eq!(user.get(format!("/v1/tasks/{}", task.id())).await.ok(), task);
        // The token outlives the session that created it.
        user.post_empty("/v1/auth/logout").await.no_content();
        script.get("/v1/me").await.ok();
        app.clock.advance(DAY * 400);
        script.get("/v1/me").await.ok();
    }

    async fn the_secret_is_returned_only_by_creation_and_its_replays(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        let key = new_key();
        let body = json!({"name": "x", "scopes": ["read"]});
        let call = || user.call(Method::POST, TOKENS).json(&body).header(KEY, &key);
        let first = call().send().await;
        let again = call().send().await;
        assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
        assert_eq!(again.header(REPLAYED), "true");
        for answer in [&first, &again] {
            assert_eq!(answer.header("cache-control"), "private, no-store");
        }
        let secret = first.created()["token"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("pt_") && secret.len() == 46, "{}", secret.len());
        let script = app.with_token(&secret);
        for answer in [user.get(TOKENS).await, user.get("/v1/me").await, script.get(TOKENS).await] {
            assert!(!answer.text.contains(&secret) && !answer.text.contains("\"token\""), "{}", answer.text);
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], 1);
        let [bytes, hash] = secret_and_hash(TokenKind::Api, &secret);
        let tables = Tables::read(&database).await;
        for what in [&secret, &bytes] {
            assert_eq!(tables.columns_containing(what), [""; 0]);
        }
        assert_eq!(tables.columns_containing(&hash), ["api_tokens.hash"]);
        user.call(Method::POST, TOKENS).json(&json!({"name": "y", "scopes": ["read"]})).header(KEY, &key).send().await
            .fails(422, "IDEMPOTENCY_KEY_REUSED");
    }

    async fn an_invalid_token_is_rejected_with_a_specific_error(app: TestApp) {
        let user = app.user().await;
        let (revoked, created) = api_client(&app, &user, &["read", "write"]).await;
        revoked.get("/v1/me").await.ok();
        user.delete(format!("{TOKENS}/{}", created.id())).await.no_content();
        revoked.get("/v1/me").await.fails(401, "TOKEN_REVOKED");

        let (expired, _) = expiring_token(&app, &user, Duration::from_mins(10)).await;
        app.clock.advance(Duration::from_mins(9));
        expired.get("/v1/me").await.ok();
        app.clock.advance(Duration::from_mins(1));
        let answer = expired.get("/v1/me").await;
        assert!(answer.header("www-authenticate").contains("invalid_token"));
        answer.fails(401, "TOKEN_EXPIRED");
        let user = log_in_again(&app, &user).await;
        user.delete(format!("{TOKENS}/{}", user.get(TOKENS).await.ok()["data"][0].id())).await.no_content();
        expired.get("/v1/me").await.fails(401, "TOKEN_REVOKED");

        let (orphan, created) = api_client(&app, &user, &["read", "write"]).await;
        let good = created["token"].as_str().unwrap();
        for unknown in [
            format!("pt_{}", "A".repeat(43)),
            good.to_uppercase(),
            good.replacen("pt_", "mt_", 1),
            good.replacen("pt_", "rt_", 1),
            good[..good.len() - 1].to_owned(),
            "pt_".to_owned(),
        ] {
            app.with_token(&unknown).get("/v1/me").await.fails(401, "UNAUTHENTICATED");
        }
        orphan.get("/v1/me").await.ok();
        user.delete("/v1/me").await.no_content();
        orphan.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        orphan.delete("/v1/me").await.fails(401, "TOKEN_REVOKED");
    }

    async fn last_use_is_recorded_at_most_once_a_minute(app: TestApp) {
        let user = app.user().await;
        let (script, created) = api_client(&app, &user, &["read"]).await;
        let (other, _) = api_client(&app, &user, &["read"]).await;
        let last_use = async || {
            let list = user.get(TOKENS).await.ok();
            list["data"].as_array().unwrap().iter().find(|one| one["id"] == created["id"]).unwrap()["last_used_at"].clone()
        };
        assert_eq!(last_use().await, Value::Null);
        other.get("/v1/me").await.ok();
        assert_eq!(last_use().await, Value::Null);
        let before = app.clock.now();
        script.get("/v1/me").await.ok();
        let first = last_use().await;
        assert!(time(&first) >= before && time(&first) <= app.clock.now());
        app.clock.advance(Duration::from_secs(20));
        script.get("/v1/me").await.ok();
        assert_eq!(last_use().await, first, "not updated within a minute");
        app.clock.advance(Duration::from_mins(1));
        let before = app.clock.now();
        script.get("/v1/me").await.ok();
        assert!(time(&last_use().await) >= before);
    }

    async fn token_lists_are_sorted_and_paginated_and_include_expired_tokens(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        api_client(&app, &stranger, &["read"]).await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d"] {
            app.clock.advance(Duration::from_secs(1));
            let body = json!({"name": name, "scopes": ["write"], "expires_at": later(&app, Duration::from_mins(5))});
            let created = user.post(TOKENS, body).await.created();
            ids.push(created["id"].clone());
            let shown = user.get(TOKENS).await.ok()["data"][0].clone();
            let mut expected = created.clone();
            expected.as_object_mut().unwrap().remove("token");
            assert_eq!(shown, expected);
        }
        let [a, b, c, d] = <[Value; 4]>::try_from(ids).unwrap();
        user.delete(format!("{TOKENS}/{}", b.as_str().unwrap())).await.no_content();
        app.clock.advance(Duration::from_mins(6));
        let user = log_in_again(&app, &user).await;
        for (query, expected, page, has_more) in [
            ("", vec![&d, &c, &a], 1, false),
            ("?sort=created_at&dir=asc", vec![&a, &c, &d], 1, false),
            ("?limit=2", vec![&d, &c], 1, true),
            ("?limit=2&page=2", vec![&a], 2, false),
            ("?limit=2&offset=2", vec![&a], 2, false),
            ("?limit=2&page=3", vec![], 3, false),
        ] {
            let list = user.get(format!("{TOKENS}{query}")).await.ok();
            assert_eq!(list.column("id").iter().collect::<Vec<_>>(), expected, "{query}");
            let limit = if query.contains("limit=2") { 2 } else { 20 };
            assert_eq!(list["meta"], json!({"total": 3, "total_is_exact": true, "page": page, "limit": limit, "has_more": has_more}), "{query}");
        }
        for (query, failure) in
            [("sort=name", "sort:enum"), ("limit=0", "limit:minimum"), ("expired=true", "expired:unknown_parameter")]
        {
            user.get(format!("{TOKENS}?{query}")).await.invalid(&[failure]);
        }
    }

    async fn invalid_new_tokens_are_rejected(app: TestApp) {
        let user = app.user().await;
        let (now, past) = (app.clock.now(), app.clock.now() - Duration::from_secs(1));
        for (body, failures) in [
            (json!({}), &["name:required", "scopes:required"][..]),
            (json!({"name": " ", "scopes": []}), &["name:too_short", "scopes:too_few"]),
            (json!({"name": "x".repeat(101), "scopes": ["read"]}), &["name:too_long"]),
            (json!({"name": "x", "scopes": ["admin"]}), &["scopes[0]:enum"]),
            (json!({"name": "x", "scopes": ["read", "read"]}), &["scopes[1]:duplicate"]),
            (json!({"name": "x", "scopes": "read"}), &["scopes:type"]),
            (json!({"name": "x", "scopes": null}), &["scopes:null"]),
            (json!({"name": "x", "scopes": ["read"], "expires_at": "tomorrow"}), &["expires_at:format"]),
            (json!({"name": "x", "scopes": ["read"], "expires_at": now.to_string()}), &["expires_at:minimum"]),
            (json!({"name": "x", "scopes": ["read"], "expires_at": past.to_string()}), &["expires_at:minimum"]),
            (json!({"name": "x", "scopes": ["read"], "token": "pt_mine"}), &["token:unknown_field"]),
        ] {
            user.post(TOKENS, body).await.invalid(failures);
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], 0);
        let body = json!({"name": "x", "scopes": ["read"], "expires_at": null});
        assert_eq!(user.post(TOKENS, body).await.created()["expires_at"], Value::Null);
        let body = json!({"name": "x", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00+02:00"});
        assert_eq!(user.post(TOKENS, body).await.created()["expires_at"], "2998-12-31T22:00:00.000Z");
    }

    async fn only_its_owner_can_revoke_a_token(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        let (_, created) = api_client(&app, &user, &["write"]).await;
        let path = format!("{TOKENS}/{}", created.id());
        stranger.delete(&path).await.fails(403, "FORBIDDEN");
        app.anonymous().delete(&path).await.fails(401, "UNAUTHENTICATED");
        for id in UNKNOWN_IDS.into_iter().chain([user.user_id()]) {
            user.delete(format!("{TOKENS}/{id}")).await.fails(404, "NOT_FOUND");
        }
        user.delete(&path).await.no_content();
        for client in [&user, &stranger] {
            client.delete(&path).await.fails(404, "NOT_FOUND");
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], 0);
    }
}
