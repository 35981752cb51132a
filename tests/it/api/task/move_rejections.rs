//! Moves that are refused, and change nothing.

use serde_json::{Value, json};

use crate::api::fixtures::common::{NO_IDS, NOBODY};
use crate::api::fixtures::positions::{everything, relocate};
use crate::api::fixtures::stored_members::{add_member, member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Projects and tasks of one user, and of another.
struct World {
    owner: Client,
    stranger: Client,
    project: String,
    other: String,
    deleted: String,
    foreign: String,
    task: Value,
    neighbour: Value,
    elsewhere: Value,
    trashed: Value,
    in_deleted: Value,
    of_stranger: Value,
    trashed_of_stranger: Value,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let (owner, stranger) = (app.user().await, app.user().await);
        let new = || json!({"title": "x"});
        let (project, other, deleted) = (owner.project().await, owner.project().await, owner.project().await);
        let foreign = stranger.project().await;
        let (task, neighbour) = (owner.task(&project, new()).await, owner.task(&project, new()).await);
        let trashed = owner.task(&project, new()).await;
        let (elsewhere, in_deleted) = (owner.task(&other, new()).await, owner.task(&deleted, new()).await);
        let of_stranger = stranger.task(&foreign, new()).await;
        let trashed_of_stranger = stranger.task(&foreign, new()).await;
        owner.delete(format!("/v1/tasks/{}", trashed.id())).await.no_content();
        owner.delete(format!("/v1/projects/{deleted}")).await.no_content();
        stranger.delete(format!("/v1/tasks/{}", trashed_of_stranger.id())).await.no_content();
        Self {
            owner,
            stranger,
            project,
            other,
            deleted,
            foreign,
            task,
            neighbour,
            elsewhere,
            trashed,
            in_deleted,
            of_stranger,
            trashed_of_stranger,
        }
    }

    /// All that anybody can see.
    async fn state(&self) -> [Vec<Value>; 2] {
        [everything(&self.owner).await, everything(&self.stranger).await]
    }
}

