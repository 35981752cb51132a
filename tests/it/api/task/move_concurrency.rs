//! Moves at the same time as others, and as other changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::fixtures::common::at_once;
use crate::api::fixtures::positions::{counts, in_order, relocate, tasks, titles};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, TestApp};

/// Races have more than one end, so each is run more than once.
const ROUNDS: usize = 8;

/// A move that is to be run at the same time as others.
fn moving(client: &Client, task: &Value, to: Value) -> impl Future<Output = Answer> + Send + 'static {
    let (client, task) = (client.clone(), task.clone());
    async move { relocate(&client, &task, &to).await }
}

/// Two projects, of which now the one and now the other has the lower id and is locked first.
async fn two_projects(client: &Client, round: usize) -> (String, String) {
    let (lower, higher) = (client.project().await, client.project().await);
    if round.is_multiple_of(2) { (lower, higher) } else { (higher, lower) }
}

/// Sees that each task is in one project, and that both know how many they have.
async fn check_counts(client: &Client, projects: [&str; 2], total: usize) {
    let mut found = 0;
    for project in projects {
        let tasks = in_order(client, project).await;
        let done = tasks.iter().filter(|task| task["status"] == "done").count();
        let expected = (i64::try_from(tasks.len()).unwrap(), i64::try_from(done).unwrap());
        assert_eq!(counts(client, project).await, expected, "{tasks:?}");
        found += tasks.len();
    }
    assert_eq!(found, total, "a task is lost, or in two projects");
}

