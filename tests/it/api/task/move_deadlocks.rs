//! Requests for a task that moves to another project after they started, while that project is locked too.
//!
//! The tests simulate the other requests with their own transactions, which lock projects in the usual order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pocket_tasks::contract::strings::OrderKey;
use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::{ProjectId, TaskId, UserId};
use pocket_tasks::repositories::Store as _;
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::api::fixtures::common::send;
use crate::on_both_databases;
use crate::repositories::fixtures::task_counts;
use crate::support::client::Ids as _;
use crate::support::{Options, POLL_INTERVAL, TestApp, TestDatabase};

/// Number of connections that wait for a lock.
async fn waiting(observer: &mut PgConnection) -> i64 {
    let query = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    sqlx::query_scalar(query).fetch_one(observer).await.unwrap()
}

/// Waits until this many connections wait for a lock.
pub(crate) async fn until_waiting(observer: &mut PgConnection, count: i64) {
    until_waiting_or(observer, count, || false).await;
}

/// Waits until this many connections wait for a lock, or until `is_over` returns true.
pub(crate) async fn until_waiting_or(observer: &mut PgConnection, count: i64, is_over: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_over() && waiting(observer).await != count {
        assert!(Instant::now() < deadline, "fewer than {count} connections wait for locks");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Requests for a task in project 1 of 0 to 3, the project it is moved to in the meantime, and the expected status.
fn cases(projects: &[String]) -> Vec<(Method, &'static str, Value, usize, u16)> {
    let away = |project: usize| json!({"project_id": projects[project]});
    vec![
        (Method::PATCH, "", json!({"title": "Changed"}), 0, 200),
        (Method::DELETE, "", Value::Null, 0, 204),
        (Method::POST, "/restore", Value::Null, 0, 200),
        (Method::POST, "/move", away(1), 0, 200),
        (Method::POST, "/move", away(3), 0, 200),
        (Method::POST, "/move", away(3), 2, 200),
        (Method::PATCH, "", json!({"title": "Changed"}), 2, 200),
        (Method::POST, "/move", away(1), 2, 200),
    ]
}

on_both_databases! {
    async fn a_request_for_a_moved_task_releases_its_locks_before_retrying(database: TestDatabase) {
        // SQLite has one writer at a time, so there is no second lock to hold.
        if !database.is_postgres() {
            return;
        }
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let user = UserId::parse(owner.user_id()).unwrap();
        let others = database.another_store().await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        let mut projects = Vec::new();
        for _ in 0..4 {
            projects.push(owner.project().await);
        }
        let ids: Vec<ProjectId> = projects.iter().map(|id| ProjectId::parse(id).unwrap()).collect();
        assert!(ids.is_sorted(), "projects are locked in this order");
        let mut failures = Vec::new();
        for (number, (method, below, body, goes_to, status)) in (20..).zip(cases(&projects)) {
            let context = format!("{method} {below} {body} while it goes to {goes_to}");
            let task = owner.task(&projects[1], json!({"title": "x"})).await;
            let path = format!("/v1/tasks/{}{below}", task.id());
            let first = others.begin().await.unwrap();
            for project in [goes_to.min(1), goes_to.max(1)] {
                first.projects().lock(ids[project], user).await.unwrap();
            }
            let request = {
                let owner = owner.clone();
                tokio::spawn(async move { send(&owner, &method, &path, &body).await })
            };
            until_waiting(&mut observer, 1).await;
            let (store, project) = (Arc::clone(&others), ids[goes_to]);
            let second = tokio::spawn(async move {
                let second = store.begin().await.unwrap();
                second.projects().lock(project, user).await.unwrap();
                second
            });
            until_waiting(&mut observer, 2).await;
            let found = first.tasks().find(TaskId::parse(&task.id()).unwrap(), user).await.unwrap().unwrap().task;
            let position = OrderKey::new_unchecked(format!("b{number}"));
            first.tasks().update(&Task { project_id: project, position, version: 2, ..found }).await.unwrap();
            first.projects().adjust_counters(ids[1], task_counts(-1, 0), None).await.unwrap();
            first.projects().adjust_counters(project, task_counts(1, 0), None).await.unwrap();
            first.commit().await.unwrap();
            let second = second.await.unwrap();
            // The request now needs the project that the second transaction has locked. PostgreSQL does not keep the order of
            // waiting connections: the request may have come first and be finished.
            until_waiting_or(&mut observer, 1, || request.is_finished()).await;
            for project in &ids[goes_to + 1..] {
                if let Err(error) = second.projects().lock(*project, user).await {
                    failures.push(format!("{context}: another request got {error:?}"));
                    break;
                }
            }
            drop(second);
            let answer = request.await.unwrap();
            if answer.status.as_u16() != status {
                failures.push(format!("{context}: {}", answer.text));
            }
        }
        observer.close().await.unwrap();
        assert!(failures.is_empty(), "{failures:#?}");
    }
}
