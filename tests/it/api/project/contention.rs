//! What waits for a project decides by how it finds it then, and who waits for an account too. PostgreSQL only: SQLite has
//! one writer at a time, so who waits there has read nothing yet.

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
    Sending, at, check_people, invitations, invited, membership, newcomer, outcome, request, two_processes,
};
use crate::api::task::move_deadlocks::{until_waiting, until_waiting_or};
use crate::on_both_databases;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// What happens to a project while somebody waits for it.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Archived,
    Deleted,
    HandedOver,
    MemberRemoved,
    GuestAdded,
    GuestInvited,
    Revoked,
    Filled,
}

/// A project with its owner, a member, and two guests of whom one is invited.
struct World {
    owner: Client,
    member: Client,
    guest: Client,
    stranger: Client,
    project: String,
    invitation: String,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let project = owner.project().await;
        let member = newcomer(app, &owner, &project, "editor").await;
        let (guest, stranger) = (app.user().await, app.user().await);
        let invitation = invited(&owner, &project, &guest, "viewer").await;
        Self { owner, member, guest, stranger, project, invitation }
    }

    /// A request of those that change who is in the project.
    fn request(&self, what: &str) -> Sending {
        let member = membership(&self.project, &self.member);
        let role = |role: &str| request(&self.owner, Method::PATCH, member.clone(), json!({"role": role}));
        match what {
            "transfer" => role("owner"),
            "role" => role("viewer"),
            "remove" => request(&self.owner, Method::DELETE, member, Value::Null),
            "leave" => request(&self.member, Method::DELETE, member, Value::Null),
            "invite" => {
                let body = json!({"email": self.stranger.email(), "role": "viewer"});
                request(&self.owner, Method::POST, invitations(&self.project), body)
            }
            "revoke" => {
                let path = format!("{}/{}", invitations(&self.project), self.invitation);
                request(&self.owner, Method::DELETE, path, Value::Null)
            }
            "accept" => {
                let path = format!("/v1/invitations/{}/accept", self.invitation);
                request(&self.guest, Method::POST, path, Value::Null)
            }
            other => panic!("there is no {other}"),
        }
    }

    /// Has it happen, by who has locked the project.
    async fn change(&self, lock: &dyn Transaction, project: Project, meanwhile: Meanwhile) {
        let user = |client: &Client| UserId::parse(client.user_id()).unwrap();
        let now = project.updated_at;
        let id = project.id;
        match meanwhile {
            Meanwhile::Archived => lock.projects().update(&Project { archived: true, ..project }).await.unwrap(),
            Meanwhile::Deleted => {
                lock.projects().update(&Project { deleted_at: Some(now), ..project }).await.unwrap();
            }
            Meanwhile::HandedOver => {
                lock.members().set_role(id, user(&self.owner), Role::Editor).await.unwrap();
                lock.members().set_role(id, user(&self.member), Role::Owner).await.unwrap();
                let owner_id = user(&self.member);
                lock.projects().update(&Project { owner_id, ..project }).await.unwrap();
            }
            Meanwhile::MemberRemoved => lock.members().remove(id, user(&self.member)).await.unwrap(),
            Meanwhile::GuestAdded => {
                assert!(lock.members().add(id, user(&self.stranger), Role::Viewer, now).await.unwrap());
            }
            Meanwhile::GuestInvited => {
                let invitation = new_invitation(&self.project, self.stranger.email(), now, now + DAY);
                assert!(lock.invitations().add(&invitation).await.unwrap());
            }
            Meanwhile::Revoked => {
                let invitation = InvitationId::parse(&self.invitation).unwrap();
                assert!(lock.invitations().settle(invitation, InvitationStatus::Revoked, now).await.unwrap());
            }
            Meanwhile::Filled => {
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
    async fn an_account_goes_before_a_transfer_or_after_it(database: TestDatabase) {
        if !database.is_postgres() {
            return;
        }
        let (one, other) = two_processes(&database).await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        for heir_goes in [true, false] {
            let owner = one.user().await;
            let project = owner.project().await;
            let heir = newcomer(&one, &owner, &project, "editor").await;
            let mut blocker = PgConnection::connect(&database.url).await.unwrap();
            let mut held = blocker.begin().await.unwrap();
            // The transfer has made sure of everything by the time it waits for this.
            let row = "SELECT 1 FROM members WHERE project_id = $1 AND role = 'owner' FOR UPDATE";
            sqlx::query(row).bind(Uuid::parse_str(&project).unwrap()).execute(&mut *held).await.unwrap();
            let path = membership(&project, &heir);
            let transfer = tokio::spawn(request(&owner, Method::PATCH, path, json!({"role": "owner"})));
            until_waiting(&mut observer, 1).await;
            let goes = at(&other, if heir_goes { &heir } else { &owner });
            let deletion = tokio::spawn(request(&goes, Method::DELETE, "/v1/me".to_owned(), Value::Null));
            until_waiting(&mut observer, 2).await;
            held.commit().await.unwrap();
            assert_eq!(outcome(&transfer.await.unwrap()), (200, ""));
            assert_eq!(outcome(&deletion.await.unwrap()), (204, ""));
            check_people(&database).await;
            let stays = if heir_goes { &owner } else { &heir };
            let seen = stays.get(format!("/v1/projects/{project}")).await;
            assert_eq!(seen.status.as_u16(), if heir_goes { 404 } else { 200 }, "{}", seen.text);
        }
    }

    async fn what_happened_before_the_wait_was_over_counts(database: TestDatabase) {
        if !database.is_postgres() {
            return;
        }
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        for (what, meanwhile, status, error) in [
            ("transfer", Meanwhile::HandedOver, 403, "FORBIDDEN"),
            ("transfer", Meanwhile::MemberRemoved, 404, "NOT_FOUND"),
            ("transfer", Meanwhile::Archived, 403, "PROJECT_ARCHIVED"),
            ("transfer", Meanwhile::Deleted, 404, "NOT_FOUND"),
            ("role", Meanwhile::HandedOver, 403, "FORBIDDEN"),
            ("role", Meanwhile::MemberRemoved, 404, "NOT_FOUND"),
            ("remove", Meanwhile::HandedOver, 403, "FORBIDDEN"),
            ("remove", Meanwhile::Archived, 403, "PROJECT_ARCHIVED"),
            ("leave", Meanwhile::HandedOver, 409, "OWNER_REQUIRED"),
            ("leave", Meanwhile::MemberRemoved, 403, "FORBIDDEN"),
            ("leave", Meanwhile::Archived, 204, ""),
            ("invite", Meanwhile::HandedOver, 403, "FORBIDDEN"),
            ("invite", Meanwhile::Archived, 403, "PROJECT_ARCHIVED"),
            ("invite", Meanwhile::GuestAdded, 409, "ALREADY_MEMBER"),
            ("invite", Meanwhile::GuestInvited, 409, "ALREADY_INVITED"),
            ("invite", Meanwhile::Filled, 409, "LIMIT_REACHED"),
            ("revoke", Meanwhile::HandedOver, 403, "FORBIDDEN"),
            ("revoke", Meanwhile::Archived, 403, "PROJECT_ARCHIVED"),
            ("revoke", Meanwhile::Revoked, 409, "INVITATION_NOT_PENDING"),
            ("accept", Meanwhile::Archived, 403, "PROJECT_ARCHIVED"),
            ("accept", Meanwhile::Deleted, 404, "NOT_FOUND"),
            ("accept", Meanwhile::Revoked, 409, "INVITATION_NOT_PENDING"),
            ("accept", Meanwhile::HandedOver, 200, ""),
        ] {
            let world = World::new(&app).await;
            let lock = others.begin().await.unwrap();
            let id = ProjectId::parse(&world.project).unwrap();
            let reader = UserId::parse(world.owner.user_id()).unwrap();
            let project = lock.projects().lock(id, reader).await.unwrap().unwrap().project;
            let waiting = tokio::spawn(world.request(what));
            until_waiting(&mut observer, 1).await;
            world.change(&*lock, project, meanwhile).await;
            lock.commit().await.unwrap();
            let answer = waiting.await.unwrap();
            assert_eq!(outcome(&answer), (status, error), "{what}, {meanwhile:?}");
            check_people(&database).await;
        }
    }

    async fn no_project_comes_to_an_account_that_goes(database: TestDatabase) {
        if !database.is_postgres() {
            return;
        }
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        for restores in [false, true] {
            let owner = app.user().await;
            let project = owner.project().await;
            newcomer(&app, &owner, &project, "editor").await;
            owner.delete(format!("/v1/projects/{project}")).await.no_content();
            let lock = others.begin().await.unwrap();
            let id = UserId::parse(owner.user_id()).unwrap();
            lock.users().lock(id).await.unwrap();
            lock.users().set_deleted(id, Some(app.clock.now()), app.clock.now()).await.unwrap();
            let coming = tokio::spawn(if restores {
                request(&owner, Method::POST, format!("/v1/projects/{project}/restore"), Value::Null)
            } else {
                request(&owner, Method::POST, "/v1/projects".to_owned(), json!({"name": "x"}))
            });
            until_waiting_or(&mut observer, 1, || coming.is_finished()).await;
            lock.commit().await.unwrap();
            let answer = coming.await.unwrap();
            check_people(&database).await;
            assert_eq!(outcome(&answer), (401, "TOKEN_REVOKED"), "{restores}");
        }
    }
}
