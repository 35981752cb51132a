//! Visibility of events: current members see their projects, and only owners see invitations.

use serde_json::{Value, json};

use crate::api::fixtures::events::{FEED, FeedReader, all, rest, types};
use crate::api::fixtures::members::{decline, invite, invite_user, join, new_member, remove, revoke, set_role};
use crate::api::fixtures::positions::create_tasks;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

async fn in_project(reader: &Client, project: &str) -> Vec<Value> {
    let events = all(reader, "").await;
    let of_project = all(reader, &format!("project_id={project}")).await;
    let filtered: Vec<Value> = events.into_iter().filter(|event| event["project_id"] == project).collect();
    assert_eq!(filtered, of_project);
    of_project
}

on_both_databases! {
    async fn a_new_member_sees_earlier_events_and_a_former_member_none(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        create_tasks(&owner, &project, "ab").await;
        let ada = app.user().await;
        assert_eq!(all(&ada, "").await, [Value::Null; 0]);
        let own = ada.project().await;
        let (_, cursor) = rest(&ada, "limit=100", None).await;
        join(&owner, &project, &ada, "viewer").await;
        let seen = in_project(&ada, &project).await;
        assert_eq!(types(&seen), ["project.created", "task.created", "task.created", "member.added"]);
        // A reader of the feed sees the new membership and lists the rest.
        let (news, cursor) = rest(&ada, "limit=100", Some(cursor)).await;
        assert_eq!(types(&news), ["member.added"]);
        owner.task(&project, json!({"title": "c"})).await;
        remove(&ada, &project, &ada).await.no_content();
        owner.task(&project, json!({"title": "d"})).await;
        let (news, _) = rest(&ada, "limit=100", Some(cursor)).await;
        assert_eq!(news, [Value::Null; 0]);
        ada.get(format!("{FEED}?project_id={project}")).await.fails(403, "FORBIDDEN");
        let left = all(&ada, "").await;
        assert_eq!((types(&left), &left[0]["project_id"]), (vec!["project.created"], &json!(own)));
        // A member who returns sees everything again.
        join(&owner, &project, &ada, "editor").await;
        let seen = in_project(&ada, &project).await;
        assert_eq!(seen.len(), 8, "{seen:#?}");
    }

    async fn only_the_current_owner_sees_invitation_events(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (editor, viewer) =
            (new_member(&app, &owner, &project, "editor").await, new_member(&app, &owner, &project, "viewer").await);
        let shy = app.user().await;
        decline(&shy, &invite_user(&owner, &project, &shy, "viewer").await).await.no_content();
        let wrong = invite(&owner, &project, "wrong@example.com", "viewer").await.created().id();
        revoke(&owner, &project, &wrong).await.no_content();
        let of_owners = [
            "invitation.created",
            "invitation.accepted",
            "invitation.created",
            "invitation.accepted",
            "invitation.created",
            "invitation.declined",
            "invitation.created",
            "invitation.revoked",
        ];
        let of_all = ["project.created", "member.added", "member.added"];
        let asked = format!(
            "type=invitation.created,invitation.accepted,invitation.declined,invitation.revoked&project_id={project}"
        );
        let seen = in_project(&owner, &project).await;
        assert_eq!(seen.len(), of_owners.len() + of_all.len());
        let whole: Vec<Value> = all(&owner, &asked).await;
        assert_eq!(types(&whole), of_owners);
        for member in [&editor, &viewer] {
            assert_eq!(types(&in_project(member, &project).await), of_all);
            assert_eq!(all(member, &asked).await, [Value::Null; 0]);
            assert_eq!(all(member, &format!("{asked}&order=desc")).await, [Value::Null; 0]);
        }
        // A new owner also sees the invitations of the previous one.
        let mut feeds = [FeedReader::from_now(&owner).await, FeedReader::from_now(&editor).await];
        set_role(&owner, &project, &editor, "owner").await.ok();
        assert_eq!(all(&editor, &asked).await, whole);
        assert_eq!(all(&owner, &asked).await, [Value::Null; 0]);
        invite(&editor, &project, "alan@example.com", "viewer").await.created();
        let handed = ["member.updated", "member.updated", "project.updated"];
        assert_eq!(types(&feeds[0].new_events().await), handed);
        assert_eq!(types(&feeds[1].new_events().await), [&handed[..], &["invitation.created"]].concat());
        assert_eq!(types(&all(&viewer, "").await), [&of_all[..], &handed].concat());
        // An invitee who is not a member does not see events of the invitation.
        assert_eq!(all(&shy, "").await, [Value::Null; 0]);
    }
}
