//! Visibility of projects in streams: only current members receive events.

use std::sync::Arc;

use pocket_tasks::contract::ids::new_uuid;
use serde_json::{Value, json};

use super::messages::{events_until, follow, rename, types};
use crate::api::fixtures::members::{invite_user, join, new_member, remove, set_role};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::fault_store::{Fault, FaultStore};
use crate::support::{Client, Options, SseClient, TestApp, TestClock, TestDatabase};

/// Member of a project with an open stream, and with a project of their own whose renaming marks the end of a read.
struct Member {
    client: Client,
    own: String,
    stream: SseClient,
}

impl Member {
    async fn of(client: Client) -> Self {
        let own = client.project().await;
        let stream = follow(&client, "").await;
        Self { client, own, stream }
    }

    /// Events received so far.
    async fn received(&mut self) -> Vec<Value> {
        let now = new_uuid().to_string();
        rename(&self.client, &self.own, &now).await;
        events_until(&mut self.stream, &now).await
    }
}

on_both_databases! {
    async fn a_former_member_receives_no_further_events(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for leaves in [false, true] {
            let mut member = Member::of(new_member(&app, &owner, &project, "editor").await).await;
            member.client.task(&project, json!({"title": "Tea", "assignee_id": member.client.user_id()})).await;
            assert_eq!(types(&member.received().await), ["task.created"]);
            remove(if leaves { &member.client } else { &owner }, &project, &member.client).await.no_content();
            owner.task(&project, json!({"title": "Secret"})).await;
            rename(&owner, &project, "Secret").await;
            assert_eq!(types(&member.received().await), [""; 0], "the unassignment of the task is not sent either");
        }
    }

    async fn a_new_member_receives_the_membership_and_later_events(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        owner.task(&project, json!({"title": "Before"})).await;
        let mut member = Member::of(app.user().await).await;
        for _ in 0..2 {
            let invitation = invite_user(&owner, &project, &member.client, "viewer").await;
            assert_eq!(types(&member.received().await), [""; 0], "an invitee is not a member yet");
            member.client.post_empty(format!("/v1/invitations/{invitation}/accept")).await.ok();
            owner.task(&project, json!({"title": "After"})).await;
            assert_eq!(types(&member.received().await), ["member.added", "task.created"]);
            remove(&owner, &project, &member.client).await.no_content();
            assert_eq!(types(&member.received().await), [""; 0]);
        }
    }

    async fn only_the_current_owner_receives_invitation_events(app: TestApp) {
        let first = app.user().await;
        let project = first.project().await;
        let second = new_member(&app, &first, &project, "viewer").await;
        let (mut first, mut second) = (Member::of(first).await, Member::of(second).await);
        let guest = app.user().await;
        invite_user(&first.client, &project, &guest, "viewer").await;
        assert_eq!(types(&first.received().await), ["invitation.created"]);
        assert_eq!(types(&second.received().await), [""; 0]);

        set_role(&first.client, &project, &second.client, "owner").await.ok();
        let other = app.user().await;
        invite_user(&second.client, &project, &other, "viewer").await;
        let handed = ["member.updated", "member.updated", "project.updated"];
        assert_eq!(types(&first.received().await), handed);
        assert_eq!(types(&second.received().await), [&handed[..], &["invitation.created"]].concat());
        join(&second.client, &project, &app.user().await, "editor").await;
        assert_eq!(types(&first.received().await), ["member.added"]);
        assert_eq!(types(&second.received().await), ["invitation.created", "invitation.accepted", "member.added"]);
    }

    async fn members_receive_the_deletion_and_restoration_of_a_project(app: TestApp) {
        let mut owner = Member::of(app.user().await).await;
        // The project is created while the stream is open.
        let project = owner.client.project().await;
        owner.client.task(&project, json!({"title": "Tea"})).await;
        assert_eq!(types(&owner.received().await), ["project.created", "task.created"]);
        let mut member = Member::of(new_member(&app, &owner.client, &project, "viewer").await).await;
        owner.received().await;
        let path = format!("/v1/projects/{project}");
        owner.client.delete(&path).await.no_content();
        owner.client.post_empty(format!("{path}/restore")).await.ok();
        owner.client.task(&project, json!({"title": "Coffee"})).await;
        for who in [&mut owner, &mut member] {
            assert_eq!(types(&who.received().await), ["project.deleted", "project.restored", "task.created"]);
        }
        let mut stranger = Member::of(app.user().await).await;
        assert_eq!(types(&stranger.received().await), [""; 0]);
    }

    async fn owners_receive_the_removal_of_a_member_who_deletes_their_account(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let member = new_member(&app, &owner, &project, "viewer").await;
        let mut owner = Member::of(owner).await;
        member.delete("/v1/me").await.no_content();
        assert_eq!(types(&owner.received().await), ["member.removed"]);
    }

    async fn an_unreadable_removal_event_closes_access_for_the_removed_member(database: TestDatabase) {
        let store = FaultStore::over(database.store().await, Fault::None);
        let app = TestApp::over(Arc::clone(&store) as _, Options::default(), TestClock::default());
        let owner = app.user().await;
        let project = owner.project().await;
        let mut member = Member::of(new_member(&app, &owner, &project, "editor").await).await;
        store.set(Fault::TailWaits);
        remove(&owner, &project, &member.client).await.no_content();
        Raw::connect(&database).await.execute("UPDATE events SET data = '{}' WHERE type = 'member.removed'").await;
        owner.task(&project, json!({"title": "Secret"})).await;
        store.set(Fault::None);
        assert_eq!(types(&member.received().await), [""; 0]);
    }

    async fn a_stream_that_fails_to_start_leaves_others_of_the_user_open(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let mut user = Member::of(app.user().await).await;
        let mut raw = Raw::connect(&database).await;
        raw.execute("ALTER TABLE members RENAME TO lost").await;
        user.client.get("/v1/events/stream").await.fails(500, "INTERNAL");
        raw.execute("ALTER TABLE lost RENAME TO members").await;
        let project = user.own.clone();
        user.client.task(&project, json!({"title": "Tea"})).await;
        assert_eq!(types(&user.received().await), ["task.created"]);
    }
}