on_both_databases! {
    async fn a_place_that_cannot_be_is_refused_by_its_field(app: TestApp) {
        let world = World::new(&app).await;
        let before = world.state().await;
        let (neighbour, elsewhere, other) = (&world.neighbour["id"], &world.elsewhere["id"], &world.other);
        for (to, expected) in [
            (json!({"project_id": NOBODY}), "project_id:reference"),
            (json!({"project_id": world.deleted}), "project_id:reference"),
            (json!({"project_id": world.deleted, "after_id": world.in_deleted["id"]}), "project_id:reference"),
            (json!({"project_id": world.task["id"]}), "project_id:reference"),
            (json!({"project_id": other, "after_id": neighbour}), "after_id:reference"),
            (json!({"project_id": world.project, "after_id": elsewhere}), "after_id:reference"),
            (json!({"project_id": other, "before_id": world.task["id"]}), "before_id:reference"),
            (json!({"project_id": "x"}), "project_id:format"),
            (json!({"project_id": null}), "project_id:null"),
            (json!({"project_id": 1}), "project_id:type"),
            (json!({"position": "a0"}), "position:unknown_field"),
            (json!({"status": "done"}), "status:unknown_field"),
        ] {
            relocate(&world.owner, &world.task, &to).await.invalid(&[expected]);
        }
        for field in ["before_id", "after_id"] {
            for (id, code) in [
                (json!(NOBODY), "reference"),
                (json!(world.project), "reference"),
                (world.trashed["id"].clone(), "reference"),
                (world.in_deleted["id"].clone(), "reference"),
                (world.elsewhere["id"].clone(), "reference"),
                (world.task["id"].clone(), "reference"),
                (world.trashed_of_stranger["id"].clone(), "reference"),
                (json!("x"), "format"),
                (json!(null), "null"),
                (json!([neighbour]), "type"),
            ] {
                let answer = relocate(&world.owner, &world.task, &json!({field: id})).await;
                answer.invalid(&[&format!("{field}:{code}")]);
            }
        }
        assert_eq!(world.state().await, before);
    }

    async fn there_is_one_neighbour_at_most(app: TestApp) {
        let world = World::new(&app).await;
        let before = world.state().await;
        let (neighbour, elsewhere) = (&world.neighbour["id"], &world.elsewhere["id"]);
        for to in [
            json!({"before_id": neighbour, "after_id": neighbour}),
            json!({"before_id": neighbour, "after_id": world.trashed["id"]}),
            json!({"project_id": world.other, "before_id": elsewhere, "after_id": elsewhere}),
            json!({"before_id": NOBODY, "after_id": NOBODY}),
        ] {
            relocate(&world.owner, &world.task, &to).await.invalid(&["after_id:conflict"]);
            // Before anybody looks whether there is such a task.
            relocate(&world.owner, &json!({"id": NOBODY}), &to).await.invalid(&["after_id:conflict"]);
            relocate(&world.stranger, &world.task, &to).await.invalid(&["after_id:conflict"]);
        }
        assert_eq!(world.state().await, before);
    }

    async fn what_belongs_to_somebody_else_is_forbidden(app: TestApp) {
        let world = World::new(&app).await;
        let before = world.state().await;
        for to in [
            json!({"project_id": world.foreign}),
            json!({"project_id": world.foreign, "after_id": world.of_stranger["id"]}),
            json!({"project_id": world.foreign, "before_id": NOBODY}),
            json!({"before_id": world.of_stranger["id"]}),
            json!({"after_id": world.of_stranger["id"]}),
            json!({"project_id": world.other, "after_id": world.of_stranger["id"]}),
        ] {
            let refused = relocate(&world.owner, &world.task, &to).await.fails(403, "FORBIDDEN");
            let message = refused["message"].as_str().unwrap();
            assert!(message.starts_with("You are not a member of this project. This requires the role "), "{to}: {message}");
        }
        for to in [json!({}), json!({"project_id": world.foreign}), json!({"project_id": NOBODY})] {
            relocate(&world.stranger, &world.task, &to).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(world.state().await, before);
    }

    async fn what_is_not_there_is_not_moved(app: TestApp) {
        let world = World::new(&app).await;
        let before = world.state().await;
        for to in [
            json!({}),
            json!({"after_id": world.neighbour["id"]}),
            json!({"project_id": world.other}),
            json!({"project_id": NOBODY}),
            json!({"before_id": world.of_stranger["id"]}),
        ] {
            for task in [&world.trashed, &world.in_deleted, &world.trashed_of_stranger] {
                relocate(&world.owner, task, &to).await.fails(404, "NOT_FOUND");
            }
            for id in NO_IDS {
                relocate(&world.owner, &json!({"id": id}), &to).await.fails(404, "NOT_FOUND");
            }
        }
        assert_eq!(world.state().await, before);
    }

    async fn a_move_takes_the_role_in_both_projects(database: TestDatabase) {
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
            let before = everything(&owner).await;
            let within = [json!({"after_id": first["id"]}), json!({"before_id": first["id"]})];
            let outside =
                [json!({"project_id": target}), json!({"project_id": target, "before_id": there["id"]})];
            for (allowed, moves) in [(allowed_within, within), (allowed_away, outside)] {
                for to in moves {
                    let answer = relocate(&user, &task, &to).await;
                    if allowed {
                        answer.ok();
                        continue;
                    }
                    answer.fails(403, "FORBIDDEN");
                }
            }
            if !allowed_within {
                assert_eq!(everything(&owner).await, before, "{here} {away}");
            }
        }
    }

    async fn an_archived_project_gives_and_takes_no_task(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (open, archived) = (owner.project().await, owner.project().await);
        let new = || json!({"title": "x"});
        let (task, shut) = (owner.task(&open, new()).await, owner.task(&archived, new()).await);
        let last = owner.task(&archived, new()).await;
        let viewer = member(&app, &archived, "viewer").await;
        add_member(&app, &open, &viewer, "editor").await;
        owner.patch(format!("/v1/projects/{archived}"), json!({"archived": true})).await.ok();
        let before = everything(&owner).await;
        for (task, to) in [
            (&shut, json!({"after_id": last["id"]})),
            (&shut, json!({"project_id": open})),
            (&shut, json!({"project_id": open, "before_id": task["id"]})),
            (&task, json!({"project_id": archived})),
            (&task, json!({"project_id": archived, "before_id": shut["id"]})),
        ] {
            relocate(&owner, task, &to).await.fails(403, "PROJECT_ARCHIVED");
            // Who may not do it anyhow is told that.
            relocate(&viewer, task, &to).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(everything(&owner).await, before);
    }
}
