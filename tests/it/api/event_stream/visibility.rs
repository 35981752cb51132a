//! Who is told of a project: whoever is a member of it at that moment, and nobody else.

use pocket_tasks::contract::ids::new_uuid;
use serde_json::{Value, json};

use super::messages::{follow, rename, told_until, types};
use crate::api::fixtures::members::{invited, join, newcomer, remove, set_role};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::held::HeldFeed;
use crate::support::{Client, Following, Options, TestApp, TestClock, TestDatabase};

/// A member of somebody's project who follows the feed, and has a project too: by whose name it is known what was told.
struct Member {
    client: Client,
    own: String,
    stream: Following,
}

impl Member {
    async fn of(client: Client) -> Self {
        let own = client.project().await;
        let stream = follow(&client, "").await;
        Self { client, own, stream }
    }

    /// What was told by now.
    async fn told(&mut self) -> Vec<Value> {
        let now = new_uuid().to_string();
        rename(&self.client, &self.own, &now).await;
        told_until(&mut self.stream, &now).await
    }
}

on_both_databases! {
    async fn who_is_removed_or_leaves_is_told_nothing_any_more(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for leaves in [false, true] {
            let mut member = Member::of(newcomer(&app, &owner, &project, "editor").await).await;
            member.client.task(&project, json!({"title": "Tea", "assignee_id": member.client.user_id()})).await;
            assert_eq!(types(&member.told().await), ["task.created"]);
            remove(if leaves { &member.client } else { &owner }, &project, &member.client).await.no_content();
            owner.task(&project, json!({"title": "Secret"})).await;
            rename(&owner, &project, "Secret").await;
            assert_eq!(types(&member.told().await), [""; 0], "not even that the task has no assignee any more");
        }
    }

    async fn who_comes_is_told_of_it_and_of_whatever_comes_after(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        owner.task(&project, json!({"title": "Before"})).await;
        let mut member = Member::of(app.user().await).await;
        for _ in 0..2 {
            let invitation = invited(&owner, &project, &member.client, "viewer").await;
            assert_eq!(types(&member.told().await), [""; 0], "who is invited is no member yet");
            member.client.post_empty(format!("/v1/invitations/{invitation}/accept")).await.ok();
            owner.task(&project, json!({"title": "After"})).await;
            assert_eq!(types(&member.told().await), ["member.added", "task.created"]);
            remove(&owner, &project, &member.client).await.no_content();
            assert_eq!(types(&member.told().await), [""; 0]);
        }
    }

    async fn only_who_owns_a_project_now_is_told_of_its_invitations(app: TestApp) {
        let first = app.user().await;
        let project = first.project().await;
        let second = newcomer(&app, &first, &project, "viewer").await;
        let (mut first, mut second) = (Member::of(first).await, Member::of(second).await);
        let guest = app.user().await;
        invited(&first.client, &project, &guest, "viewer").await;
        assert_eq!(types(&first.told().await), ["invitation.created"]);
        assert_eq!(types(&second.told().await), [""; 0]);

        set_role(&first.client, &project, &second.client, "owner").await.ok();
        let other = app.user().await;
        invited(&second.client, &project, &other, "viewer").await;
        let handed = ["member.updated", "member.updated", "project.updated"];
        assert_eq!(types(&first.told().await), handed);
        assert_eq!(types(&second.told().await), [&handed[..], &["invitation.created"]].concat());
        join(&second.client, &project, &app.user().await, "editor").await;
        assert_eq!(types(&first.told().await), ["member.added"]);
        assert_eq!(types(&second.told().await), ["invitation.created", "invitation.accepted", "member.added"]);
    }

    async fn what_becomes_of_a_project_is_told_to_its_members(app: TestApp) {
        let mut owner = Member::of(app.user().await).await;
        // A project that was made while somebody follows.
        let project = owner.client.project().await;
        owner.client.task(&project, json!({"title": "Tea"})).await;
        assert_eq!(types(&owner.told().await), ["project.created", "task.created"]);
        let mut member = Member::of(newcomer(&app, &owner.client, &project, "viewer").await).await;
        owner.told().await;
        let path = format!("/v1/projects/{project}");
        owner.client.delete(&path).await.no_content();
        owner.client.post_empty(format!("{path}/restore")).await.ok();
        owner.client.task(&project, json!({"title": "Coffee"})).await;
        for who in [&mut owner, &mut member] {
            assert_eq!(types(&who.told().await), ["project.deleted", "project.restored", "task.created"]);
        }
        let mut stranger = Member::of(app.user().await).await;
        assert_eq!(types(&stranger.told().await), [""; 0]);
    }

    async fn who_deletes_the_account_and_comes_back_is_seen_to_go_and_come(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let member = newcomer(&app, &owner, &project, "viewer").await;
        let mut owner = Member::of(owner).await;
        member.delete("/v1/me").await.no_content();
        assert_eq!(types(&owner.told().await), ["member.removed"]);
    }

    async fn who_is_removed_is_told_nothing_although_nobody_can_read_whom_it_is_about(database: TestDatabase) {
        let (store, gate) = HeldFeed::over(database.store().await);
        let app = TestApp::over(store, Options::default(), TestClock::default());
        let owner = app.user().await;
        let project = owner.project().await;
        let mut member = Member::of(newcomer(&app, &owner, &project, "editor").await).await;
        gate.send_replace(false);
        remove(&owner, &project, &member.client).await.no_content();
        Raw::connect(&database).await.execute("UPDATE events SET data = '{}' WHERE type = 'member.removed'").await;
        owner.task(&project, json!({"title": "Secret"})).await;
        gate.send_replace(true);
        assert_eq!(types(&member.told().await), [""; 0]);
    }

    async fn a_stream_that_cannot_begin_ends_no_other_of_its_user(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let mut user = Member::of(app.user().await).await;
        let mut raw = Raw::connect(&database).await;
        raw.execute("ALTER TABLE members RENAME TO lost").await;
        user.client.get("/v1/events/stream").await.fails(500, "INTERNAL");
        raw.execute("ALTER TABLE lost RENAME TO members").await;
        let project = user.own.clone();
        user.client.task(&project, json!({"title": "Tea"})).await;
        assert_eq!(types(&user.told().await), ["task.created"]);
    }
}
