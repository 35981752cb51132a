//! Who sees what of the feed: members see their projects as of now, owners also who is invited.

use serde_json::{Value, json};

use crate::api::fixtures::events::{FEED, Follower, all, rest, types};
use crate::api::fixtures::members::{decline, invite, invited, join, newcomer, remove, revoke, set_role};
use crate::api::fixtures::positions::tasks;
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
    async fn who_joins_sees_what_was_before_and_who_leaves_sees_nothing(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        tasks(&owner, &project, "ab").await;
        let ada = app.user().await;
        assert_eq!(all(&ada, "").await, [Value::Null; 0]);
        let own = ada.project().await;
        let (_, cursor) = rest(&ada, "limit=100", None).await;
        join(&owner, &project, &ada, "viewer").await;
        let seen = in_project(&ada, &project).await;
        assert_eq!(types(&seen), ["project.created", "task.created", "task.created", "member.added"]);
        // Whoever follows learns that they have joined, and has the rest to list.
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
        // And all of it again, who comes back.
        join(&owner, &project, &ada, "editor").await;
        let seen = in_project(&ada, &project).await;
        assert_eq!(seen.len(), 8, "{seen:#?}");
    }

    async fn only_the_owner_of_now_sees_who_was_invited(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (editor, viewer) =
            (newcomer(&app, &owner, &project, "editor").await, newcomer(&app, &owner, &project, "viewer").await);
        let shy = app.user().await;
        decline(&shy, &invited(&owner, &project, &shy, "viewer").await).await.no_content();
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
        // Of who is owner now, whoever invited.
        let mut feeds = [Follower::from_now(&owner).await, Follower::from_now(&editor).await];
        set_role(&owner, &project, &editor, "owner").await.ok();
        assert_eq!(all(&editor, &asked).await, whole);
        assert_eq!(all(&owner, &asked).await, [Value::Null; 0]);
        invite(&editor, &project, "alan@example.com", "viewer").await.created();
        let handed = ["member.updated", "member.updated", "project.updated"];
        assert_eq!(types(&feeds[0].news().await), handed);
        assert_eq!(types(&feeds[1].news().await), [&handed[..], &["invitation.created"]].concat());
        assert_eq!(types(&all(&viewer, "").await), [&of_all[..], &handed].concat());
        // Who is not a member sees nothing of the own invitation, answered or not.
        assert_eq!(all(&shy, "").await, [Value::Null; 0]);
    }
}
