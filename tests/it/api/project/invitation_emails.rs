//! What is mailed to who is invited.

use std::time::Duration;

use pocket_tasks::repositories::Job;
use serde_json::json;

use crate::api::fixtures::account::{VERIFICATION, app_with_proofs, mailed_tokens, perform, user_with, verify};
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::members::{
    accept, decline, invite, invited, named, newcomer, remove, revoke, set_role, status_of,
};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Mail, Options, TestApp, TestDatabase};

const SUBJECT: &str = "You are invited to a project";

/// The mails that invite an address.
fn letters(app: &TestApp, email: &str) -> Vec<Mail> {
    app.mails_to(email).into_iter().filter(|mail| mail.subject == SUBJECT).collect()
}

on_both_databases! {
    async fn each_invitation_is_one_mail_with_or_without_an_account(app: TestApp) {
        let owner = named(&app, "Ada Lovelace").await;
        let project = owner.post("/v1/projects", json!({"name": "The boat"})).await.created().id();
        let user = named(&app, "Bob Bobson").await;
        app.work().await;
        for (email, name, role) in
            [(user.email(), "Bob Bobson", "editor"), ("grace@example.com", "there", "viewer")]
        {
            let id = invite(&owner, &project, &email.to_uppercase(), role).await.created().id();
            assert_eq!(letters(&app, email).len(), 0, "no answer waits for a mail");
            app.work().await;
            app.work().await;
            let [mail] = <[Mail; 1]>::try_from(letters(&app, email)).unwrap();
            let link = format!("http://127.0.0.1:3000/invitation?id={id}");
            for body in [&mail.text, &mail.html] {
                for part in [&link, name, "Ada Lovelace", owner.email(), "The boat", email] {
                    assert!(body.contains(part), "{part}: {body}");
                }
                assert_eq!(body.contains("change its tasks"), role == "editor", "{body}");
            }
            assert!(mail.text.starts_with(&format!("Hello {name},")), "{}", mail.text);
        }
        // Again, when it is another invitation.
        remove(&owner, &project, &owner).await.fails(409, "OWNER_REQUIRED");
        let list = owner.get(format!("/v1/projects/{project}/invitations?status=pending")).await.ok();
        for id in list.column("id") {
            revoke(&owner, &project, id.as_str().unwrap()).await.no_content();
        }
        invite(&owner, &project, "grace@example.com", "viewer").await.created();
        app.work().await;
        let mails = letters(&app, "grace@example.com");
        assert_eq!(mails.len(), 2);
        assert_ne!(mails[0].id, mails[1].id);
    }

    async fn what_came_to_nothing_before_the_mail_is_not_mailed(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let [yes, no, gone] = [app.user().await, app.user().await, app.user().await];
        accept(&yes, &invited(&owner, &project, &yes, "viewer").await).await.ok();
        decline(&no, &invited(&owner, &project, &no, "viewer").await).await.no_content();
        revoke(&owner, &project, &invited(&owner, &project, &gone, "viewer").await).await.no_content();
        app.work().await;
        let trashed = owner.project().await;
        invite(&owner, &trashed, "trash@example.com", "viewer").await.created();
        owner.delete(format!("/v1/projects/{trashed}")).await.no_content();
        invite(&owner, &project, "refused@example.com", "owner").await.invalid(&["role:enum"]);
        app.work().await;
        // As long as the mail server is away.
        invite(&owner, &project, "late@example.com", "viewer").await.created();
        app.clock.advance(Duration::from_hours(7 * 24));
        app.work().await;
        for email in
            [yes.email(), no.email(), gone.email(), "trash@example.com", "refused@example.com", "late@example.com"]
        {
            assert_eq!(letters(&app, email).len(), 0, "{email}");
        }
        let unfinished = app.store.read().queue().list_unfinished().await.unwrap();
        assert!(unfinished.iter().all(|job| job.kind != "invitation_email"), "{unfinished:?}");
    }

    async fn who_has_proved_no_address_sends_no_words_of_their_own(database: TestDatabase) {
        let app = app_with_proofs(&database).await;
        let owner = named(&app, "Buy at evil.example").await;
        let project = owner.post("/v1/projects", json!({"name": "Cheap pills"})).await.created().id();
        let guest = user_with(&app, &json!({"name": "Not proved either"})).await;
        let id = invited(&owner, &project, &guest, "viewer").await;
        app.work().await;
        let [mail] = <[Mail; 1]>::try_from(letters(&app, guest.email())).unwrap();
        for words in ["Buy at evil.example", owner.email(), "Cheap pills", "Not proved either"] {
            assert!(!mail.raw.contains(words) && !mail.text.contains(words) && !mail.html.contains(words), "{words}");
        }
        assert_eq!(mail.to, guest.email());
        assert!(mail.text.contains(&format!("/invitation?id={id}")), "{}", mail.text);
        for user in [&owner, &guest] {
            verify(&app, &mailed_tokens(&app, user, VERIFICATION)[0]).await.no_content();
        }
        revoke(&owner, &project, &id).await.no_content();
        let id = invited(&owner, &project, &guest, "viewer").await;
        app.work().await;
        let mails = letters(&app, guest.email());
        let mail = mails.iter().find(|mail| mail.text.contains(&id)).unwrap();
        for words in ["Buy at evil.example", owner.email(), "Cheap pills", "Not proved either"] {
            assert!(mail.text.contains(words) && mail.html.contains(words), "{words}");
        }
    }

    async fn hostile_names_are_nothing_but_text(app: TestApp) {
        let name = "<b>Ada</b> & \"co\" {{ mail.link }} \u{202e}=?utf-8?q?x?=";
        let owner = named(&app, name).await;
        let project = json!({"name": "<a href='https://evil.example'>x</a>\u{2028}Bcc: all@example.com"});
        let project = owner.post("/v1/projects", project).await.created().id();
        invite(&owner, &project, "grace@example.com", "viewer").await.created();
        app.work().await;
        let [mail] = <[Mail; 1]>::try_from(letters(&app, "grace@example.com")).unwrap();
        assert!(!mail.html.contains("<b>") && !mail.html.contains("<a href='"), "{}", mail.html);
        assert!(!mail.text.contains(['\u{202e}', '\u{2028}']), "{}", mail.text);
        assert!(mail.text.contains("<b>Ada</b> & \"co\" {{ mail.link }}"), "{}", mail.text);
        assert_eq!(mail.html.matches("<a ").count(), 1, "{}", mail.html);
        assert_eq!(mail.to, "grace@example.com");
        assert!(!mail.raw.lines().any(|line| line.starts_with("Bcc")), "{}", mail.raw);
    }

    async fn the_inviter_is_named_who_made_it_also_when_another_owns_the_project(app: TestApp) {
        let owner = named(&app, "Ada Lovelace").await;
        let project = owner.project().await;
        let heir = newcomer(&app, &owner, &project, "viewer").await;
        invite(&owner, &project, "grace@example.com", "viewer").await.created();
        set_role(&owner, &project, &heir, "owner").await.ok();
        app.work().await;
        let [mail] = <[Mail; 1]>::try_from(letters(&app, "grace@example.com")).unwrap();
        assert!(mail.text.contains("Ada Lovelace") && !mail.text.contains(heir.email()), "{}", mail.text);
    }

    async fn the_job_notes_what_has_expired_and_nothing_else(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let guest = app.user().await;
        let expired = invited(&owner, &project, &guest, "viewer").await;
        let revoked = invite(&owner, &project, "gone@example.com", "viewer").await.created().id();
        revoke(&owner, &project, &revoked).await.no_content();
        app.clock.advance(Duration::from_hours(7 * 24));
        let owner = log_in_again(&app, &owner).await;
        let open = invite(&owner, &project, "open@example.com", "viewer").await.created().id();
        let mut raw = Raw::connect(&database).await;
        let mut stored = async || raw.texts("SELECT status FROM invitations ORDER BY created_at, id", "status").await;
        assert_eq!(stored().await, ["pending", "revoked", "pending"]);
        for _ in 0..2 {
            perform(&app, Job::ExpireInvitations {}).await;
            assert_eq!(stored().await, ["expired", "revoked", "pending"]);
        }
        for (id, status) in [(&expired, "expired"), (&revoked, "revoked"), (&open, "pending")] {
            assert_eq!(status_of(&owner, &project, id).await, status);
        }
    }
}
