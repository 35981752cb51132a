//! Verification of e-mail addresses.

use std::time::Duration;

use pocket_tasks::security::TokenKind;
use serde_json::{Value, json};

use crate::api::fixtures::account::{
    Tables, VERIFICATION, WELCOME, api_client, app_requiring_verification, count_mails, mailed_tokens, reset,
    reset_token, secret_and_hash, try_log_in, verification_token, verify,
};
use crate::api::fixtures::common::{DAY, concurrently, log_in_again, time};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Mail, Options, TestApp, TestDatabase};

const VERIFY: &str = "/v1/auth/verify-email";

async fn resend(client: &Client) {
    let answer = client.post_empty("/v1/auth/resend-verification").await;
    assert_eq!(answer.text, "");
    answer.expect(202);
}

async fn is_verified(client: &Client) -> bool {
    client.get("/v1/me").await.ok()["email_verified"] == true
}

on_both_databases! {
    async fn registration_sends_a_welcome_and_if_required_a_verification_email(database: TestDatabase) {
        let with_proofs = app_requiring_verification(&database).await;
        let user = with_proofs.user().await;
        assert_eq!(with_proofs.mails().len(), 0, "the response does not wait for e-mails");
        with_proofs.work().await;
        let mut mails = with_proofs.mails();
        mails.sort_by(|one, other| one.subject.cmp(&other.subject));
        let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
        assert_eq!(subjects, [VERIFICATION, WELCOME]);
        let name = user.session["user"]["name"].as_str().unwrap();
        for mail in &mails {
            // The recipient may not be the person who chose the name, so the e-mail does not contain it.
            assert_eq!(mail.to, user.email());
            assert!(!mail.raw.contains(name) && mail.text.starts_with("Hello there,"), "{}", mail.raw);
        }
        let link = format!("http://127.0.0.1:3000/verify-email#token={}", mails[0].token());
        assert!(mails[0].text.contains(&link) && mails[0].html.contains(&link), "{}", mails[0].raw);
        assert!(!is_verified(&user).await);

        let without = TestApp::new(&database, Options::default()).await;
        let user = without.user().await;
        without.work().await;
        let [mail] = <[Mail; 1]>::try_from(without.mails()).unwrap();
        let name = user.session["user"]["name"].as_str().unwrap();
        assert_eq!(mail.subject, WELCOME);
        assert!(mail.to.contains(name) && mail.text.contains(name) && mail.html.contains(name), "{}", mail.raw);
        assert!(is_verified(&user).await);
    }

    async fn verification_takes_effect_once(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, token) = verification_token(&app).await;
        let before = user.get("/v1/me").await.ok();
        assert_eq!((&before["email_verified"], &before["version"]), (&json!(false), &json!(1)));
        app.clock.advance(Duration::from_secs(1));
        verify(&app, &token).await.no_content();
        let answer = user.get("/v1/me").await;
        let etag = answer.header("etag").to_owned();
        let after = answer.ok();
        assert_eq!((&after["email_verified"], &after["version"]), (&json!(true), &json!(2)));
        assert!(time(&after["updated_at"]) > time(&before["updated_at"]));
        app.clock.advance(Duration::from_secs(1));
        verify(&app, &token).await.fails(422, "INVALID_TOKEN");
        let again = user.get("/v1/me").await;
        assert_eq!(again.header("etag"), etag);
        assert_eq!(again.ok(), after);
        app.work().await;
        assert_eq!(app.mails_to(user.email()).len(), 2, "no further e-mail is sent");
    }

    async fn guesses_of_the_password_for_a_link_are_limited_like_logins(database: TestDatabase) {
        let variables = vec![("REQUIRE_EMAIL_VERIFICATION", "true"), ("LOGIN_FAILURES_PER_MINUTE", "3")];
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let (user, token) = verification_token(&app).await;
        let guess = json!({"token": token, "password": "a guess"});
        for _ in 0..3 {
            app.anonymous().post(VERIFY, guess.clone()).await.invalid(&["password:incorrect"]);
        }
        verify(&app, &token).await.fails(429, "RATE_LIMITED");
        try_log_in(&app, user.email(), "correct horse").await.fails(429, "RATE_LIMITED");
        app.clock.advance(Duration::from_mins(1));
        verify(&app, &token).await.no_content();
        for _ in 0..4 {
            // The right password was not counted.
            try_log_in(&app, user.email(), "correct horse").await.ok();
        }
    }

    async fn a_verification_token_is_valid_for_a_day(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (early, early_token) = verification_token(&app).await;
        let (late, late_token) = verification_token(&app).await;
        app.clock.advance(Duration::from_mins(24 * 60 - 5));
        verify(&app, &early_token).await.no_content();
        app.clock.advance(Duration::from_mins(5));
        verify(&app, &late_token).await.fails(422, "INVALID_TOKEN");
        assert!(is_verified(&log_in_again(&app, &early).await).await);
        let late = log_in_again(&app, &late).await;
        assert!(!is_verified(&late).await);
        resend(&late).await;
        app.work().await;
        let tokens = mailed_tokens(&app, &late, VERIFICATION);
        verify(&app, tokens.iter().find(|token| **token != late_token).unwrap()).await.no_content();
        assert!(is_verified(&late).await);
    }

    async fn a_verification_token_is_valid_from_the_time_of_sending(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let user = app.user().await;
        // The mail server is unavailable for three days.
        app.clock.advance(DAY * 3);
        app.work().await;
        verify(&app, &mailed_tokens(&app, &user, VERIFICATION)[0]).await.no_content();
    }

    async fn only_verification_tokens_verify_an_address(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, good) = verification_token(&app).await;
        let password_reset = reset_token(&app, &user).await;
        let (_, api) = api_client(&app, &user, &["read", "write"]).await;
        let api = api["token"].as_str().unwrap().to_owned();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let refresh = text(&user.session["refresh_token"]);
        let disguised = |token: &str| format!("mt_{}", token.split_once('_').unwrap().1);
        let mut wrong = vec![
            disguised(&api),
            disguised(&refresh),
            api,
            refresh,
            text(&user.session["access_token"]),
            password_reset.clone(),
            good.replacen("mt_", "pt_", 1),
            good.trim_start_matches("mt_").to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}A"),
            format!("{good} "),
            good.to_uppercase(),
            "mt_".to_owned(),
            "x".to_owned(),
            format!("mt_{}", "A".repeat(43)),
            "' OR 1=1 --".to_owned(),
        ];
        wrong.sort();
        for token in wrong {
            verify(&app, &token).await.fails(422, "INVALID_TOKEN");
        }
        assert!(!is_verified(&user).await);
        // A verification token cannot be used for anything else.
        reset(&app, &good, "battery staple").await.fails(422, "INVALID_TOKEN");
        app.with_token(&good).get("/v1/me").await.fails(401, "UNAUTHENTICATED");
        verify(&app, &good).await.no_content();
        reset(&app, &password_reset, "battery staple").await.no_content();
    }

    async fn malformed_verification_tokens_fail_validation(app: TestApp) {
        for (body, failures) in [
            (json!({}), &["token:required"][..]),
            (json!({"token": ""}), &["token:too_short"]),
            (json!({"token": "x".repeat(513)}), &["token:too_long"]),
            (json!({"token": null}), &["token:null"]),
            (json!({"token": 7}), &["token:type"]),
            (json!({"token": "x", "email": "ada@example.com"}), &["email:unknown_field"]),
            (json!({"token": "x"}), &["password:required"]),
            (json!({"token": "x", "password": ""}), &["password:too_short"]),
        ] {
            app.anonymous().post("/v1/auth/verify-email", body).await.invalid(failures);
        }
    }

    async fn a_link_alone_does_not_verify_an_account_that_someone_else_registered(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        // Mallory registers the address of a victim, who clicks on the link.
        let (mallory, token) = verification_token(&app).await;
        let proof = json!({"token": token});
        app.anonymous().post(VERIFY, proof.clone()).await.invalid(&["password:required"]);
        // The victim's own account does not count either, nor does the victim's password.
        let victim = app.user().await;
        victim.post(VERIFY, proof.clone()).await.invalid(&["password:required"]);
        for client in [&app.anonymous(), &victim] {
            let guess = json!({"token": token, "password": "not Mallory's"});
            client.post(VERIFY, guess).await.invalid(&["password:incorrect"]);
        }
        assert!(!is_verified(&mallory).await && !is_verified(&victim).await);
        // The token is not used up by refused attempts.
        let with_password = json!({"token": token, "password": "correct horse"});
        victim.post(VERIFY, with_password).await.no_content();
        assert!(is_verified(&mallory).await && !is_verified(&victim).await);
    }

    async fn an_access_token_of_the_account_verifies_it_without_a_password(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, token) = verification_token(&app).await;
        let proof = json!({"token": token});
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        script.post(VERIFY, proof.clone()).await.fails(403, "FORBIDDEN");
        app.with_token("nonsense").post(VERIFY, proof.clone()).await.fails(401, "UNAUTHENTICATED");
        let ended = log_in_again(&app, &user).await;
        ended.post_empty("/v1/auth/logout").await.no_content();
        ended.post(VERIFY, proof.clone()).await.fails(401, "TOKEN_REVOKED");
        // A password that is sent must be right even so.
        let wrong = json!({"token": token, "password": "wrong horse"});
        user.post(VERIFY, wrong).await.invalid(&["password:incorrect"]);
        user.post(VERIFY, proof).await.no_content();
        assert!(is_verified(&user).await);
    }

    async fn an_unverified_account_may_do_everything_but_list_and_answer_invitations(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (owner, token) = verification_token(&app).await;
        owner.post(VERIFY, json!({"token": token})).await.no_content();
        let unproved = app.user().await;
        let project = owner.project().await;
        let body = json!({"email": unproved.email(), "role": "editor"});
        let invitation = owner.post(format!("/v1/projects/{project}/invitations"), body).await.created().id();
        let own = unproved.project().await;
        let task = unproved.task(&own, json!({"title": "Tea"})).await.id();
        unproved.post(format!("/v1/tasks/{task}/comments"), json!({"body": "Green"})).await.created();
        unproved.patch("/v1/me", json!({"name": "Eve"})).await.ok();
        api_client(&app, &unproved, &["read"]).await;
        unproved.post("/v1/webhooks", json!({"url": "https://hook.invalid/", "events": ["*"]})).await.created();
        unproved.get("/v1/events").await.ok();
        unproved.get("/v1/invitations").await.fails(403, "EMAIL_NOT_VERIFIED");
        for verb in ["accept", "decline"] {
            let path = format!("/v1/invitations/{invitation}/{verb}");
            unproved.post_empty(path).await.fails(403, "EMAIL_NOT_VERIFIED");
        }
    }

    async fn verification_invalidates_all_tokens_of_the_account(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, _) = verification_token(&app).await;
        let (other, of_other) = verification_token(&app).await;
        let password_reset = reset_token(&app, &user).await;
        for _ in 0..2 {
            resend(&user).await;
            app.work().await;
        }
        let tokens = mailed_tokens(&app, &user, VERIFICATION);
        assert_eq!(tokens.len(), 3);
        resend(&user).await;
        verify(&app, &tokens[1]).await.no_content();
        for token in &tokens {
            verify(&app, token).await.fails(422, "INVALID_TOKEN");
        }
        app.work().await;
        assert_eq!(count_mails(&app, &user, VERIFICATION), 3, "the pending e-mail is not sent after verification");
        assert_eq!(user.get("/v1/me").await.ok()["version"], 2);
        assert!(!is_verified(&other).await);
        verify(&app, &of_other).await.no_content();
        reset(&app, &password_reset, "battery staple").await.no_content();
    }

    async fn repeated_verification_requests_keep_one_pending_email(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let user = app.user().await;
        let (reader, _) = api_client(&app, &user, &["read", "write"]).await;
        reader.post_empty("/v1/auth/resend-verification").await.fails(403, "FORBIDDEN");
        app.anonymous().post_empty("/v1/auth/resend-verification").await.fails(401, "UNAUTHENTICATED");
        for _ in 0..3 {
            resend(&user).await;
        }
        app.work().await;
        assert_eq!(count_mails(&app, &user, VERIFICATION), 1);
        for _ in 0..3 {
            resend(&user).await;
        }
        app.work().await;
        assert_eq!(count_mails(&app, &user, VERIFICATION), 2);
        verify(&app, &mailed_tokens(&app, &user, VERIFICATION)[0]).await.no_content();
        resend(&user).await;
        app.work().await;
        assert_eq!(count_mails(&app, &user, VERIFICATION), 2, "no e-mail after verification");
    }

    async fn concurrent_verifications_take_effect_once(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, token) = verification_token(&app).await;
        resend(&user).await;
        app.work().await;
        let tokens = mailed_tokens(&app, &user, VERIFICATION);
        assert!(tokens.contains(&token) && tokens.len() == 2);
        let proofs = (0..8).map(|number| {
            let (app, token) = (app.clone(), tokens[number % 2].clone());
            async move { verify(&app, &token).await }
        });
        let answers = concurrently(proofs).await;
        let (good, wrong): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
        assert_eq!(good.len(), 1);
        for answer in wrong {
            answer.fails(422, "INVALID_TOKEN");
        }
        assert_eq!(user.get("/v1/me").await.ok()["version"], 2);
    }

    async fn only_hashes_of_mailed_tokens_are_stored_and_only_until_use(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, verification) = verification_token(&app).await;
        let password_reset = reset_token(&app, &user).await;
        let tables = Tables::read(&database).await;
        for token in [&verification, &password_reset] {
            let [secret, hash] = secret_and_hash(TokenKind::Mail, token);
            assert_eq!(tables.columns_containing(token), [""; 0]);
            assert_eq!(tables.columns_containing(&secret), [""; 0]);
            assert_eq!(tables.columns_containing(&hash), ["email_tokens.hash"]);
        }
        verify(&app, &verification).await.no_content();
        reset(&app, &password_reset, "battery staple").await.no_content();
        let tables = Tables::read(&database).await;
        for token in [&verification, &password_reset] {
            let [secret, hash] = secret_and_hash(TokenKind::Mail, token);
            for what in [token, &secret, &hash] {
                assert_eq!(tables.columns_containing(what), [""; 0]);
            }
        }
    }
}
