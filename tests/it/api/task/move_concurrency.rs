//! Moves concurrent with other moves and changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::fixtures::common::concurrently;
use crate::api::fixtures::positions::{create_tasks, move_task, ordered_tasks, task_counts, titles};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, TestApp};

/// Number of repetitions, because a race has more than one outcome.
const ROUNDS: usize = 8;

/// Prepares a move to be sent concurrently with others.
fn pending_move(client: &Client, task: &Value, to: Value) -> impl Future<Output = Answer> + Send + 'static {
    let (client, task) = (client.clone(), task.clone());
    async move { move_task(&client, &task, &to).await }
}

/// Creates two projects; alternating by round, the first or the second has the lower id and is locked first.
async fn two_projects(client: &Client, round: usize) -> (String, String) {
    let (lower, higher) = (client.project().await, client.project().await);
    if round.is_multiple_of(2) { (lower, higher) } else { (higher, lower) }
}

/// Asserts that each task is in exactly one project and that both counters are correct.
async fn check_counts(client: &Client, projects: [&str; 2], total: usize) {
    let mut found = 0;
    for project in projects {
        let tasks = ordered_tasks(client, project).await;
        let done = tasks.iter().filter(|task| task["status"] == "done").count();
        let expected = (i64::try_from(tasks.len()).unwrap(), i64::try_from(done).unwrap());
        assert_eq!(task_counts(client, project).await, expected, "{tasks:?}");
        found += tasks.len();
    }
    assert_eq!(found, total, "a task is lost, or in two projects");
}

