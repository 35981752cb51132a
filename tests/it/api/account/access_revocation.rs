//! Revocation of all access by a password reset or change.

use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use pocket_tasks::services::Grant;
use poem::Endpoint as _;
use poem::http::Method;
use serde_json::{Value, json};

use super::sessions::{PASSWORD, log_in};
use crate::api::event_stream::messages::follow;
use crate::api::fixtures::account::{
    RESET, TOKENS, VERIFICATION, api_client, forgot_password, mailed_tokens, reset, reset_token, set_verified,
    signed_in, try_log_in,
};
use crate::api::fixtures::common::concurrently;
use crate::api::fixtures::members::{
    ROUNDS, accept, invitation_status, invitations_path, invite, invite_user, join, members_path, request, through,
};
use crate::api::fixtures::webhooks::{
    LOCAL, WEBHOOKS, app, count_deliveries, deliveries, emit_event, options, webhook,
};
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::client::Ids as _;
use crate::support::sse_client::SseClient;
use crate::support::{Client, Options, Receiver, TestApp, TestDatabase};

const NEW: &str = "battery staple";

fn change(password: &str, revoke_all: bool) -> Value {
    json!({"current_password": PASSWORD, "new_password": password, "revoke_all": revoke_all})
}

/// Account in which an attacker created one grant of every kind.
struct Planted {
    app: TestApp,
    owner: Client,
    project: String,
    attacker: Client,
    stream: SseClient,
    ticket: String,
    script: Client,
    invitation: String,
    webhook: String,
    receiver: Receiver,
    reset_tokens: Vec<String>,
    verification: String,
}

impl Planted {
    async fn new(database: &TestDatabase) -> Self {
        let variables = LOCAL.into_iter().chain([("REQUIRE_EMAIL_VERIFICATION", "true")]).collect();
        let app = TestApp::new(database, Options { variables, ..Options::default() }).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let attacker = log_in(&app, &owner, None).await;
        let receiver = Receiver::new("500 Oh");
        let webhook = webhook(&attacker, &receiver.url).await.id();
        // Only a verified user may invite.
        set_verified(&app, &owner, true).await;
        let invitation = invite(&attacker, &project, "accomplice@example.com", "editor").await.created().id();
        set_verified(&app, &owner, false).await;
        let (script, _) = api_client(&app, &attacker, &["read", "write"]).await;
        for _ in 0..2 {
            forgot_password(&app, owner.email()).await.expect(202);
            app.work().await;
        }
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        assert!(count_deliveries(&owner, &webhook, "pending").await > 0);
        let [verification] = mailed_tokens(&app, &owner, VERIFICATION).try_into().unwrap();
        let reset_tokens = mailed_tokens(&app, &owner, RESET);
        let stream = follow(&attacker, "").await;
        let ticket =
            attacker.post_empty("/v1/events/stream-tickets").await.created()["ticket"].as_str().unwrap().to_owned();
        Self {
            app,
            owner,
            project,
            attacker,
            stream,
            ticket,
            script,
            invitation,
            webhook,
            receiver,
            reset_tokens,
            verification,
        }
    }

    /// Returns whether a grant still works. `owner` is a client with a valid session.
    async fn works(&mut self, grant: Grant, owner: &Client) -> bool {
        let app = &self.app;
        match grant {
            Grant::SentInvitation => invitation_status(owner, &self.project, &self.invitation).await == "pending",
            Grant::Session => {
                let answer = self.attacker.get("/v1/me").await;
                let is_ok = answer.status.is_success();
                if !is_ok {
                    answer.fails(401, "TOKEN_REVOKED");
                }
                is_ok
            }
            Grant::RefreshToken => {
                let body = json!({"refresh_token": self.attacker.session["refresh_token"]});
                app.anonymous().post("/v1/auth/refresh", body).await.status.is_success()
            }
            Grant::EventStream => {
                // Fails if the stream stays open: `soon` times out waiting for the next event.
                while soon(self.stream.next()).await.is_some() {}
                false
            }
            Grant::StreamTicket => {
                let path = format!("/v1/events/stream?ticket={}", self.ticket);
                let request = poem::Request::builder().uri(path.parse().unwrap()).finish();
                app.endpoint.call(request).await.unwrap().status().is_success()
            }
            Grant::ApiToken => self.script.get("/v1/me").await.status.is_success(),
            Grant::PasswordResetToken => reset(app, &self.reset_tokens[0], "another staple").await.status.is_success(),
            Grant::VerificationToken => {
                let body = json!({"token": self.verification});
                owner.post("/v1/auth/verify-email", body).await.status.is_success()
            }
            Grant::Webhook => owner.get(format!("{WEBHOOKS}/{}", self.webhook)).await.ok()["enabled"] == true,
            Grant::PendingDelivery => {
                let before = self.receiver.messages().len();
                self.receiver.answers("200 OK");
                app.clock.advance(Duration::from_secs(10));
                app.work().await;
                self.receiver.messages().len() > before
            }
        }
    }