on_both_databases! {
    async fn two_moves_into_one_gap_at_once_stand_at_two_places(app: TestApp) {
        let owner = app.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let tasks = tasks(&owner, &project, "abcd").await;
            let moves = [
                moving(&owner, &tasks[2], json!({"after_id": tasks[0]["id"]})),
                moving(&owner, &tasks[3], json!({"before_id": tasks[1]["id"]})),
            ];
            for answer in at_once(moves).await {
                answer.ok();
            }
            let order = titles(&owner, &project).await;
            // The one wants to stand right after `a`, the other right before `b`: there is room for both.
            assert_eq!(order, "acdb");
        }
    }

    async fn twenty_moves_after_one_task_at_once_stand_at_twenty_places(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = tasks(&owner, &project, "<>abcdefghijklmnopqrst").await;
        let moves: Vec<_> =
            tasks[2..].iter().map(|task| moving(&owner, task, json!({"after_id": tasks[0]["id"]}))).collect();
        let answers: Vec<Value> = at_once(moves).await.into_iter().map(Answer::ok).collect();
        assert!(answers.iter().all(|task| task["version"] == 2), "{answers:?}");
        let places: BTreeSet<&str> = answers.iter().map(|task| task["position"].as_str().unwrap()).collect();
        assert_eq!(places.len(), 20);
        // Who came last is the nearest, so the answers tell the order.
        let order = in_order(&owner, &project).await;
        let found: Vec<&str> = order[1..21].iter().map(|task| task["position"].as_str().unwrap()).collect();
        assert_eq!(found, Vec::from_iter(places));
        assert_eq!((&order[0], &order[21]), (&tasks[0], &tasks[1]));
    }

    async fn one_task_moved_to_two_projects_at_once_ends_in_one(app: TestApp) {
        let owner = app.user().await;
        for _ in 0..ROUNDS {
            let (source, one, other) = (owner.project().await, owner.project().await, owner.project().await);
            let task = owner.task(&source, json!({"title": "x", "status": "done"})).await;
            let moves = [&one, &other].map(|target| moving(&owner, &task, json!({"project_id": target})));
            let answers: Vec<Value> = at_once(moves).await.into_iter().map(Answer::ok).collect();
            let last = answers.iter().max_by_key(|task| task["version"].as_i64()).unwrap();
            assert_eq!(last["version"], 3);
            assert_eq!(&owner.get(format!("/v1/tasks/{}", task.id())).await.ok(), last);
            check_counts(&owner, [&one, &other], 1).await;
            assert_eq!(counts(&owner, &source).await, (0, 0));
        }
    }

    async fn moves_in_opposite_directions_at_once_do_not_wait_for_each_other(app: TestApp) {
        let owner = app.user().await;
        let (one, other) = (owner.project().await, owner.project().await);
        tasks(&owner, &one, "abcdefgh").await;
        tasks(&owner, &other, "ijklmnop").await;
        for _ in 0..ROUNDS {
            let (here, there) = (in_order(&owner, &one).await, in_order(&owner, &other).await);
            let there = there.iter().map(|task| moving(&owner, task, json!({"project_id": one})));
            let moves = here.iter().map(|task| moving(&owner, task, json!({"project_id": other})));
            for answer in at_once(moves.chain(there).collect::<Vec<_>>()).await {
                answer.ok();
            }
            check_counts(&owner, [&one, &other], 16).await;
        }
    }

    async fn a_task_is_changed_while_it_is_moved_and_neither_is_lost(app: TestApp) {
        let owner = app.user().await;
        for round in 0..ROUNDS {
            let (source, target) = two_projects(&owner, round).await;
            let tasks = tasks(&owner, &source, "abcd").await;
            let moves: Vec<_> =
                tasks.iter().map(|task| moving(&owner, task, json!({"project_id": target}))).collect();
            let changes = tasks.iter().map(|task| {
                let (owner, path) = (owner.clone(), format!("/v1/tasks/{}", task.id()));
                async move { owner.patch(path, json!({"status": "done", "title": "changed"})).await }
            });
            let (arrivals, updates) = tokio::join!(at_once(moves), at_once(changes.collect::<Vec<_>>()));
            for answer in arrivals.into_iter().chain(updates) {
                answer.ok();
            }
            for task in in_order(&owner, &target).await {
                let state = (&task["title"], &task["status"], &task["version"]);
                assert_eq!(state, (&json!("changed"), &json!("done"), &json!(3)));
            }
            check_counts(&owner, [&source, &target], 4).await;
            assert_eq!(counts(&owner, &target).await, (4, 4));
        }
    }

    async fn a_task_is_deleted_while_it_is_moved(app: TestApp) {
        let owner = app.user().await;
        for round in 0..ROUNDS {
            let (source, target) = two_projects(&owner, round).await;
            let tasks = tasks(&owner, &source, "abcd").await;
            let moves: Vec<_> =
                tasks.iter().map(|task| moving(&owner, task, json!({"project_id": target}))).collect();
            let deletions = tasks.iter().map(|task| {
                let (owner, path) = (owner.clone(), format!("/v1/tasks/{}", task.id()));
                async move { owner.delete(path).await }
            });
            let (arrivals, removals) = tokio::join!(at_once(moves), at_once(deletions.collect::<Vec<_>>()));
            let mut arrived = 0;
            for answer in arrivals {
                match answer.status.as_u16() {
                    200 => arrived += 1,
                    _ => drop(answer.fails(404, "NOT_FOUND")),
                }
            }
            for answer in removals {
                answer.no_content();
            }
            check_counts(&owner, [&source, &target], 0).await;
            // Whoever moved it came first, so it went into the trash there.
            for (project, count) in [(&source, 4 - arrived), (&target, arrived)] {
                let trash = owner.get(format!("/v1/projects/{project}/tasks?deleted=true")).await.ok();
                assert_eq!(trash["meta"]["total"], count);
            }
        }
    }

    async fn a_neighbour_is_moved_while_others_are_moved_next_to_it(app: TestApp) {
        let owner = app.user().await;
        for _ in 0..ROUNDS {
            let (source, target) = (owner.project().await, owner.project().await);
            let tasks = tasks(&owner, &source, "abcdef").await;
            let mut moves = vec![moving(&owner, &tasks[0], json!({"project_id": target}))];
            moves.extend(tasks[1..].iter().map(|task| moving(&owner, task, json!({"before_id": tasks[0]["id"]}))));
            for answer in at_once(moves).await {
                match answer.status.as_u16() {
                    200 => {}
                    _ => answer.invalid(&["before_id:reference"]),
                }
            }
            check_counts(&owner, [&source, &target], 6).await;
            assert_eq!(titles(&owner, &target).await, "a");
        }
    }
}
