//! Events of changes to many resources: exactly one for each visible change.

use serde_json::{Value, json};

use crate::api::comment::crud::{at, comment};
use crate::api::fixtures::common::{log_in_again, with};
use crate::api::fixtures::events::{FeedReader, all, events_after, last_sequence, types};
use crate::api::fixtures::members::{join, member_path, new_member, remove, set_role};
use crate::api::fixtures::positions::{create_tasks, move_task, ordered_tasks, visible_tasks};
use crate::api::fixtures::stored_members::add_member;
use crate::api::maintenance::purge::{PURGED_AFTER, purge};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

/// One field of the resource in each event.
fn column(events: &[Value], field: &str) -> Vec<Value> {
    events.iter().map(|event| event["data"][field].clone()).collect()
}

on_both_databases! {
    async fn a_batch_emits_one_event_per_operation_in_order(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let [a, b]: [Value; 2] = create_tasks(&owner, &project, "ab").await.try_into().unwrap();
        let mut feed = FeedReader::from_now(&owner).await;
        let operations: Vec<Value> = (0..96)
            .map(|number| match number % 4 {
                0 => json!({"op": "create", "title": format!("{number}")}),
                1 => json!({"op": "update", "task_id": a.id(), "title": format!("{number}")}),
                // No change.
                2 => json!({"op": "update", "task_id": a.id(), "title": format!("{}", number - 1)}),
                _ => json!({"op": "create", "title": format!("{number}"), "status": "done"}),
            })
            .chain([json!({"op": "delete", "task_id": a.id()}), json!({"op": "delete", "task_id": b.id()})])
            .collect();
        let body = json!({"operations": operations});
        let results = owner.post(format!("/v1/projects/{project}/tasks/batch"), body).await.ok();
        let events = feed.new_events().await;
        let mut expected = ["task.created", "task.updated", "task.created"].repeat(24);
        expected.extend(["task.deleted"; 2]);
        assert_eq!(types(&events), expected);
        // Each event has the resource as its operation left it, and the previous values.
        let emitted: Vec<Value> =
            events.iter().filter(|event| event["type"] != "task.deleted").map(|event| event["data"].clone()).collect();
        let results = results["results"].as_array().unwrap();
        let changed = (0..96).filter(|number| number % 4 != 2).map(|number| results[number].clone());
        assert_eq!(emitted, changed.collect::<Vec<_>>());
        assert_eq!(events[1]["previous"], json!({"title": "a"}));
        assert_eq!(events[4]["previous"], json!({"title": "1"}));
        assert_eq!(column(&events[72..], "id"), [a["id"].clone(), b["id"].clone()]);
        assert_eq!(events[72]["data"]["version"], 26);
    }

    async fn leave_and_removal_emit_an_update_for_each_unassigned_task(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        for leaves in [true, false] {
            let user = new_member(&app, &owner, &project, "editor").await;
            add_member(&app, &other, &user, "viewer").await;
            let mut hers = Vec::new();
            for (home, assignee, is_deleted) in [
                (&project, user.user_id(), false),
                (&project, user.user_id(), true),
                (&project, user.user_id(), false),
                (&project, owner.user_id(), false),
                (&other, user.user_id(), false),
            ] {
                let task = owner.task(home, json!({"title": "x", "assignee_id": assignee})).await.id();
                if is_deleted {
                    owner.delete(format!("/v1/tasks/{task}")).await.no_content();
                }
                if home == &project && assignee == user.user_id() {
                    hers.push(json!(task));
                }
            }
            let mut feed = FeedReader::from_now(&owner).await;
            let by = if leaves { &user } else { &owner };
            remove(by, &project, &user).await.no_content();
            let events = feed.new_events().await;
            assert_eq!(types(&events), ["member.removed", "task.updated", "task.updated", "task.updated"]);
            let (removed, updated) = events.split_at(1);
            let mut ids = column(updated, "id");
            ids.sort_by_key(Value::to_string);
            hers.sort_by_key(Value::to_string);
            assert_eq!(ids, hers);
            let now = visible_tasks(&owner).await;
            for event in updated {
                assert_eq!(event["previous"], json!({"assignee_id": user.user_id()}));
                assert_eq!(event["actor_id"], by.user_id());
                assert!(now.contains(&event["data"]), "{event}");
            }
            assert_eq!(removed[0]["data"]["user_id"], user.user_id());
        }
    }

    async fn a_move_to_another_project_emits_an_event_in_both(app: TestApp) {
        let (owner, ada) = (app.user().await, app.user().await);
        let (from, to) = (owner.project().await, owner.project().await);
        let (here, there) =
            (new_member(&app, &owner, &from, "viewer").await, new_member(&app, &owner, &to, "viewer").await);
        join(&owner, &from, &ada, "editor").await;
        join(&owner, &to, &ada, "editor").await;
        let task = owner.task(&from, json!({"title": "x", "assignee_id": here.user_id()})).await;
        let comment = comment(&ada, &task.id(), "Where to?").await;
        let mut feeds = Vec::new();
        for reader in [&here, &there, &ada] {
            feeds.push(FeedReader::from_now(reader).await);
        }
        let moved = move_task(&ada, &task, &json!({"project_id": to})).await.ok();
        let mut emitted = Vec::new();
        for feed in &mut feeds {
            emitted.push(feed.new_events().await);
        }
        assert_eq!((emitted[0].len(), emitted[1].len(), emitted[2].len()), (1, 1, 2));
        for (event, project) in [(&emitted[0][0], &from), (&emitted[1][0], &to)] {
            assert_eq!((&event["type"], &event["project_id"]), (&json!("task.moved"), &json!(project)));
            assert_eq!(event["data"], moved);
            let previous = with(&event["previous"], &json!({"position": null}));
            assert_eq!(previous, json!({"project_id": from, "position": null, "assignee_id": here.user_id()}));
            assert!(emitted[2].contains(event));
        }
        assert_ne!(emitted[0][0]["id"], emitted[1][0]["id"]);
        // Later events about the task belong to its current project.
        ada.patch(at(&comment), json!({"body": "There."})).await.ok();
        assert_eq!(feeds[0].new_events().await, [Value::Null; 0]);
        assert_eq!(feeds[1].only_new_event().await["type"], "comment.updated");
    }

    async fn rebalanced_positions_emit_one_event_each(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        create_tasks(&owner, &project, "abcdefghijklmnopqrstuvwxyz").await;
        let mut feed = FeedReader::from_now(&owner).await;
        // Moves tasks into the same gap from both sides in turn, until its keys are rebalanced.
        let (mut before, mut events) = (ordered_tasks(&owner, &project).await, Vec::new());
        let (mut lower, mut upper) = (before[12].clone(), before[13].clone());
        for round in 0.. {
            assert!(round < 1_500, "the keys were never rebalanced, so the test proves nothing");
            let (task, to) = match round % 2 {
                0 => (&before[0], json!({"after_id": lower.id()})),
                _ => (&before[before.len() - 1], json!({"before_id": upper.id()})),
            };
            let moved = move_task(&owner, task, &to).await.ok();
            *(if round % 2 == 0 { &mut lower } else { &mut upper }) = moved;
            events = feed.new_events().await;
            if events.len() > 1 {
                break;
            }
            before = ordered_tasks(&owner, &project).await;
        }
        let after = ordered_tasks(&owner, &project).await;
        let (moved, spread) = events.split_last().unwrap();
        assert_eq!(moved["type"], "task.moved");
        let mut emitted = 0;
        for task in &before {
            let now = after.iter().find(|now| now.id() == task.id()).unwrap();
            if task.id() == moved["data"].id() || task["position"] == now["position"] {
                continue;
            }
            let event = spread.iter().find(|event| event["data"].id() == task.id()).unwrap();
            assert_eq!((&event["type"], &event["data"]), (&json!("task.updated"), now));
            assert_eq!(event["previous"], json!({"position": task["position"]}));
            assert_eq!(now["version"], task["version"]);
            emitted += 1;
        }
        assert_eq!(emitted, spread.len());
    }

    async fn a_transfer_emits_events_for_both_members_and_the_project(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (heir, third) = (app.user().await, new_member(&app, &owner, &project, "viewer").await);
        let member = join(&owner, &project, &heir, "viewer").await;
        let mut feed = FeedReader::from_now(&third).await;
        set_role(&owner, &project, &heir, "owner").await.ok();
        let events = feed.new_events().await;
        assert_eq!(types(&events), ["member.updated", "member.updated", "project.updated"]);
        assert_eq!(
            (&events[0]["data"], &events[0]["previous"]),
            (&with(&member, &json!({"role": "owner"})), &json!({"role": "viewer"}))
        );
        assert_eq!(
            (&events[1]["data"]["user_id"], &events[1]["data"]["role"]),
            (&json!(owner.user_id()), &json!("editor"))
        );
        assert_eq!(events[1]["previous"], json!({"role": "owner"}));
        let path = format!("/v1/projects/{project}");
        assert_eq!(events[2]["data"], with(&third.get(path).await.ok(), &json!({"role": null})));
        assert_eq!(events[2]["previous"], json!({"owner_id": owner.user_id()}));
    }

    async fn project_deletion_and_restoration_emit_one_event_each(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        create_tasks(&owner, &project, "abc").await;
        let mut feed = FeedReader::from_now(&owner).await;
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        assert_eq!(feed.only_new_event().await["type"], "project.deleted");
        owner.post_empty(format!("/v1/projects/{project}/restore")).await.ok();
        assert_eq!(feed.only_new_event().await["type"], "project.restored");
    }

    async fn purging_an_account_emits_updates_without_its_id(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let ada = new_member(&app, &owner, &project, "editor").await;
        let mine = owner.task(&project, json!({"title": "x", "assignee_id": ada.user_id()})).await;
        let hers = ada.task(&project, json!({"title": "y"})).await;
        let said = comment(&ada, &mine.id(), "Hers").await;
        comment(&owner, &hers.id(), "Mine").await;
        ada.delete("/v1/me").await.no_content();
        app.clock.advance(PURGED_AFTER);
        let before = last_sequence(&app).await;
        for _ in 0..2 {
            purge(&app).await;
        }
        let events = events_after(&app, before).await;
        assert_eq!(types(&events), ["task.updated", "task.updated", "comment.updated"]);
        let owner = log_in_again(&app, &owner).await;
        // The events name the changed fields but not the purged user.
        for (event, resource, previous) in [
            (&events[0], format!("/v1/tasks/{}", mine.id()), json!({"assignee_id": null})),
            (&events[1], format!("/v1/tasks/{}", hers.id()), json!({"created_by": null})),
            (&events[2], at(&said), json!({"author_id": null})),
        ] {
            let now = owner.get(resource).await.ok();
            assert_eq!((&event["data"], &event["previous"]), (&now, &previous));
            assert_eq!((&event["actor_id"], &event["request_id"]), (&Value::Null, &Value::Null));
            assert_eq!((&event["occurred_at"], &event["project_id"]), (&now["updated_at"], &json!(project)));
        }
        assert!(all(&owner, "type=comment.updated").await.contains(&events[2]));
    }

    async fn removal_of_a_deleted_member_emits_no_member_event(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let ada = new_member(&app, &owner, &project, "editor").await;
        owner.task(&project, json!({"title": "x", "assignee_id": ada.user_id()})).await;
        let mut feed = FeedReader::from_now(&owner).await;
        ada.delete("/v1/me").await.no_content();
        assert_eq!(feed.only_new_event().await["type"], "member.removed");
        owner.delete(member_path(&project, &ada)).await.no_content();
        let event = feed.only_new_event().await;
        assert_eq!(
            (&event["type"], &event["previous"]),
            (&json!("task.updated"), &json!({"assignee_id": ada.user_id()}))
        );
    }
}