    async fn require(&mut self, owner: &Client, kept: &[Grant]) {
        for grant in Grant::ALL {
            assert_eq!(self.works(*grant, owner).await, kept.contains(grant), "{grant:?}");
        }
    }
}

/// Numbers of active webhooks, tokens, pending invitations and sessions.
async fn active_counts(owner: &Client, project: &str) -> [Value; 4] {
    [
        owner.get(format!("{WEBHOOKS}?enabled=true")).await.ok()["meta"]["total"].clone(),
        owner.get(TOKENS).await.ok()["meta"]["total"].clone(),
        owner.get(format!("{}?status=pending", invitations_path(project))).await.ok()["meta"]["total"].clone(),
        owner.get("/v1/me/sessions").await.ok()["meta"]["total"].clone(),
    ]
}

on_both_databases! {
    async fn a_planted_webhook_reads_nothing_after_a_password_reset(database: TestDatabase) {
        let app = app(&database).await;
        let owner = app.user().await;
        let (project, receiver) = (owner.project().await, Receiver::new("200 OK"));
        let attacker = log_in(&app, &owner, None).await;
        let planted = webhook(&attacker, &receiver.url).await;
        let path = format!("{WEBHOOKS}/{}", planted.id());
        let tag = attacker.get(&path).await.header("etag").to_owned();
        owner.task(&project, json!({"title": "Before"})).await;
        app.work().await;
        let read = receiver.messages().len();
        assert!(read > 0, "the attack works");
        receiver.answers("500 Oh");
        owner.task(&project, json!({"title": "Pending"})).await;
        attacker.post_empty(format!("{path}/test")).await.expect(202);
        app.work().await;
        let tried = receiver.messages().len();
        receiver.answers("200 OK");

        let token = reset_token(&app, &owner).await;
        owner.task(&project, json!({"title": "Due at the reset"})).await;
        reset(&app, &token, NEW).await.no_content();
        let owner = signed_in(&app, try_log_in(&app, owner.email(), NEW).await.ok());
        owner.task(&project, json!({"title": "After"})).await;
        for _ in 0..3 {
            app.work().await;
            app.clock.advance(Duration::from_hours(8));
        }
        let owner = signed_in(&app, try_log_in(&app, owner.email(), NEW).await.ok());
        assert_eq!(receiver.messages().len(), tried, "neither the change nor the pending delivery is sent");
        let all = deliveries(&owner, &planted.id()).await;
        assert!(all.iter().all(|delivery| delivery["status"] != "pending"), "{all:?}");
        let disabled = owner.get(&path).await.ok();
        assert_eq!((&disabled["enabled"], &disabled["version"]), (&json!(false), &json!(2)));
        assert!(disabled["disabled_reason"].as_str().unwrap().contains("password"), "{disabled}");

        let stale = owner.call(Method::PATCH, &path).header("if-match", &tag).json(&json!({"enabled": true}));
        stale.send().await.fails(412, "PRECONDITION_FAILED");
        let enabled = owner.patch(&path, json!({"enabled": true})).await.ok();
        assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&json!(true), &Value::Null));
        app.work().await;
        assert_eq!(receiver.messages().len(), tried, "cancelled deliveries are not sent later");
        owner.task(&project, json!({"title": "Wanted"})).await;
        app.work().await;
        assert_eq!(receiver.messages().len(), tried + 1);
    }

    async fn a_password_reset_revokes_every_kind_of_grant(database: TestDatabase) {
        let mut planted = Planted::new(&database).await;
        let token = planted.reset_tokens.pop().unwrap();
        reset(&planted.app, &token, NEW).await.no_content();
        let owner = signed_in(&planted.app, try_log_in(&planted.app, planted.owner.email(), NEW).await.ok());
        assert_eq!(active_counts(&owner, &planted.project).await, [json!(0), json!(0), json!(0), json!(1)]);
        planted.require(&owner, &[]).await;
    }

    async fn a_password_change_with_revoke_all_keeps_only_the_current_session(database: TestDatabase) {
        let mut planted = Planted::new(&database).await;
        let owner = planted.owner.clone();
        owner.post("/v1/me/password", change(NEW, true)).await.no_content();
        assert_eq!(active_counts(&owner, &planted.project).await, [json!(0), json!(0), json!(0), json!(1)]);
        let webhook = owner.get(format!("{WEBHOOKS}/{}", planted.webhook)).await.ok();
        assert!(webhook["disabled_reason"].as_str().unwrap().contains("revoke_all"), "{webhook}");
        planted.require(&owner, &[Grant::VerificationToken]).await;
        owner.get("/v1/me").await.ok();
    }

    async fn a_plain_password_change_revokes_only_other_sessions_and_reset_links(database: TestDatabase) {
        for body in [json!({"current_password": PASSWORD, "new_password": NEW}), change(NEW, false)] {
            let mut planted = Planted::new(&database).await;
            let owner = planted.owner.clone();
            owner.post("/v1/me/password", body).await.no_content();
            let kept = [
                Grant::SentInvitation,
                Grant::ApiToken,
                Grant::VerificationToken,
                Grant::Webhook,
                Grant::PendingDelivery,
            ];
            planted.require(&owner, &kept).await;
            owner.get("/v1/me").await.ok();
        }
    }

    async fn a_wrong_current_password_revokes_nothing(database: TestDatabase) {
        let planted = Planted::new(&database).await;
        let before = active_counts(&planted.owner, &planted.project).await;
        let body = json!({"current_password": "wrong", "new_password": NEW, "revoke_all": true});
        planted.owner.post("/v1/me/password", body).await.invalid(&["current_password:incorrect"]);
        assert_eq!(active_counts(&planted.owner, &planted.project).await, before);
        for (value, failure) in [(Value::Null, "revoke_all:null"), (json!("yes"), "revoke_all:type")] {
            let body = json!({"current_password": PASSWORD, "new_password": NEW, "revoke_all": value});
            planted.owner.post("/v1/me/password", body).await.invalid(&[failure]);
        }
    }

    async fn a_password_reset_revokes_only_the_invitations_sent_by_the_account(app: TestApp) {
        let (user, other, guest) = (app.user().await, app.user().await, app.user().await);
        let (project, trashed, archived) = (user.project().await, user.project().await, user.project().await);
        let (handed, foreign) = (user.project().await, other.project().await);
        let mut ids = Vec::new();
        for project in [&project, &trashed, &archived, &handed] {
            ids.push(invite_user(&user, project, &guest, "editor").await);
        }
        let settled = invite(&user, &project, "declined@example.com", "viewer").await.created().id();
        user.delete(format!("{}/{settled}", invitations_path(&project))).await.no_content();
        let kept = invite_user(&other, &foreign, &guest, "viewer").await;
        join(&user, &handed, &other, "editor").await;
        user.patch(format!("{}/{}", members_path(&handed), other.user_id()), json!({"role": "owner"})).await.ok();
        user.delete(format!("/v1/projects/{trashed}")).await.no_content();
        user.patch(format!("/v1/projects/{archived}"), json!({"archived": true})).await.ok();
        let before = user.get("/v1/events?limit=100").await.ok()["meta"]["next_cursor"].as_str().unwrap().to_owned();
        let of_other = other.get("/v1/events?limit=100").await.ok()["meta"]["next_cursor"].as_str().unwrap().to_owned();

        let token = reset_token(&app, &user).await;
        let body = json!({"token": token, "password": NEW});
        let call = app.anonymous().call(Method::POST, "/v1/auth/reset-password").header("x-request-id", "reset-1");
        call.json(&body).send().await.no_content();
        for id in &ids {
            let answer = accept(&guest, id).await;
            // 403 in the archived project, 404 in the trashed one, 409 elsewhere.
            assert!(matches!(answer.status.as_u16(), 403 | 404 | 409), "{}", answer.text);
        }
        accept(&guest, &kept).await.ok();
        let user = signed_in(&app, try_log_in(&app, user.email(), NEW).await.ok());
        user.post_empty(format!("/v1/projects/{trashed}/restore")).await.ok();
        for (project, id) in [(&project, &ids[0]), (&trashed, &ids[1]), (&archived, &ids[2])] {
            assert_eq!(invitation_status(&user, project, id).await, "revoked", "restoring the project restores no invitation");
        }

        let list = user.get(format!("/v1/events?limit=100&type=invitation.revoked&cursor={before}")).await;
        let list = if list.status.is_success() { list.ok() } else { panic!("{}", list.text) };
        let events = list["data"].as_array().unwrap();
        assert_eq!(events.len(), 3, "one in every project that the account owns: {events:?}");
        for event in events {
            assert_eq!((&event["actor_id"], &event["request_id"]), (&json!(user.user_id()), &json!("reset-1")));
            assert_eq!((&event["data"]["status"], &event["previous"]), (&json!("revoked"), &json!({"status": "pending"})));
            assert_eq!(event["data"]["project_name"], "A project");
        }
        let list = other.get(format!("/v1/events?limit=100&type=invitation.revoked&cursor={of_other}")).await.ok();
        assert_eq!(list["data"].as_array().unwrap().len(), 1, "the new owner of a project sees it too");
        assert_eq!(list["data"][0]["data"]["id"], json!(ids[3]));
    }

    async fn a_webhook_of_a_new_project_owner_receives_the_revocation_of_an_invitation(database: TestDatabase) {
        let app = app(&database).await;
        let (user, other) = (app.user().await, app.user().await);
        let project = user.project().await;
        invite(&user, &project, "guest@example.com", "viewer").await.created();
        join(&user, &project, &other, "editor").await;
        user.patch(format!("{}/{}", members_path(&project), other.user_id()), json!({"role": "owner"})).await.ok();
        let (own, others) = (Receiver::new("200 OK"), Receiver::new("200 OK"));
        webhook(&user, &own.url).await;
        webhook(&other, &others.url).await;
        app.work().await;
        let token = reset_token(&app, &user).await;
        reset(&app, &token, NEW).await.no_content();
        app.work().await;
        let received: Vec<_> = others.messages().iter().map(|message| message.body()["type"].clone()).collect();
        assert_eq!(received, [json!("invitation.revoked")]);
        assert_eq!(own.messages().len(), 0);
    }

    async fn a_password_reset_keeps_disabled_webhooks_and_allows_tests(database: TestDatabase) {
        let app = app(&database).await;
        let owner = app.user().await;
        let receiver = Receiver::new("200 OK");
        let on = webhook(&owner, &receiver.url).await.id();
        let new = json!({"url": "https://example.com/", "events": ["*"], "enabled": false});
        let off = owner.post(WEBHOOKS, new).await.created();
        let token = reset_token(&app, &owner).await;
        reset(&app, &token, NEW).await.no_content();
        let owner = signed_in(&app, try_log_in(&app, owner.email(), NEW).await.ok());
        let after = owner.get(format!("{WEBHOOKS}/{}", off.id())).await.ok();
        assert_eq!((&after["version"], &after["disabled_reason"]), (&json!(1), &Value::Null), "the owner disabled it");
        app.clock.advance(Duration::from_secs(1));
        owner.post_empty(format!("{WEBHOOKS}/{on}/test")).await.expect(202);
        app.work().await;
        assert_eq!(receiver.messages().len(), 1);
    }

    async fn a_grant_created_during_a_reset_is_revoked_or_refused(database: TestDatabase) {
        let one = TestApp::new(&database, options()).await;
        let other = TestApp::over(database.another_store().await, options(), one.clock.clone());
        for _ in 0..ROUNDS {
            let owner = one.user().await;
            let project = owner.project().await;
            let disabled = json!({"url": "https://example.com/off", "events": ["*"], "enabled": false});
            let disabled = owner.post(WEBHOOKS, disabled).await.created().id();
            let token = reset_token(&one, &owner).await;
            let login = json!({"email": owner.email(), "password": PASSWORD});
            let refresh = json!({"refresh_token": owner.session["refresh_token"]});
            let mut requests = Vec::new();
            for number in 0..3 {
                for app in [&one, &other] {
                    let attacker = through(app, &owner);
                    let guest = format!("guest{number}.{}@example.com", requests.len());
                    let hook = json!({"url": format!("https://example.com/{}", requests.len()), "events": ["*"]});
                    let path = format!("{WEBHOOKS}/{disabled}");
                    requests.extend([
                        request(&attacker, Method::POST, TOKENS.to_owned(), json!({"name": "x", "scopes": ["read"]})),
                        request(&attacker, Method::POST, WEBHOOKS.to_owned(), hook),
                        request(&attacker, Method::PATCH, path, json!({"enabled": true})),
                        request(&attacker, Method::POST, invitations_path(&project), json!({"email": guest, "role": "editor"})),
                        request(&app.anonymous(), Method::POST, "/v1/auth/login".to_owned(), login.clone()),
                        request(&app.anonymous(), Method::POST, "/v1/auth/refresh".to_owned(), refresh.clone()),
                    ]);
                }
            }
            // The reset hashes a password first, so the other requests have a head start.
            let (answers, answer) = tokio::join!(concurrently(requests), reset(&other, &token, NEW));
            answer.no_content();
            for answer in answers {
                let status = answer.status.as_u16();
                assert!(answer.status.is_success() || status == 401, "{status}: {}", answer.text);
            }
            let owner = signed_in(&one, try_log_in(&one, owner.email(), NEW).await.ok());
            assert_eq!(active_counts(&owner, &project).await, [json!(0), json!(0), json!(0), json!(1)]);
        }
    }

    async fn a_request_authenticated_before_a_reset_creates_nothing_after_it(database: TestDatabase) {
        let one = TestApp::new(&database, options()).await;
        // The other process has not learned about the revoked sessions yet and accepts their access tokens.
        let other = TestApp::over(database.another_store().await, options(), one.clock.clone());
        let owner = one.user().await;
        let project = owner.project().await;
        let hook = webhook(&owner, "https://example.com/").await.id();
        let delivery = owner.post_empty(format!("{WEBHOOKS}/{hook}/test")).await.expect(202).id();
        let token = reset_token(&one, &owner).await;
        reset(&one, &token, NEW).await.no_content();
        let attacker = through(&other, &owner);
        attacker.get("/v1/me").await.ok();
        let path = format!("{WEBHOOKS}/{hook}");
        for (method, path, body) in [
            (Method::POST, TOKENS.to_owned(), json!({"name": "x", "scopes": ["read"]})),
            (Method::POST, WEBHOOKS.to_owned(), json!({"url": "https://example.com/2", "events": ["*"]})),
            (Method::PATCH, path.clone(), json!({"enabled": true})),
            (Method::POST, format!("{path}/rotate-secret"), json!({})),
            (Method::POST, format!("{path}/test"), Value::Null),
            (Method::POST, format!("{path}/deliveries/{delivery}/redeliver"), Value::Null),
            (Method::POST, invitations_path(&project), json!({"email": "guest@example.com", "role": "editor"})),
            (Method::POST, "/v1/projects".to_owned(), json!({"name": "Mine"})),
            (Method::POST, "/v1/me/password".to_owned(), change("a third staple", true)),
            (Method::DELETE, "/v1/me".to_owned(), Value::Null),
        ] {
            let answer = request(&attacker, method, path.clone(), body).await;
            let is_password = path.ends_with("password");
            if is_password {
                answer.invalid(&["current_password:incorrect"]);
            } else {
                answer.fails(401, "TOKEN_REVOKED");
            }
        }
        let owner = signed_in(&one, try_log_in(&one, owner.email(), NEW).await.ok());
        assert_eq!(active_counts(&owner, &project).await, [json!(0), json!(0), json!(0), json!(1)]);
    }
}
