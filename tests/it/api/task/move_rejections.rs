//! Rejected moves, which change nothing.

use serde_json::json;

use crate::api::fixtures::common::{UNKNOWN_ID, UNKNOWN_IDS};
use crate::api::fixtures::positions::{move_task, visible_state};
use crate::api::fixtures::stored_members::{add_member, member};
use crate::api::fixtures::tasks::TaskFixture;
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn an_invalid_target_is_reported_by_its_field(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let (neighbour, elsewhere, other) = (&fixture.neighbour["id"], &fixture.elsewhere["id"], &fixture.other);
        for (to, expected) in [
            (json!({"project_id": UNKNOWN_ID}), "project_id:reference"),
            (json!({"project_id": fixture.deleted}), "project_id:reference"),
            (json!({"project_id": fixture.deleted, "after_id": fixture.in_deleted["id"]}), "project_id:reference"),
            (json!({"project_id": fixture.task["id"]}), "project_id:reference"),
            (json!({"project_id": other, "after_id": neighbour}), "after_id:reference"),
            (json!({"project_id": fixture.project, "after_id": elsewhere}), "after_id:reference"),
            (json!({"project_id": other, "before_id": fixture.task["id"]}), "before_id:reference"),
            (json!({"project_id": "x"}), "project_id:format"),
            (json!({"project_id": null}), "project_id:null"),
            (json!({"project_id": 1}), "project_id:type"),
            (json!({"position": "a0"}), "position:unknown_field"),
            (json!({"status": "done"}), "status:unknown_field"),
        ] {
            move_task(&fixture.owner, &fixture.task, &to).await.invalid(&[expected]);
        }
        for field in ["before_id", "after_id"] {
            for (id, code) in [
                (json!(UNKNOWN_ID), "reference"),
                (json!(fixture.project), "reference"),
                (fixture.trashed["id"].clone(), "reference"),
                (fixture.in_deleted["id"].clone(), "reference"),
                (fixture.elsewhere["id"].clone(), "reference"),
                (fixture.task["id"].clone(), "reference"),
                (fixture.trashed_of_stranger["id"].clone(), "reference"),
                (json!("x"), "format"),
                (json!(null), "null"),
                (json!([neighbour]), "type"),
            ] {
                let answer = move_task(&fixture.owner, &fixture.task, &json!({field: id})).await;
                answer.invalid(&[&format!("{field}:{code}")]);
            }
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn at_most_one_neighbour_is_accepted(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let (neighbour, elsewhere) = (&fixture.neighbour["id"], &fixture.elsewhere["id"]);
        for to in [
            json!({"before_id": neighbour, "after_id": neighbour}),
            json!({"before_id": neighbour, "after_id": fixture.trashed["id"]}),
            json!({"project_id": fixture.other, "before_id": elsewhere, "after_id": elsewhere}),
            json!({"before_id": UNKNOWN_ID, "after_id": UNKNOWN_ID}),
        ] {
            move_task(&fixture.owner, &fixture.task, &to).await.invalid(&["after_id:conflict"]);
            // Validation precedes the existence of the task.
            move_task(&fixture.owner, &json!({"id": UNKNOWN_ID}), &to).await.invalid(&["after_id:conflict"]);
            move_task(&fixture.stranger, &fixture.task, &to).await.invalid(&["after_id:conflict"]);
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn tasks_and_projects_of_another_user_are_forbidden(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        for to in [
            json!({"project_id": fixture.foreign}),
            json!({"project_id": fixture.foreign, "after_id": fixture.of_stranger["id"]}),
            json!({"project_id": fixture.foreign, "before_id": UNKNOWN_ID}),
            json!({"before_id": fixture.of_stranger["id"]}),
            json!({"after_id": fixture.of_stranger["id"]}),
            json!({"project_id": fixture.other, "after_id": fixture.of_stranger["id"]}),
        ] {
            let refused = move_task(&fixture.owner, &fixture.task, &to).await.fails(403, "FORBIDDEN");
            let message = refused["message"].as_str().unwrap();
            assert!(message.starts_with("You are not a member of this project. This requires the role "), "{to}: {message}");
        }
        for to in [json!({}), json!({"project_id": fixture.foreign}), json!({"project_id": UNKNOWN_ID})] {
            move_task(&fixture.stranger, &fixture.task, &to).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn an_unknown_task_cannot_be_moved(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        for to in [
            json!({}),
            json!({"after_id": fixture.neighbour["id"]}),
            json!({"project_id": fixture.other}),
            json!({"project_id": UNKNOWN_ID}),
            json!({"before_id": fixture.of_stranger["id"]}),
        ] {
            for task in [&fixture.trashed, &fixture.in_deleted, &fixture.trashed_of_stranger] {
                move_task(&fixture.owner, task, &to).await.fails(404, "NOT_FOUND");
            }
            for id in UNKNOWN_IDS {
                move_task(&fixture.owner, &json!({"id": id}), &to).await.fails(404, "NOT_FOUND");
            }
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn a_move_requires_the_editor_role_in_both_projects(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (source, target) = (owner.project().await, owner.project().await);
        let task = owner.task(&source, json!({"title": "x"})).await;
        let first = owner.task(&source, json!({"title": "x"})).await;
        let there = owner.task(&target, json!({"title": "x"})).await;
        for (here, away, allowed_within, allowed_away) in [
            ("viewer", "viewer", false, false),
            ("viewer", "editor", false, false),
            ("editor", "viewer", true, false),
            ("editor", "", true, false),
            ("", "editor", false, false),
            ("editor", "editor", true, true),
        ] {
            let user = if here.is_empty() { app.user().await } else { member(&app, &source, here).await };
            if !away.is_empty() {
                add_member(&app, &target, &user, away).await;
            }
            let before = visible_state(&owner).await;
            let within = [json!({"after_id": first["id"]}), json!({"before_id": first["id"]})];
            let outside =
                [json!({"project_id": target}), json!({"project_id": target, "before_id": there["id"]})];
            for (allowed, moves) in [(allowed_within, within), (allowed_away, outside)] {
                for to in moves {
                    let answer = move_task(&user, &task, &to).await;
                    if allowed {
                        answer.ok();
                        continue;
                    }
                    answer.fails(403, "FORBIDDEN");
                }
            }
            if !allowed_within {
                assert_eq!(visible_state(&owner).await, before, "{here} {away}");
            }
        }
    }

    async fn an_archived_project_rejects_moves_from_and_to_it(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (open, archived) = (owner.project().await, owner.project().await);
        let new = || json!({"title": "x"});
        let (task, shut) = (owner.task(&open, new()).await, owner.task(&archived, new()).await);
        let last = owner.task(&archived, new()).await;
        let viewer = member(&app, &archived, "viewer").await;
        add_member(&app, &open, &viewer, "editor").await;
        owner.patch(format!("/v1/projects/{archived}"), json!({"archived": true})).await.ok();
        let before = visible_state(&owner).await;
        for (task, to) in [
            (&shut, json!({"after_id": last["id"]})),
            (&shut, json!({"project_id": open})),
            (&shut, json!({"project_id": open, "before_id": task["id"]})),
            (&task, json!({"project_id": archived})),
            (&task, json!({"project_id": archived, "before_id": shut["id"]})),
        ] {
            move_task(&owner, task, &to).await.fails(403, "PROJECT_ARCHIVED");
            // Missing permission is reported before the archived project.
            move_task(&viewer, task, &to).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(visible_state(&owner).await, before);
    }
}
