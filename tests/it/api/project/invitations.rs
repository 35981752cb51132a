//! Invitations: create, list and revoke.

use std::time::Duration;

use pocket_tasks::repositories::Job;
use serde_json::{Value, json};

use crate::api::fixtures::account::{api_client, run_job};
use crate::api::fixtures::common::{UNKNOWN_IDS, log_in_again, time};
use crate::api::fixtures::members::{
    accept, decline, invitation_status, invitations_path, invite, invite_user, new_member, remove, revoke, set_role,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

const WEEK: Duration = Duration::from_hours(7 * 24);

const STATUSES: [&str; 5] = ["pending", "accepted", "declined", "revoked", "expired"];

/// Addresses of the invitations with this status, in the order of creation.
async fn addresses(reader: &Client, list: &str, status: &str) -> Vec<Value> {
    reader.get(format!("{list}?status={status}&dir=asc")).await.ok().column("email")
}

on_both_databases! {
    async fn an_invitation_is_case_insensitive_and_valid_for_a_week(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let answer = invite(&owner, &project, "Grace.HOPPER@Example.COM", "viewer").await;
        let location = answer.header("location").to_owned();
        let invitation = answer.created();
        assert_eq!(location, format!("{}/{}", invitations_path(&project), invitation.id()));
        let expected = json!({
            "id": invitation["id"], "project_id": project, "project_name": "A project",
            "email": "grace.hopper@example.com", "role": "viewer", "status": "pending",
            "invited_by": owner.user_id(), "expires_at": invitation["expires_at"],
            "created_at": invitation["created_at"],
        });
        assert_eq!(invitation, expected);
        let created = time(&invitation["created_at"]);
        assert_eq!(time(&invitation["expires_at"]), created + WEEK);
        assert!((0..10_000).contains(&(app.clock.now().0 - created.0)));
        assert_eq!(owner.get(invitations_path(&project)).await.ok()["data"], json!([invitation]));
        owner.patch(format!("/v1/projects/{project}"), json!({"name": "Renamed"})).await.ok();
        let listed = owner.get(invitations_path(&project)).await.ok();
        assert_eq!(listed.column("project_name"), [json!("Renamed")]);
        revoke(&owner, &project, &invitation.id()).await.no_content();
    }

    async fn members_and_invited_addresses_cannot_be_invited_again(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let member = new_member(&app, &owner, &project, "viewer").await;
        let guest = app.user().await;
        for email in [owner.email(), member.email(), &member.email().to_uppercase()] {
            invite(&owner, &project, email, "editor").await.fails(409, "ALREADY_MEMBER");
        }
        let first = invite_user(&owner, &project, &guest, "viewer").await;
        for email in [guest.email(), &guest.email().to_uppercase()] {
            invite(&owner, &project, email, "editor").await.fails(409, "ALREADY_INVITED");
        }
        invite(&owner, &other, guest.email(), "editor").await.created();
        member.delete("/v1/me").await.no_content();
        invite(&owner, &project, member.email(), "editor").await.fails(409, "ALREADY_MEMBER");
        let list = owner.get(format!("{}?status=pending", invitations_path(&project))).await.ok();
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(list["data"][0]["id"], first);
    }

    async fn an_address_can_be_invited_again_after_a_failed_invitation(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut guest = app.user().await;
        let mut became = Vec::new();
        let first = invite_user(&owner, &project, &guest, "viewer").await;
        revoke(&owner, &project, &first).await.no_content();
        became.push((first, "revoked"));
        let second = invite_user(&owner, &project, &guest, "viewer").await;
        decline(&guest, &second).await.no_content();
        became.push((second, "declined"));
        let mut owner = owner;
        for job_ran in [false, true] {
            let expired = invite_user(&owner, &project, &guest, "viewer").await;
            app.clock.advance(WEEK);
            if job_ran {
                run_job(&app, Job::ExpireInvitations {}).await;
            }
            (owner, guest) = (log_in_again(&app, &owner).await, log_in_again(&app, &guest).await);
            became.push((expired, "expired"));
        }
        let accepted = invite_user(&owner, &project, &guest, "editor").await;
        assert_eq!(accept(&guest, &accepted).await.ok()["role"], "editor");
        remove(&owner, &project, &guest).await.no_content();
        became.push((accepted, "accepted"));
        became.push((invite_user(&owner, &project, &guest, "viewer").await, "pending"));
        for (invitation, status) in became {
            assert_eq!(invitation_status(&owner, &project, &invitation).await, status);
        }
    }

    async fn the_list_shows_expired_invitations_before_and_after_the_expiry_job(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let list = invitations_path(&project);
        for email in ["late@example.com", "late2@example.com"] {
            invite(&owner, &project, email, "viewer").await.created();
        }
        app.clock.advance(Duration::from_mins(7 * 24 * 60 - 5));
        let owner = log_in_again(&app, &owner).await;
        let (yes, no) = (app.user().await, app.user().await);
        accept(&yes, &invite_user(&owner, &project, &yes, "viewer").await).await.ok();
        decline(&no, &invite_user(&owner, &project, &no, "viewer").await).await.no_content();
        let gone = invite(&owner, &project, "gone@example.com", "editor").await.created().id();
        revoke(&owner, &project, &gone).await.no_content();
        invite(&owner, &project, "open@example.com", "editor").await.created();
        assert_eq!(addresses(&owner, &list, "pending").await, ["late@example.com", "late2@example.com", "open@example.com"]);
        assert_eq!(addresses(&owner, &list, "expired").await, [""; 0]);
        app.clock.advance(Duration::from_mins(5));
        for job_ran in [false, true] {
            if job_ran {
                run_job(&app, Job::ExpireInvitations {}).await;
            }
            for (status, expected) in STATUSES.into_iter().zip([
                vec!["open@example.com"],
                vec![yes.email()],
                vec![no.email()],
                vec!["gone@example.com"],
                vec!["late@example.com", "late2@example.com"],
            ]) {
                assert_eq!(addresses(&owner, &list, status).await, expected, "{status}, {job_ran}");
                let page = owner.get(format!("{list}?status={status}&limit=1")).await.ok();
                assert_eq!(page["meta"]["total"], expected.len(), "{status}, {job_ran}");
                assert_eq!(page["data"][0]["status"], status);
            }
        }
        let all = owner.get(format!("{list}?limit=4")).await.ok();
        assert_eq!(all["meta"], json!({"total": 6, "total_is_exact": true, "page": 1, "limit": 4, "has_more": true}));
        assert_eq!(all["data"][0]["email"], "open@example.com", "newest first");
        owner.get(format!("{list}?status=lost&sort=email")).await.invalid(&["status:enum", "sort:enum"]);
    }

    async fn invalid_invitations_are_rejected(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for (body, failures) in [
            (json!({}), &["email:required", "role:required"][..]),
            (json!({"email": "grace", "role": "viewer"}), &["email:format"]),
            (json!({"email": null, "role": null}), &["email:null", "role:null"]),
            (json!({"email": format!("{}@example.com", "x".repeat(250)), "role": "viewer"}), &["email:too_long"]),
            (json!({"email": "a@example.com", "role": "owner"}), &["role:enum"]),
            (json!({"email": "a@example.com", "role": "viewer", "status": "accepted"}), &["status:unknown_field"]),
        ] {
            owner.post(invitations_path(&project), body).await.invalid(failures);
        }
        assert_eq!(owner.get(invitations_path(&project)).await.ok()["meta"]["total"], 0);
    }

    async fn only_pending_invitations_can_be_revoked(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let (guest, third) = (app.user().await, app.user().await);
        let revoked = invite_user(&owner, &project, &guest, "viewer").await;
        revoke(&owner, &other, &revoked).await.fails(404, "NOT_FOUND");
        revoke(&owner, &project, &revoked).await.no_content();
        let declined = invite_user(&owner, &project, &third, "viewer").await;
        decline(&third, &declined).await.no_content();
        let accepted = invite_user(&owner, &project, &guest, "viewer").await;
        accept(&guest, &accepted).await.ok();
        for (invitation, status) in [(&revoked, "revoked"), (&declined, "declined"), (&accepted, "accepted")] {
            revoke(&owner, &project, invitation).await.fails(409, "INVITATION_NOT_PENDING");
            assert_eq!(invitation_status(&owner, &project, invitation).await, status);
        }
        for id in UNKNOWN_IDS {
            revoke(&owner, &project, id).await.fails(404, "NOT_FOUND");
        }
        let late = invite_user(&owner, &project, &third, "viewer").await;
        app.clock.advance(WEEK);
        let owner = log_in_again(&app, &owner).await;
        revoke(&owner, &project, &late).await.fails(409, "INVITATION_NOT_PENDING");
        assert_eq!(invitation_status(&owner, &project, &late).await, "expired");
    }

    async fn a_new_owner_sees_the_invitations_of_the_previous_one(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (heir, guest) = (new_member(&app, &owner, &project, "viewer").await, app.user().await);
        let invitation = invite_user(&owner, &project, &guest, "viewer").await;
        set_role(&owner, &project, &heir, "owner").await.ok();
        owner.get(invitations_path(&project)).await.fails(403, "FORBIDDEN");
        revoke(&owner, &project, &invitation).await.fails(403, "FORBIDDEN");
        invite(&owner, &project, "new@example.com", "viewer").await.fails(403, "FORBIDDEN");
        invite(&heir, &project, guest.email(), "editor").await.fails(409, "ALREADY_INVITED");
        revoke(&heir, &project, &invitation).await.no_content();
    }

    async fn an_archived_project_rejects_invitations(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let guest = app.user().await;
        let invitation = invite_user(&owner, &project, &guest, "viewer").await;
        owner.patch(format!("/v1/projects/{project}"), json!({"archived": true})).await.ok();
        invite(&owner, &project, "new@example.com", "viewer").await.fails(403, "PROJECT_ARCHIVED");
        revoke(&owner, &project, &invitation).await.fails(403, "PROJECT_ARCHIVED");
        accept(&guest, &invitation).await.fails(403, "PROJECT_ARCHIVED");
        assert_eq!(owner.get(invitations_path(&project)).await.ok().column("status"), [json!("pending")]);
        decline(&guest, &invitation).await.no_content();
    }

    async fn api_tokens_with_write_scope_can_invite_and_respond(app: TestApp) {
        let (owner, guest) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let (reading, _) = api_client(&app, &owner, &["read"]).await;
        let (writing, _) = api_client(&app, &owner, &["write"]).await;
        invite(&reading, &project, guest.email(), "viewer").await.fails(403, "INSUFFICIENT_SCOPE");
        let id = invite(&writing, &project, guest.email(), "viewer").await.created().id();
        writing.get(invitations_path(&project)).await.fails(403, "INSUFFICIENT_SCOPE");
        assert_eq!(reading.get(invitations_path(&project)).await.ok()["meta"]["total"], 1);
        revoke(&reading, &project, &id).await.fails(403, "INSUFFICIENT_SCOPE");
        revoke(&writing, &project, &id).await.no_content();
        let (reading, _) = api_client(&app, &guest, &["read"]).await;
        let (writing, _) = api_client(&app, &guest, &["write"]).await;
        for answers_yes in [false, true] {
            let id = invite_user(&owner, &project, &guest, "viewer").await;
            accept(&reading, &id).await.fails(403, "INSUFFICIENT_SCOPE");
            decline(&reading, &id).await.fails(403, "INSUFFICIENT_SCOPE");
            writing.get("/v1/invitations").await.fails(403, "INSUFFICIENT_SCOPE");
            assert_eq!(reading.get("/v1/invitations?status=pending").await.ok().column("id"), [json!(id)]);
            if answers_yes {
                accept(&writing, &id).await.ok();
            } else {
                decline(&writing, &id).await.no_content();
            }
        }
    }
}