on_both_databases! {
    async fn concurrent_moves_into_one_gap_get_distinct_positions(app: TestApp) {
        let owner = app.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let tasks = create_tasks(&owner, &project, "abcd").await;
            let moves = [
                pending_move(&owner, &tasks[2], json!({"after_id": tasks[0]["id"]})),
                pending_move(&owner, &tasks[3], json!({"before_id": tasks[1]["id"]})),
            ];
            for answer in concurrently(moves).await {
                answer.ok();
            }
            let order = titles(&owner, &project).await;
            // One task goes right after `a`, the other right before `b`; both fit.
            assert_eq!(order, "acdb");
        }
    }

    async fn many_concurrent_moves_after_one_task_get_distinct_positions(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = create_tasks(&owner, &project, "<>abcdefghijklmnopqrst").await;
        let moves: Vec<_> =
            tasks[2..].iter().map(|task| pending_move(&owner, task, json!({"after_id": tasks[0]["id"]}))).collect();
        let answers: Vec<Value> = concurrently(moves).await.into_iter().map(Answer::ok).collect();
        assert!(answers.iter().all(|task| task["version"] == 2), "{answers:?}");
        let positions: BTreeSet<&str> = answers.iter().map(|task| task["position"].as_str().unwrap()).collect();
        assert_eq!(positions.len(), 20);
        // The latest move is the nearest, so the responses reveal the order.
        let order = ordered_tasks(&owner, &project).await;
        let found: Vec<&str> = order[1..21].iter().map(|task| task["position"].as_str().unwrap()).collect();
        assert_eq!(found, Vec::from_iter(positions));
        assert_eq!((&order[0], &order[21]), (&tasks[0], &tasks[1]));
    }

    async fn a_task_moved_to_two_projects_concurrently_ends_in_one(app: TestApp) {
        let owner = app.user().await;
        for _ in 0..ROUNDS {
            let (source, one, other) = (owner.project().await, owner.project().await, owner.project().await);
            let task = owner.task(&source, json!({"title": "x", "status": "done"})).await;
            let moves = [&one, &other].map(|target| pending_move(&owner, &task, json!({"project_id": target})));
            let answers: Vec<Value> = concurrently(moves).await.into_iter().map(Answer::ok).collect();
            let last = answers.iter().max_by_key(|task| task["version"].as_i64()).unwrap();
            assert_eq!(last["version"], 3);
            assert_eq!(&owner.get(format!("/v1/tasks/{}", task.id())).await.ok(), last);
            check_counts(&owner, [&one, &other], 1).await;
            assert_eq!(task_counts(&owner, &source).await, (0, 0));
        }
    }

    async fn moves_in_opposite_directions_do_not_deadlock(app: TestApp) {
        let owner = app.user().await;
        let (one, other) = (owner.project().await, owner.project().await);
        create_tasks(&owner, &one, "abcdefgh").await;
        create_tasks(&owner, &other, "ijklmnop").await;
        for _ in 0..ROUNDS {
            let (here, there) = (ordered_tasks(&owner, &one).await, ordered_tasks(&owner, &other).await);
            let there = there.iter().map(|task| pending_move(&owner, task, json!({"project_id": one})));
            let moves = here.iter().map(|task| pending_move(&owner, task, json!({"project_id": other})));
            for answer in concurrently(moves.chain(there).collect::<Vec<_>>()).await {
                answer.ok();
            }
            check_counts(&owner, [&one, &other], 16).await;
        }
    }

    async fn a_concurrent_update_and_move_are_both_kept(app: TestApp) {
        let owner = app.user().await;
        for round in 0..ROUNDS {
            let (source, target) = two_projects(&owner, round).await;
            let tasks = create_tasks(&owner, &source, "abcd").await;
            let moves: Vec<_> =
                tasks.iter().map(|task| pending_move(&owner, task, json!({"project_id": target}))).collect();
            let changes = tasks.iter().map(|task| {
                let (owner, path) = (owner.clone(), format!("/v1/tasks/{}", task.id()));
                async move { owner.patch(path, json!({"status": "done", "title": "changed"})).await }
            });
            let (arrivals, updates) = tokio::join!(concurrently(moves), concurrently(changes.collect::<Vec<_>>()));
            for answer in arrivals.into_iter().chain(updates) {
                answer.ok();
            }
            for task in ordered_tasks(&owner, &target).await {
                let state = (&task["title"], &task["status"], &task["version"]);
                assert_eq!(state, (&json!("changed"), &json!("done"), &json!(3)));
            }
            check_counts(&owner, [&source, &target], 4).await;
            assert_eq!(task_counts(&owner, &target).await, (4, 4));
        }
    }

    async fn a_concurrent_deletion_and_move_leave_the_task_deleted(app: TestApp) {
        let owner = app.user().await;
        for round in 0..ROUNDS {
            let (source, target) = two_projects(&owner, round).await;
            let tasks = create_tasks(&owner, &source, "abcd").await;
            let moves: Vec<_> =
                tasks.iter().map(|task| pending_move(&owner, task, json!({"project_id": target}))).collect();
            let deletions = tasks.iter().map(|task| {
                let (owner, path) = (owner.clone(), format!("/v1/tasks/{}", task.id()));
                async move { owner.delete(path).await }
            });
            let (arrivals, removals) = tokio::join!(concurrently(moves), concurrently(deletions.collect::<Vec<_>>()));
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
            // The move came first, so the task was deleted in the target project.
            for (project, count) in [(&source, 4 - arrived), (&target, arrived)] {
                let trash = owner.get(format!("/v1/projects/{project}/tasks?deleted=true")).await.ok();
                assert_eq!(trash["meta"]["total"], count);
            }
        }
    }

    async fn moves_next_to_a_moving_neighbour_succeed_or_fail_cleanly(app: TestApp) {
        let owner = app.user().await;
        for _ in 0..ROUNDS {
            let (source, target) = (owner.project().await, owner.project().await);
            let tasks = create_tasks(&owner, &source, "abcdef").await;
            let mut moves = vec![pending_move(&owner, &tasks[0], json!({"project_id": target}))];
            moves.extend(tasks[1..].iter().map(|task| pending_move(&owner, task, json!({"before_id": tasks[0]["id"]}))));
            for answer in concurrently(moves).await {
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
