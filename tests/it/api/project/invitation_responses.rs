//! Visibility, acceptance and refusal of invitations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::account::{app_requiring_verification, set_verified, user_with, verification_token, verify};
use crate::api::fixtures::common::{UNKNOWN_IDS, log_in_again};
use crate::api::fixtures::members::{
    accept, check_invariants, decline, expected_roles, invitation_status, invite, invite_user, new_member, revoke,
    roles,
};
use crate::api::fixtures::stored_members::purge_project;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

const MINE: &str = "/v1/invitations";

async fn my_projects(user: &Client, query: &str) -> Vec<Value> {
    user.get(format!("{MINE}?dir=asc&{query}")).await.ok().column("project_id")
}

on_both_databases! {
    async fn users_see_only_invitations_to_their_own_address(app: TestApp) {
        let (one, other) = (app.user().await, app.user().await);
        let (first, second, third) = (one.project().await, one.project().await, other.project().await);
        let (guest, stranger) = (app.user().await, app.user().await);
        let ids = [
            invite_user(&one, &first, &guest, "viewer").await,
            invite_user(&one, &second, &guest, "editor").await,
            invite_user(&other, &third, &guest, "viewer").await,
        ];
        invite_user(&one, &first, &stranger, "viewer").await;
        assert_eq!(my_projects(&guest, "").await, [first.as_str(), &second, &third]);
        assert_eq!(my_projects(&stranger, "").await, [first.as_str()]);
        assert_eq!(my_projects(&one, "").await, [""; 0]);
        // The invitation equals the one in the owner's list.
        let seen = guest.get(format!("{MINE}?limit=1")).await.ok();
        let owned = other.get(format!("/v1/projects/{third}/invitations")).await.ok();
        assert_eq!(seen["data"], owned["data"]);
        assert_eq!(seen["meta"], json!({"total": 3, "total_is_exact": true, "page": 1, "limit": 1, "has_more": true}));
        decline(&guest, &ids[0]).await.no_content();
        accept(&guest, &ids[1]).await.ok();
        revoke(&other, &third, &ids[2]).await.no_content();
        for (status, project) in [("declined", &first), ("accepted", &second), ("revoked", &third)] {
            assert_eq!(my_projects(&guest, &format!("status={status}")).await, [project.as_str()], "{status}");
        }
        assert_eq!(my_projects(&guest, "status=pending").await, [""; 0]);
        guest.get(format!("{MINE}?status=x")).await.invalid(&["status:enum"]);
        app.anonymous().get(MINE).await.fails(401, "UNAUTHENTICATED");
    }

    async fn a_project_in_the_trash_hides_its_invitations_until_it_comes_back(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}");
        let guest = app.user().await;
        let id = invite_user(&owner, &project, &guest, "viewer").await;
        for by_account in [false, true] {
            let before = guest.get(MINE).await.ok();
            let owner = log_in_again(&app, &owner).await;
            if by_account {
                owner.delete("/v1/me").await.no_content();
            } else {
                owner.delete(&path).await.no_content();
            }
            assert_eq!(guest.get(MINE).await.ok()["meta"]["total"], 0);
            accept(&guest, &id).await.fails(404, "NOT_FOUND");
            decline(&guest, &id).await.fails(404, "NOT_FOUND");
            if by_account {
                log_in_again(&app, &owner).await;
            } else {
                revoke(&owner, &project, &id).await.fails(404, "NOT_FOUND");
                owner.get(format!("{path}/invitations")).await.fails(404, "NOT_FOUND");
                owner.post_empty(format!("{path}/restore")).await.ok();
            }
            assert_eq!(guest.get(MINE).await.ok(), before);
        }
        accept(&guest, &id).await.ok();
    }

    async fn acceptance_grants_the_role_of_the_invitation(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        for role in ["viewer", "editor"] {
            let guest = app.user().await;
            let id = invite_user(&owner, &project, &guest, role).await;
            guest.get(format!("/v1/projects/{project}")).await.fails(403, "FORBIDDEN");
            app.clock.advance(Duration::from_secs(1));
            let member = accept(&guest, &id).await.ok();
            let profile = &guest.session["user"];
            let fields = json!({
                "user_id": guest.user_id(), "name": profile["name"], "email": guest.email(), "role": role,
                "joined_at": member["joined_at"],
            });
            assert_eq!(member, fields);
            let listed = owner.get(format!("/v1/projects/{project}/members?limit=1")).await.ok();
            assert_eq!(listed["data"], json!([member]), "the newest member is first");
            assert_eq!(guest.get(format!("/v1/projects/{project}")).await.ok()["role"], role);
            let task = guest.post(format!("/v1/projects/{project}/tasks"), json!({"title": "x"})).await;
            assert_eq!(task.status.as_u16(), if role == "editor" { 201 } else { 403 });
            assert_eq!(invitation_status(&owner, &project, &id).await, "accepted");
            for answer in [accept(&guest, &id).await, decline(&guest, &id).await] {
                answer.fails(409, "INVITATION_NOT_PENDING");
            }
        }
        check_invariants(&database).await;
    }

    async fn only_the_addressee_can_respond(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (guest, member) = (app.user().await, new_member(&app, &owner, &project, "editor").await);
        let id = invite_user(&owner, &project, &guest, "viewer").await;
        for client in [&owner, &member, &app.user().await] {
            accept(client, &id).await.fails(403, "FORBIDDEN");
            decline(client, &id).await.fails(403, "FORBIDDEN");
        }
        accept(&app.anonymous(), &id).await.fails(401, "UNAUTHENTICATED");
        for id in UNKNOWN_IDS {
            accept(&guest, id).await.fails(404, "NOT_FOUND");
            decline(&guest, id).await.fails(404, "NOT_FOUND");
        }
        assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner"), (&member, "editor")]));
        assert_eq!(invitation_status(&owner, &project, &id).await, "pending");
        decline(&guest, &id).await.no_content();
        for answer in [accept(&guest, &id).await, decline(&guest, &id).await] {
            answer.fails(409, "INVITATION_NOT_PENDING");
        }
        assert_eq!(invitation_status(&owner, &project, &id).await, "declined");
    }

    async fn an_invitation_is_valid_until_it_expires(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (early, late) = (app.user().await, app.user().await);
        let ids = [invite_user(&owner, &project, &early, "viewer").await, invite_user(&owner, &project, &late, "viewer").await];
        app.clock.advance(Duration::from_hours(7 * 24) - Duration::from_mins(5));
        let (owner, early, late) =
            (log_in_again(&app, &owner).await, log_in_again(&app, &early).await, log_in_again(&app, &late).await);
        accept(&early, &ids[0]).await.ok();
        app.clock.advance(Duration::from_mins(5));
        for answer in [accept(&late, &ids[1]).await, decline(&late, &ids[1]).await] {
            answer.fails(409, "INVITATION_NOT_PENDING");
        }
        assert_eq!(invitation_status(&owner, &project, &ids[1]).await, "expired");
        assert_eq!(my_projects(&late, "status=expired").await, [project.as_str()]);
        assert_eq!(my_projects(&late, "status=pending").await, [""; 0]);
        assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner"), (&early, "viewer")]));
    }

    async fn invitations_are_purged_with_their_project(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, guest) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let id = invite_user(&owner, &project, &guest, "viewer").await;
        purge_project(&database, &project).await;
        accept(&guest, &id).await.fails(404, "NOT_FOUND");
        decline(&guest, &id).await.fails(404, "NOT_FOUND");
        assert_eq!(my_projects(&guest, "").await, [""; 0]);
    }

    async fn an_invitation_is_visible_after_registration(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let id = invite(&owner, &project, "Grace@Example.com", "editor").await.created().id();
        let grace = user_with(&app, &json!({"email": "GRACE@example.com"})).await;
        assert_eq!(my_projects(&grace, "status=pending").await, [project.as_str()]);
        assert_eq!(accept(&grace, &id).await.ok()["role"], "editor");
    }

    async fn with_required_verification_invitations_need_a_verified_address(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (guest, token) = verification_token(&app).await;
        let owner = app.user().await;
        let project = owner.project().await;
        invite(&owner, &project, guest.email(), "viewer").await.fails(403, "EMAIL_NOT_VERIFIED");
        set_verified(&app, &owner, true).await;
        let ids = [invite_user(&owner, &project, &guest, "viewer").await, {
            let other = owner.project().await;
            invite_user(&owner, &other, &guest, "viewer").await
        }];
        owner.get(format!("/v1/projects/{project}/invitations")).await.ok();
        for _ in 0..2 {
            guest.get(MINE).await.fails(403, "EMAIL_NOT_VERIFIED");
            for id in &ids {
                accept(&guest, id).await.fails(403, "EMAIL_NOT_VERIFIED");
                decline(&guest, id).await.fails(403, "EMAIL_NOT_VERIFIED");
            }
            accept(&owner, &ids[0]).await.fails(403, "FORBIDDEN");
        }
        let own = guest.project().await;
        guest.task(&own, json!({"title": "x"})).await;
        invite(&guest, &own, "third@example.com", "viewer").await.fails(403, "EMAIL_NOT_VERIFIED");
        for path in ["/v1/me", "/v1/projects", "/v2/tasks"] {
            guest.get(path).await.ok();
        }
        assert_eq!(invitation_status(&owner, &project, &ids[0]).await, "pending");
        verify(&app, &token).await.no_content();
        assert_eq!(guest.get(MINE).await.ok()["meta"]["total"], 2);
        accept(&guest, &ids[0]).await.ok();
        decline(&guest, &ids[1]).await.no_content();
    }
}
