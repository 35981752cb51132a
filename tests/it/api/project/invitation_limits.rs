//! Limits on invitations per project and per user.

use std::time::Duration;

use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::contract::project::invitation::{Invitation, InvitationStatus, InvitedRole};
use pocket_tasks::contract::strings::{Email, ProjectName};
use pocket_tasks::contract::{InvitationId, ProjectId, Timestamp};
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::concurrently;
use crate::api::fixtures::members::{
    accept, invitations_path, invite, invite_user, remove, request, revoke, through, two_processes,
};
use crate::api::fixtures::stored_members::member;
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

/// Creates an invitation that is not stored.
pub(crate) fn new_invitation(project: &str, email: &str, created_at: Timestamp, expires_at: Timestamp) -> Invitation {
    Invitation {
        id: InvitationId::generate(),
        project_id: ProjectId::parse(project).unwrap(),
        project_name: ProjectName::new_unchecked("A project"),
        email: Email::new_unchecked(email),
        role: InvitedRole::Viewer,
        status: InvitationStatus::Pending,
        invited_by: None,
        expires_at,
        created_at,
    }
}

/// Stores this many invitations in a project.
async fn fill(app: &TestApp, project: &str, count: usize, expires_at: Timestamp) {
    let transaction = app.store.begin().await.unwrap();
    for _ in 0..count {
        let email = format!("{}@example.com", new_uuid().simple());
        let invitation = new_invitation(project, &email, app.clock.now(), expires_at);
        assert!(transaction.invitations().add(&invitation).await.unwrap());
    }
    transaction.commit().await.unwrap();
}

/// Number of members and pending invitations of all projects.
async fn count(database: &TestDatabase, app: &TestApp) -> usize {
    let pending =
        format!("SELECT count(*) FROM invitations WHERE status = 'pending' AND expires_at > {}", app.clock.now().0);
    let sql = format!("SELECT CAST((SELECT count(*) FROM members) + ({pending}) AS TEXT) AS found");
    Raw::connect(database).await.texts(&sql, "found").await[0].parse().unwrap()
}

on_both_databases! {
    async fn members_and_pending_invitations_are_limited_to_500_per_project(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let (in_week, past) = (app.clock.now() + Duration::from_hours(168), app.clock.now());
        let (gone, there) = (member(&app, &project, "viewer").await, member(&app, &project, "editor").await);
        // A deleted member can be restored and keeps their place.
        gone.delete("/v1/me").await.no_content();
        fill(&app, &project, 495, in_week).await;
        fill(&app, &project, 20, past).await;
        let guest = app.user().await;
        let first = invite_user(&owner, &project, &guest, "viewer").await;
        let last = invite(&owner, &project, "last@example.com", "viewer").await.created().id();
        let too_many = || invite(&owner, &project, "more@example.com", "viewer");
        too_many().await.fails(409, "LIMIT_REACHED");
        assert_eq!(owner.get(format!("{}?status=pending", invitations_path(&project))).await.ok()["meta"]["total"], 497);
        assert_eq!(app.mails_to("more@example.com").len(), 0);
        // A guest who accepts takes the place of the invitation.
        accept(&guest, &first).await.ok();
        too_many().await.fails(409, "LIMIT_REACHED");
        // Other projects are unaffected.
        invite(&owner, &other, "more@example.com", "viewer").await.created();
        // Other errors take precedence.
        invite(&owner, &project, there.email(), "viewer").await.fails(409, "ALREADY_MEMBER");
        invite(&owner, &project, "last@example.com", "viewer").await.fails(409, "ALREADY_INVITED");
        revoke(&owner, &project, &last).await.no_content();
        too_many().await.created();
        invite(&owner, &project, "another@example.com", "viewer").await.fails(409, "LIMIT_REACHED");
        remove(&owner, &project, &there).await.no_content();
        invite(&owner, &project, "another@example.com", "viewer").await.created();
        too_many().await.fails(409, "ALREADY_INVITED");
        app.work().await;
        assert_eq!(app.mails_to("more@example.com").len(), 2);
    }

    async fn concurrent_invitations_fill_exactly_the_remaining_places(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        let project = owner.project().await;
        fill(&one, &project, 496, one.clock.now() + Duration::from_hours(168)).await;
        let requests = (0..10).map(|number| {
            let client = if number % 2 == 0 { owner.clone() } else { through(&other, &owner) };
            let body = json!({"email": format!("guest.{number}@example.com"), "role": "viewer"});
            request(&client, Method::POST, invitations_path(&project), body)
        });
        let (created, refused): (Vec<_>, Vec<_>) =
            concurrently(requests).await.into_iter().partition(|answer| answer.status.is_success());
        assert_eq!(created.len(), 3);
        for answer in refused {
            answer.fails(409, "LIMIT_REACHED");
        }
        assert_eq!(count(&database, &one).await, 500);
    }

    async fn invitations_are_rate_limited_per_user(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let mut senders = Vec::new();
        for _ in 0..2 {
            let sender = app.user().await;
            senders.push((sender.project().await, sender));
        }
        // A second app over the same database, with a limit.
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..Options::default() }).await;
        let invite = async |sender: usize, project: usize, email: &str| {
            invite(&through(&app, &senders[sender].1), &senders[project].0, email, "viewer").await
        };
        // Into a project of another user, to an address that its owner is about to invite.
        invite(1, 0, "grace@example.com").await.fails(403, "FORBIDDEN");
        let first = invite(0, 0, "grace@example.com").await;
        assert_eq!((first.header("ratelimit-limit"), first.header("ratelimit-remaining")), ("3", "2"));
        first.created();
        // Failed invitations count too; otherwise attempts would be unlimited.
        invite(0, 0, "grace@example.com").await.fails(409, "ALREADY_INVITED");
        invite(0, 0, "ada@example.com").await.created();
        let refused = invite(0, 0, "bob@example.com").await;
        assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("3", "0"));
        let wait: u32 = refused.header("retry-after").parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        refused.fails(429, "RATE_LIMITED");
        invite(1, 1, "grace@example.com").await.created();
        // Other operations are unaffected.
        let list = through(&app, &senders[0].1).get(format!("{}?sort=created_at&dir=asc", invitations_path(&senders[0].0))).await.ok();
        assert_eq!(list.column("email"), [Value::from("grace@example.com"), Value::from("ada@example.com")]);
    }
}
