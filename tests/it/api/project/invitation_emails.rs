//! Invitation e-mails.

use std::time::Duration;

use pocket_tasks::repositories::Job;
use serde_json::json;

use crate::api::fixtures::account::{app_requiring_verification, run_job, set_verified, user_with};
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::members::{
    accept, decline, invitation_status, invite, invite_user, new_member, remove, revoke, set_role, user_named,
};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Mail, Options, TestApp, TestDatabase};

const SUBJECT: &str = "You are invited to a project";

/// Invitation e-mails to an address.
fn invitation_emails(app: &TestApp, email: &str) -> Vec<Mail> {
    app.mails_to(email).into_iter().filter(|mail| mail.subject == SUBJECT).collect()
}

on_both_databases! {
    async fn each_invitation_sends_one_email_with_or_without_an_account(app: TestApp) {
        let owner = user_named(&app, "Ada Lovelace").await;
        let project = owner.post("/v1/projects", json!({"name": "The boat"})).await.created().id();
        let user = user_named(&app, "Bob Bobson").await;
        app.work().await;
        for (email, name, role) in
            [(user.email(), "Bob Bobson", "editor"), ("grace@example.com", "there", "viewer")]
        {
            let id = invite(&owner, &project, &email.to_uppercase(), role).await.created().id();
            assert_eq!(invitation_emails(&app, email).len(), 0, "the response does not wait for the e-mail");
            app.work().await;
            app.work().await;
            let [mail] = <[Mail; 1]>::try_from(invitation_emails(&app, email)).unwrap();
            let link = format!("http://127.0.0.1:3000/invitation?id={id}");
            for body in [&mail.text, &mail.html] {
                for part in [&link, name, "Ada Lovelace", owner.email(), "The boat", email] {
                    assert!(body.contains(part), "{part}: {body}");
                }
                assert_eq!(body.contains("change its tasks"), role == "editor", "{body}");
            }
            assert!(mail.text.starts_with(&format!("Hello {name},")), "{}", mail.text);
        }
        // A new invitation sends another e-mail.
        remove(&owner, &project, &owner).await.fails(409, "OWNER_REQUIRED");
        let list = owner.get(format!("/v1/projects/{project}/invitations?status=pending")).await.ok();
        for id in list.column("id") {
            revoke(&owner, &project, id.as_str().unwrap()).await.no_content();
        }
        invite(&owner, &project, "grace@example.com", "viewer").await.created();
        app.work().await;
        let mails = invitation_emails(&app, "grace@example.com");
        assert_eq!(mails.len(), 2);
        assert_ne!(mails[0].id, mails[1].id);
    }

    async fn an_invitation_that_is_no_longer_pending_is_not_sent(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let [yes, no, gone] = [app.user().await, app.user().await, app.user().await];
        accept(&yes, &invite_user(&owner, &project, &yes, "viewer").await).await.ok();
        decline(&no, &invite_user(&owner, &project, &no, "viewer").await).await.no_content();
        revoke(&owner, &project, &invite_user(&owner, &project, &gone, "viewer").await).await.no_content();
        app.work().await;
        let trashed = owner.project().await;
        invite(&owner, &trashed, "trash@example.com", "viewer").await.created();
        owner.delete(format!("/v1/projects/{trashed}")).await.no_content();
        invite(&owner, &project, "refused@example.com", "owner").await.invalid(&["role:enum"]);
        app.work().await;
        // The mail server is unavailable until the invitation expires.
        invite(&owner, &project, "late@example.com", "viewer").await.created();
        app.clock.advance(Duration::from_hours(7 * 24));
        app.work().await;
        for email in
            [yes.email(), no.email(), gone.email(), "trash@example.com", "refused@example.com", "late@example.com"]
        {
            assert_eq!(invitation_emails(&app, email).len(), 0, "{email}");
        }
        let unfinished = app.store.read().queue().list_unfinished().await.unwrap();
        assert!(unfinished.iter().all(|job| job.kind != "invitation_email"), "{unfinished:?}");
    }

    async fn an_invitation_of_an_unverified_user_is_refused_and_one_to_such_a_user_omits_the_name(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let owner = user_named(&app, "Buy at evil.example").await;
        let project = owner.post("/v1/projects", json!({"name": "Cheap pills"})).await.created().id();
        let guest = user_with(&app, &json!({"name": "Not proved either"})).await;
        invite(&owner, &project, guest.email(), "viewer").await.fails(403, "EMAIL_NOT_VERIFIED");
        app.work().await;
        assert_eq!(invitation_emails(&app, guest.email()).len(), 0);
        set_verified(&app, &owner, true).await;
        let id = invite_user(&owner, &project, &guest, "viewer").await;
        app.work().await;
        let [mail] = <[Mail; 1]>::try_from(invitation_emails(&app, guest.email())).unwrap();
        assert!(!mail.raw.contains("Not proved either") && !mail.text.contains("Not proved either"), "{}", mail.text);
        assert_eq!(mail.to, guest.email());
        assert!(mail.text.contains(&format!("/invitation?id={id}")), "{}", mail.text);
        set_verified(&app, &guest, true).await;
        revoke(&owner, &project, &id).await.no_content();
        let id = invite_user(&owner, &project, &guest, "viewer").await;
        app.work().await;
        let mails = invitation_emails(&app, guest.email());
        let mail = mails.iter().find(|mail| mail.text.contains(&id)).unwrap();
        for words in ["Buy at evil.example", owner.email(), "Cheap pills", "Not proved either"] {
            assert!(mail.text.contains(words) && mail.html.contains(words), "{words}");
        }
    }

    async fn hostile_names_are_escaped(app: TestApp) {
        let name = "<b>Ada</b> & \"co\" {{ mail.link }} \u{200f}=?utf-8?q?x?=";
        let owner = user_named(&app, name).await;
        let project = json!({"name": "<a href='https://evil.example'>x</a>\u{2028}Bcc: all@example.com"});
        let project = owner.post("/v1/projects", project).await.created().id();
        invite(&owner, &project, "grace@example.com", "viewer").await.created();
        app.work().await;
        let [mail] = <[Mail; 1]>::try_from(invitation_emails(&app, "grace@example.com")).unwrap();
        assert!(!mail.html.contains("<b>") && !mail.html.contains("<a href='"), "{}", mail.html);
        assert!(!mail.text.contains('\u{2028}'), "{}", mail.text);
        assert!(mail.text.contains("<b>Ada</b> & \"co\" {{ mail.link }}"), "{}", mail.text);
        assert_eq!(mail.html.matches("<a ").count(), 1, "{}", mail.html);
        assert_eq!(mail.to, "grace@example.com");
        assert!(!mail.raw.lines().any(|line| line.starts_with("Bcc")), "{}", mail.raw);
    }

    async fn the_email_names_the_inviter_even_after_a_transfer(app: TestApp) {
        let owner = user_named(&app, "Ada Lovelace").await;
        let project = owner.project().await;
        let heir = new_member(&app, &owner, &project, "viewer").await;
        invite(&owner, &project, "grace@example.com", "viewer").await.created();
        set_role(&owner, &project, &heir, "owner").await.ok();
        app.work().await;
        let [mail] = <[Mail; 1]>::try_from(invitation_emails(&app, "grace@example.com")).unwrap();
        assert!(mail.text.contains("Ada Lovelace") && !mail.text.contains(heir.email()), "{}", mail.text);
    }

    async fn the_expiry_job_marks_only_expired_invitations(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let guest = app.user().await;
        let expired = invite_user(&owner, &project, &guest, "viewer").await;
        let revoked = invite(&owner, &project, "gone@example.com", "viewer").await.created().id();
        revoke(&owner, &project, &revoked).await.no_content();
        app.clock.advance(Duration::from_hours(7 * 24));
        let owner = log_in_again(&app, &owner).await;
        let open = invite(&owner, &project, "open@example.com", "viewer").await.created().id();
        let mut raw = Raw::connect(&database).await;
        let mut stored = async || raw.texts("SELECT status FROM invitations ORDER BY created_at, id", "status").await;
        assert_eq!(stored().await, ["pending", "revoked", "pending"]);
        for _ in 0..2 {
            run_job(&app, Job::ExpireInvitations {}).await;
            assert_eq!(stored().await, ["expired", "revoked", "pending"]);
        }
        for (id, status) in [(&expired, "expired"), (&revoked, "revoked"), (&open, "pending")] {
            assert_eq!(invitation_status(&owner, &project, id).await, status);
        }
    }
}
