//! Requests that wait for a locked project or account decide by its state after the wait. PostgreSQL only: SQLite has one
//! writer at a time, so a waiting request has not read anything.

use pocket_tasks::contract::project::invitation::InvitationStatus;
use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::{InvitationId, ProjectId, UserId};
use pocket_tasks::repositories::{Store as _, Transaction};
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::invitation_limits::new_invitation;
use crate::api::fixtures::common::DAY;
use crate::api::fixtures::members::{
    PendingRequest, check_invariants, invitations_path, invite_user, member_path, new_member, outcome, request,
    through, two_processes,
};
use crate::api::task::move_deadlocks::{until_waiting, until_waiting_or};
use crate::on_both_databases;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Change to a project while a request waits for it.
#[derive(Debug, Clone, Copy)]
enum Change {
    Archived,
    Deleted,
    Transferred,
    MemberRemoved,
    GuestAdded,
    GuestInvited,
    Revoked,
    Filled,
}

/// Project with an owner, a member, an invited guest and a stranger.
struct Fixture {
    owner: Client,
    member: Client,
    guest: Client,
    stranger: Client,
    project: String,
    invitation: String,
}

impl Fixture {
    async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let project = owner.project().await;
        let member = new_member(app, &owner, &project, "editor").await;
        let (guest, stranger) = (app.user().await, app.user().await);
        let invitation = invite_user(&owner, &project, &guest, "viewer").await;
        Self { owner, member, guest, stranger, project, invitation }
    }

    /// Prepares a request that changes the members or invitations of the project.
    fn request(&self, what: &str) -> PendingRequest {
        let member = member_path(&self.project, &self.member);
        let role = |role: &str| request(&self.owner, Method::PATCH, member.clone(), json!({"role": role}));
        match what {
            "transfer" => role("owner"),
            "role" => role("viewer"),
            "remove" => request(&self.owner, Method::DELETE, member, Value::Null),
            "leave" => request(&self.member, Method::DELETE, member, Value::Null),
            "invite" => {
                let body = json!({"email": self.stranger.email(), "role": "viewer"});
                request(&self.owner, Method::POST, invitations_path(&self.project), body)
            }
            "revoke" => {
                let path = format!("{}/{}", invitations_path(&self.project), self.invitation);
                request(&self.owner, Method::DELETE, path, Value::Null)
            }
            "accept" => {
                let path = format!("/v1/invitations/{}/accept", self.invitation);
                request(&self.guest, Method::POST, path, Value::Null)
            }
            other => panic!("unknown request: {other}"),
        }
    }

    /// Applies a change in the transaction that holds the project.
    async fn change(&self, lock: &dyn Transaction, project: Project, change: Change) {
        let user = |client: &Client| UserId::parse(client.user_id()).unwrap();
        let now = project.updated_at;
        let id = project.id;
        match change {
            Change::Archived => lock.projects().update(&Project { archived: true, ..project }).await.unwrap(),
            Change::Deleted => {
                lock.projects().update(&Project { deleted_at: Some(now), ..project }).await.unwrap();
            }
            Change::Transferred => {
                lock.members().set_role(id, user(&self.owner), Role::Editor).await.unwrap();
                lock.members().set_role(id, user(&self.member), Role::Owner).await.unwrap();
                let owner_id = user(&self.member);
                lock.projects().update(&Project { owner_id, ..project }).await.unwrap();
            }
            Change::MemberRemoved => lock.members().remove(id, user(&self.member)).await.unwrap(),
            Change::GuestAdded => {
                assert!(lock.members().add(id, user(&self.stranger), Role::Viewer, now).await.unwrap());
            }
            Change::GuestInvited => {
                let invitation = new_invitation(&self.project, self.stranger.email(), now, now + DAY);
                assert!(lock.invitations().add(&invitation).await.unwrap());
            }
            Change::Revoked => {
                let invitation = InvitationId::parse(&self.invitation).unwrap();
                assert!(lock.invitations().resolve(invitation, InvitationStatus::Revoked, now).await.unwrap());
            }
            Change::Filled => {
                for number in 0..497 {
                    let email = format!("guest.{number}@example.com");
                    let invitation = new_invitation(&self.project, &email, now, now + DAY);
                    assert!(lock.invitations().add(&invitation).await.unwrap());
                }
            }
        }
    }
}

