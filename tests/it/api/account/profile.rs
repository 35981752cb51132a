//! The caller's own account.

use std::time::Duration;

use poem::http::Method;
use serde_json::json;

use crate::on_both_databases;
use crate::support::TestApp;

on_both_databases! {
    async fn users_read_their_own_account(app: TestApp) {
        let (user, other) = (app.user().await, app.user().await);
        assert_eq!(user.get("/v1/me").await.ok(), user.session["user"]);
        assert_eq!(other.get("/v1/me").await.ok()["id"], other.user_id());
        assert_ne!(user.user_id(), other.user_id());
    }

    async fn each_account_field_can_be_updated_alone(app: TestApp) {
        let user = app.user().await;
        let mut known = user.get("/v1/me").await.ok();
        let longest = "名".repeat(100);
        for (version, (field, value)) in (2..).zip([
            ("name", json!("Grace Hopper")),
            ("name", json!(longest)),
            ("timezone", json!("America/Argentina/Buenos_Aires")),
            ("timezone", json!("UTC")),
            ("weekly_digest", json!(false)),
            ("weekly_digest", json!(true)),
        ]) {
            app.clock.advance(Duration::from_mins(1));
            let changed = user.patch("/v1/me", json!({field: value})).await.ok();
            assert!(changed["updated_at"].as_str() > known["updated_at"].as_str(), "{changed}");
            known[field] = value;
            known["version"] = json!(version);
            known["updated_at"] = changed["updated_at"].clone();
            assert_eq!(changed, known, "the other fields are unchanged");
            assert_eq!(user.get("/v1/me").await.ok(), known);
        }
    }

    async fn an_update_of_several_fields_is_one_version(app: TestApp) {
        let user = app.user().await;
        let body = json!({"weekly_digest": false, "timezone": "Asia/Tokyo", "name": " Grace "});
        let changed = user.patch("/v1/me", body).await.ok();
        assert_eq!(changed["version"], 2);
        assert_eq!(changed["name"], "Grace", "names are trimmed");
        assert_eq!((&changed["timezone"], &changed["weekly_digest"]), (&json!("Asia/Tokyo"), &json!(false)));
    }

    async fn an_update_without_changes_keeps_the_version(app: TestApp) {
        let user = app.user().await;
        let before = user.patch("/v1/me", json!({"name": "Ada", "timezone": "Europe/Paris"})).await.ok();
        app.clock.advance(Duration::from_mins(1));
        for body in [
            json!({}),
            json!({"name": "Ada"}),
            json!({"name": "  Ada "}),
            json!({"timezone": "Europe/Paris", "weekly_digest": true}),
        ] {
            assert_eq!(user.patch("/v1/me", body.clone()).await.ok(), before, "{body}");
        }
        assert_eq!(user.get("/v1/me").await.ok(), before);
    }

    async fn merge_patch_and_json_content_types_are_accepted(app: TestApp) {
        let user = app.user().await;
        for content_type in ["application/merge-patch+json", "application/json", "Application/JSON; charset=UTF-8"] {
            let body = json!({"name": content_type});
            let call = user.call(Method::PATCH, "/v1/me").body(content_type, body.to_string());
            assert_eq!(call.send().await.ok()["name"], content_type);
        }
        for content_type in ["application/json-patch+json", "text/plain", "application/json; charset=latin1"] {
            let call = user.call(Method::PATCH, "/v1/me").body(content_type, "{}");
            call.send().await.fails(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }

    async fn an_invalid_update_is_rejected_with_every_reason(app: TestApp) {
        let user = app.user().await;
        let before = user.get("/v1/me").await.ok();
        for (body, failures) in [
            (json!({"name": null}), &["name:null"][..]),
            (json!({"timezone": null}), &["timezone:null"]),
            (json!({"weekly_digest": null}), &["weekly_digest:null"]),
            (json!({"name": ""}), &["name:too_short"]),
            (json!({"name": "\u{a0} \u{2003}"}), &["name:too_short"]),
            (json!({"name": "名".repeat(101)}), &["name:too_long"]),
            (json!({"name": "line\nbreak"}), &["name:pattern"]),
            (json!({"name": 7}), &["name:type"]),
            (json!({"timezone": ""}), &["timezone:format"]),
            (json!({"timezone": "Mars/Olympus"}), &["timezone:format"]),
            (json!({"timezone": "+02:00"}), &["timezone:format"]),
            (json!({"timezone": " UTC"}), &["timezone:format"]),
            (json!({"timezone": "x".repeat(65)}), &["timezone:too_long"]),
            (json!({"weekly_digest": "false"}), &["weekly_digest:type"]),
            (json!({"weekly_digest": 0}), &["weekly_digest:type"]),
            (json!({"id": user.user_id()}), &["id:unknown_field"]),
            (json!({"email": "other@example.com"}), &["email:unknown_field"]),
            (json!({"email_verified": true}), &["email_verified:unknown_field"]),
            (json!({"version": 1}), &["version:unknown_field"]),
            (json!({"created_at": before["created_at"]}), &["created_at:unknown_field"]),
            (json!({"updated_at": before["updated_at"]}), &["updated_at:unknown_field"]),
            (json!({"password": "battery staple"}), &["password:unknown_field"]),
            (json!({"password_hash": "x"}), &["password_hash:unknown_field"]),
            (json!({"Name": "Ada"}), &["Name:unknown_field"]),
            (json!([{"name": "Ada"}]), &[":type"]),
            (json!(null), &[":null"]),
            (
                json!({"weekly_digest": 1, "nick": "x", "timezone": "Nowhere", "name": null, "email": "x"}),
                &["weekly_digest:type", "nick:unknown_field", "timezone:format", "name:null", "email:unknown_field"],
            ),
        ] {
            user.patch("/v1/me", body).await.invalid(failures);
        }
        user.call(Method::PATCH, "/v1/me").send().await.invalid(&[":required"]);
        let answer = user.patch("/v1/me?dry_run=true", json!({"name": null})).await;
        answer.invalid(&["dry_run:unknown_parameter", "name:null"]);
        assert_eq!(user.get("/v1/me").await.ok(), before, "a rejected update changes nothing");
    }

    async fn a_validation_error_names_its_field_and_explains_it(app: TestApp) {
        let user = app.user().await;
        let one = user.patch("/v1/me", json!({"name": ""})).await.fails(400, "VALIDATION_FAILED");
        assert_eq!(one["message"], "name must not be empty.");
        assert_eq!(one["field"], "name");
        let detail = json!({"in": "body", "field": "name", "code": "too_short", "message": "name must not be empty."});
        assert_eq!(one["details"], json!([detail]));
        let several = user.patch("/v1/me?x=1", json!({"name": ""})).await.fails(400, "VALIDATION_FAILED");
        assert_eq!((&several["field"], &several["details"][1]), (&json!("x"), &detail));
        assert_eq!(several["details"][0]["in"], "query");
    }

    async fn malformed_json_is_distinguished_from_invalid_values(app: TestApp) {
        let user = app.user().await;
        for body in ["", "{", "{\"name\":\"Ada\"} x", "{'name':'Ada'}", "{\"name\":\"Ada\",}", "{\"name\":\"\u{1}\"}",
            "{\"name\":\"Ada\",\"name\":\"Eve\"}", "{\"name\":NaN}", "\u{feff}"] {
            let call = user.call(Method::PATCH, "/v1/me").body("application/json", body);
            let answer = call.send().await.fails(400, "MALFORMED_JSON");
            assert!(answer.get("field").is_none(), "{answer}");
        }
        let call = user.call(Method::PATCH, "/v1/me").body("application/json", b"{\"name\":\"\xff\"}".to_vec());
        call.send().await.fails(400, "MALFORMED_JSON");
        assert_eq!(user.get("/v1/me").await.ok()["version"], 1);
    }

    async fn concurrent_updates_of_different_fields_are_all_kept(app: TestApp) {
        let user = app.user().await;
        let (name, zone, digest) = tokio::join!(
            user.patch("/v1/me", json!({"name": "Grace"})),
            user.patch("/v1/me", json!({"timezone": "Asia/Tokyo"})),
            user.patch("/v1/me", json!({"weekly_digest": false})),
        );
        for answer in [name, zone, digest] {
            answer.ok();
        }
        let me = user.get("/v1/me").await.ok();
        assert_eq!((&me["name"], &me["timezone"]), (&json!("Grace"), &json!("Asia/Tokyo")));
        assert_eq!(me["weekly_digest"], false);
        assert_eq!(me["version"], 4);
    }
}
