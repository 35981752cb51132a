//! Registration and login.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::support::{Answer, TestApp};

const PASSWORD: &str = "correct horse";

fn registration(email: &str) -> Value {
    json!({"email": email, "name": "Ada", "password": PASSWORD})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn login(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

async fn register(app: &TestApp, body: Value) -> Answer {
    app.anonymous().post("/v1/auth/register", body).await
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.anonymous().post("/v1/auth/login", login(email, password)).await
}

/// Observable parts of a response, without those that differ between any two requests.
fn appearance(answer: &Answer) -> (u16, BTreeMap<String, String>, Value) {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let mut body = answer.body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status.as_u16(), headers, body)
}

on_both_databases! {
    async fn a_new_account_has_default_settings_and_a_session(app: TestApp) {
        let answer = register(&app, registration("Ada@Example.COM")).await;
        assert_eq!(answer.header("location"), "/v1/me");
        let session = answer.created();
        let user = &session["user"];
        assert_eq!(user["email"], "ada@example.com");
        assert_eq!(user["name"], "Ada");
        assert_eq!(user["timezone"], "UTC");
        assert_eq!((&user["weekly_digest"], &user["email_verified"]), (&json!(true), &json!(true)));
        assert_eq!(user["version"], 1);
        assert_eq!(user["created_at"], user["updated_at"]);
        assert_eq!((&session["token_type"], &session["expires_in"]), (&json!("Bearer"), &json!(900)));
        let me = app.with_token(session["access_token"].as_str().unwrap()).get("/v1/me").await.ok();
        assert_eq!(me, *user);
    }

    async fn a_new_account_accepts_custom_settings(app: TestApp) {
        let body = json!({"email": "ada@example.com", "name": " \u{3000}Ada L. \t", "password": PASSWORD,
            "timezone": "Europe/Berlin", "weekly_digest": false});
        let session = register(&app, body).await.created();
        let user = &session["user"];
        assert_eq!(user["name"], "Ada L.", "names are trimmed");
        assert_eq!((&user["timezone"], &user["weekly_digest"]), (&json!("Europe/Berlin"), &json!(false)));
    }

    async fn login_starts_another_session_of_the_same_user(app: TestApp) {
        let first = register(&app, registration("ada@example.com")).await.created();
        let second = log_in(&app, "ada@example.com", PASSWORD).await.ok();
        assert_eq!(first["user"], second["user"]);
        assert_ne!(first["access_token"], second["access_token"]);
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        for session in [first, second] {
            app.with_token(session["access_token"].as_str().unwrap()).get("/v1/me").await.ok();
        }
    }

    async fn email_addresses_are_case_insensitive(app: TestApp) {
        register(&app, registration("ada.LOVELACE@example.com")).await.created();
        for email in ["ada.lovelace@example.com", "ADA.LOVELACE@EXAMPLE.COM"] {
            let session = log_in(&app, email, PASSWORD).await.ok();
            assert_eq!(session["user"]["email"], "ada.lovelace@example.com");
            register(&app, registration(email)).await.fails(409, "EMAIL_TAKEN");
        }
    }

    async fn a_wrong_password_is_indistinguishable_from_an_unknown_address(app: TestApp) {
        register(&app, registration("ada@example.com")).await.created();
        let wrong = log_in(&app, "ada@example.com", "wrong horse").await;
        let unknown = log_in(&app, "nobody@example.com", PASSWORD).await;
        assert_eq!(appearance(&wrong), appearance(&unknown));
        assert_eq!(wrong.header("www-authenticate"), "Bearer realm=\"pocket-tasks\"");
        wrong.fails(401, "INVALID_CREDENTIALS");
        unknown.fails(401, "INVALID_CREDENTIALS");
    }

    async fn passwords_are_compared_exactly(app: TestApp) {
        let body = with(registration("ada@example.com"), "password", json!(" Correct Horse "));
        register(&app, body).await.created();
        for wrong in ["Correct Horse", " correct horse ", " Correct Horse"] {
            log_in(&app, "ada@example.com", wrong).await.fails(401, "INVALID_CREDENTIALS");
        }
        log_in(&app, "ada@example.com", " Correct Horse ").await.ok();
    }

    async fn one_of_many_concurrent_registrations_of_an_address_succeeds(app: TestApp) {
        let mut racing = JoinSet::new();
        for n in 0..20 {
            let app = app.clone();
            let email = if n % 2 == 0 { "ada@example.com" } else { "Ada@Example.com" };
            let body = with(registration(email), "name", json!(format!("Ada {n}")));
            racing.spawn(async move { register(&app, body).await });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            racing.join_all().await.into_iter().partition(|answer| answer.status.as_u16() == 201);
        assert_eq!((won.len(), lost.len()), (1, 19));
        for answer in lost {
            answer.fails(409, "EMAIL_TAKEN");
        }
        let winner = won.into_iter().next().unwrap().created();
        let session = log_in(&app, "ada@example.com", PASSWORD).await.ok();
        assert_eq!(session["user"], winner["user"], "the account is the one that was created");
    }

    async fn a_password_has_8_characters_and_at_most_72_bytes(app: TestApp) {
        let longest = "correct horse battery staple ".repeat(3)[..70].to_owned() + "ä";
        assert_eq!(longest.len(), 72);
        for (password, failures) in [
            ("1234567".to_owned(), &["password:too_short"][..]),
            // The limit counts characters: these are 28 bytes.
            ("🔑".repeat(7), &["password:too_short"]),
            (String::new(), &["password:too_short"]),
            ("x".repeat(73), &["password:too_long"]),
            (format!("{longest}x"), &["password:too_long"]),
            ("ä".repeat(72), &["password:too_long"]),
            ("x".repeat(5_000), &["password:too_long"]),
            ("nul \0 inside".to_owned(), &["password:pattern"]),
            ("kP4xw9Qz".to_owned(), &[]),
            ("🔑🌊🦊🍎🚲🎻🏔🧭".to_owned(), &[]),
            (longest.clone(), &[]),
        ] {
            let email = format!("ada{}@example.com", pocket_tasks::contract::ids::new_uuid().simple());
            let answer = register(&app, with(registration(&email), "password", json!(password))).await;
            if failures.is_empty() {
                answer.created();
                log_in(&app, &email, &password).await.ok();
                let shorter: String = password.chars().skip(1).collect();
                log_in(&app, &email, &format!("{shorter}y")).await.fails(401, "INVALID_CREDENTIALS");
            } else {
                answer.invalid(failures);
            }
        }
        // Nor is a password truncated on login.
        let email = "long@example.com";
        register(&app, with(registration(email), "password", json!(longest))).await.created();
        log_in(&app, email, &format!("{longest}x")).await.invalid(&["password:too_long"]);
    }

    async fn an_invalid_registration_is_rejected_with_every_reason(app: TestApp) {
        let good = registration("ada@example.com");
        let local = "x".repeat(64);
        let domain = ["y".repeat(63), "y".repeat(63), "y".repeat(61)].join(".");
        let longest = format!("{local}@{domain}");
        assert_eq!(longest.len(), 254);
        for (body, failures) in [
            (json!({}), &["email:required", "name:required", "password:required"][..]),
            (json!([]), &[":type"]),
            (json!("ada@example.com"), &[":type"]),
            (json!(null), &[":null"]),
            (with(good.clone(), "email", json!("ada")), &["email:format"]),
            (with(good.clone(), "email", json!("")), &["email:format"]),
            (with(good.clone(), "email", json!(" ada @example.com")), &["email:format"]),
            (with(good.clone(), "email", json!("ada@example.com\nx")), &["email:format"]),
            (with(good.clone(), "email", json!("ada@example")), &["email:format"]),
            (with(good.clone(), "email", json!("Ada <ada@example.com>")), &["email:format"]),
            (with(good.clone(), "email", json!(format!("{longest}y"))), &["email:too_long"]),
            (with(good.clone(), "email", json!(7)), &["email:type"]),
            (with(good.clone(), "email", json!(null)), &["email:null"]),
            (with(good.clone(), "name", json!("")), &["name:too_short"]),
            (with(good.clone(), "name", json!("   ")), &["name:too_short"]),
            (with(good.clone(), "name", json!("é".repeat(101))), &["name:too_long"]),
            (with(good.clone(), "name", json!("a\u{0}b")), &["name:pattern"]),
            (with(good.clone(), "timezone", json!("Mars/Olympus")), &["timezone:format"]),
            (with(good.clone(), "timezone", json!(null)), &["timezone:null"]),
            (with(good.clone(), "weekly_digest", json!("true")), &["weekly_digest:type"]),
            (with(good.clone(), "is_admin", json!(true)), &["is_admin:unknown_field"]),
            (with(good.clone(), "id", json!("x")), &["id:unknown_field"]),
            (with(good.clone(), "email_verified", json!(true)), &["email_verified:unknown_field"]),
            (
                json!({"admin": 1, "password": "short", "name": "", "email": "x"}),
                &["admin:unknown_field", "password:too_short", "name:too_short", "email:format"],
            ),
        ] {
            register(&app, body).await.invalid(failures);
        }
        register(&app, with(good.clone(), "email", json!(longest))).await.created();
        register(&app, with(good, "name", json!("é".repeat(100)))).await.created();
    }

    async fn an_invalid_login_is_rejected_with_every_reason(app: TestApp) {
        for (body, failures) in [
            (json!({}), &["email:required", "password:required"][..]),
            (login("ada", ""), &["email:format", "password:too_short"]),
            (with(login("ada@example.com", PASSWORD), "remember", json!(true)), &["remember:unknown_field"]),
            (with(login("ada@example.com", PASSWORD), "name", json!("Ada")), &["name:unknown_field"]),
            (with(login("ada@example.com", PASSWORD), "password", json!(12_345_678)), &["password:type"]),
        ] {
            app.anonymous().post("/v1/auth/login", body).await.invalid(failures);
        }
        app.anonymous().post_empty("/v1/auth/login").await.invalid(&[":required"]);
    }

    async fn passwords_are_never_echoed(app: TestApp) {
        let secret = "hunter2 hunter2";
        let body = with(registration("ada@example.com"), "password", json!(secret));
        let too_long = secret.repeat(9);
        let mut answers = vec![register(&app, body.clone()).await, register(&app, body.clone()).await];
        answers.push(register(&app, with(body.clone(), secret, json!(secret))).await);
        answers.push(register(&app, with(body.clone(), "password", json!(too_long))).await);
        answers.push(register(&app, with(body, "password", json!([secret]))).await);
        answers.push(log_in(&app, "ada@example.com", secret).await);
        answers.push(log_in(&app, "ada@example.com", &too_long).await);
        let broken = format!("{{\"email\":\"ada@example.com\",\"password\":\"{secret}\" oops");
        let call = app.anonymous().call(Method::POST, "/v1/auth/login").body("application/json", broken);
        answers.push(call.send().await);
        let token = answers[5].body["access_token"].as_str().unwrap().to_owned();
        let me = app.with_token(&token);
        answers.push(me.get("/v1/me").await);
        answers.push(me.post("/v1/me/password", json!({"current_password": too_long, "new_password": "short"})).await);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses, [201, 409, 400, 400, 400, 200, 400, 400, 200, 400]);
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != 2) {
            assert!(!answer.text.contains("hunter2"), "{n}: {}", answer.text);
            assert!(!answer.text.contains("$2"), "no password hash: {}", answer.text);
        }
    }
}