on_both_databases! {
    async fn account_deletion_and_transfer_are_serialized(database: TestDatabase) {
        if !database.is_postgres() {
            return;
        }
        let (one, other) = two_processes(&database).await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        for heir_deleted in [true, false] {
            let owner = one.user().await;
            let project = owner.project().await;
            let heir = new_member(&one, &owner, &project, "editor").await;
            let mut blocker = PgConnection::connect(&database.url).await.unwrap();
            let mut blocking = blocker.begin().await.unwrap();
            // The transfer has completed all its checks before it waits for this row.
            let row = "SELECT 1 FROM members WHERE project_id = $1 AND role = 'owner' FOR UPDATE";
            sqlx::query(row).bind(Uuid::parse_str(&project).unwrap()).execute(&mut *blocking).await.unwrap();
            let path = member_path(&project, &heir);
            let transfer = tokio::spawn(request(&owner, Method::PATCH, path, json!({"role": "owner"})));
            until_waiting(&mut observer, 1).await;
            let deleted = through(&other, if heir_deleted { &heir } else { &owner });
            let deletion = tokio::spawn(request(&deleted, Method::DELETE, "/v1/me".to_owned(), Value::Null));
            until_waiting(&mut observer, 2).await;
            blocking.commit().await.unwrap();
            assert_eq!(outcome(&transfer.await.unwrap()), (200, ""));
            assert_eq!(outcome(&deletion.await.unwrap()), (204, ""));
            check_invariants(&database).await;
            let remaining = if heir_deleted { &owner } else { &heir };
            let seen = remaining.get(format!("/v1/projects/{project}")).await;
            assert_eq!(seen.status.as_u16(), if heir_deleted { 404 } else { 200 }, "{}", seen.text);
        }
    }

    async fn a_waiting_request_sees_the_change_it_waited_for(database: TestDatabase) {
        if !database.is_postgres() {
            return;
        }
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        for (what, change, status, error) in [
            ("transfer", Change::Transferred, 403, "FORBIDDEN"),
            ("transfer", Change::MemberRemoved, 404, "NOT_FOUND"),
            ("transfer", Change::Archived, 403, "PROJECT_ARCHIVED"),
            ("transfer", Change::Deleted, 404, "NOT_FOUND"),
            ("role", Change::Transferred, 403, "FORBIDDEN"),
            ("role", Change::MemberRemoved, 404, "NOT_FOUND"),
            ("remove", Change::Transferred, 403, "FORBIDDEN"),
            ("remove", Change::Archived, 403, "PROJECT_ARCHIVED"),
            ("leave", Change::Transferred, 409, "OWNER_REQUIRED"),
            ("leave", Change::MemberRemoved, 403, "FORBIDDEN"),
            ("leave", Change::Archived, 204, ""),
            ("invite", Change::Transferred, 403, "FORBIDDEN"),
            ("invite", Change::Archived, 403, "PROJECT_ARCHIVED"),
            ("invite", Change::GuestAdded, 409, "ALREADY_MEMBER"),
            ("invite", Change::GuestInvited, 409, "ALREADY_INVITED"),
            ("invite", Change::Filled, 409, "LIMIT_REACHED"),
            ("revoke", Change::Transferred, 403, "FORBIDDEN"),
            ("revoke", Change::Archived, 403, "PROJECT_ARCHIVED"),
            ("revoke", Change::Revoked, 409, "INVITATION_NOT_PENDING"),
            ("accept", Change::Archived, 403, "PROJECT_ARCHIVED"),
            ("accept", Change::Deleted, 404, "NOT_FOUND"),
            ("accept", Change::Revoked, 409, "INVITATION_NOT_PENDING"),
            ("accept", Change::Transferred, 200, ""),
        ] {
            let fixture = Fixture::new(&app).await;
            let lock = others.begin().await.unwrap();
            let id = ProjectId::parse(&fixture.project).unwrap();
            let reader = UserId::parse(fixture.owner.user_id()).unwrap();
            let project = lock.projects().lock(id, reader).await.unwrap().unwrap().project;
            let waiting = tokio::spawn(fixture.request(what));
            until_waiting(&mut observer, 1).await;
            fixture.change(&*lock, project, change).await;
            lock.commit().await.unwrap();
            let answer = waiting.await.unwrap();
            assert_eq!(outcome(&answer), (status, error), "{what}, {change:?}");
            check_invariants(&database).await;
        }
    }

    async fn a_deleted_account_gains_no_project(database: TestDatabase) {
        if !database.is_postgres() {
            return;
        }
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        for restore in [false, true] {
            let owner = app.user().await;
            let project = owner.project().await;
            new_member(&app, &owner, &project, "editor").await;
            owner.delete(format!("/v1/projects/{project}")).await.no_content();
            let lock = others.begin().await.unwrap();
            let id = UserId::parse(owner.user_id()).unwrap();
            lock.users().lock(id).await.unwrap();
            lock.users().set_deleted(id, Some(app.clock.now()), app.clock.now()).await.unwrap();
            let gaining = tokio::spawn(if restore {
                request(&owner, Method::POST, format!("/v1/projects/{project}/restore"), Value::Null)
            } else {
                request(&owner, Method::POST, "/v1/projects".to_owned(), json!({"name": "x"}))
            });
            until_waiting_or(&mut observer, 1, || gaining.is_finished()).await;
            lock.commit().await.unwrap();
            let answer = gaining.await.unwrap();
            check_invariants(&database).await;
            assert_eq!(outcome(&answer), (401, "TOKEN_REVOKED"), "{restore}");
        }
    }
}
