//! Transactions: atomicity, isolation and serialization.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::contract::project::{Project, TaskCounts};
use pocket_tasks::contract::strings::{OrderKey, PersonName, ProjectName, TaskTitle};
use pocket_tasks::contract::task::Task;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Store as _, StoreError};

use super::feed_order::new_event;
use super::fixtures::{
    add_tasks, at, commit, commit_beside, new_project, new_task, new_user, project, soon, task_counts, user, waits,
};
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Simulates one of many concurrent requests: reads under a lock, writes two rows, commits.
async fn add_a_task(store: &SeaStore, project: &Project, number: usize) -> Result<(), StoreError> {
    let transaction = store.begin().await?;
    let locked = transaction.projects().lock(project.id, project.owner_id).await?.unwrap();
    let counts = locked.project.task_counts;
    let title = TaskTitle::new_unchecked(format!("{} after {number}", counts.total));
    // The position records the value that was read, which reveals lost updates.
    let position = format!("{:05}", counts.total);
    transaction
        .tasks()
        .add(&[Task { title, position: OrderKey::new_unchecked(position.clone()), ..new_task(project) }])
        .await?;
    transaction.projects().adjust_counters(project.id, task_counts(1, 0), Some(&position)).await?;
    transaction.commit().await
}

on_both_databases! {
    async fn uncommitted_changes_are_visible_only_in_their_transaction(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = new_user();
        let transaction = store.begin().await.unwrap();
        assert!(transaction.users().add(&ada, "a hash").await.unwrap());
        assert_eq!(transaction.users().find(ada.id).await.unwrap().as_ref(), Some(&ada));
        for store in [&store, &other] {
            // Readers do not wait for writers either.
            assert_eq!(soon(store.read().users().find(ada.id)).await.unwrap(), None);
        }
        transaction.commit().await.unwrap();
        for store in [&store, &other] {
            assert_eq!(store.read().users().find(ada.id).await.unwrap().as_ref(), Some(&ada));
        }
    }

    async fn dropping_a_transaction_rolls_it_back(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let (project, bob) = (new_project(&ada), new_user());
        let transaction = store.begin().await.unwrap();
        assert!(transaction.users().add(&bob, "a hash").await.unwrap());
        transaction.projects().add(&project).await.unwrap();
        let renamed = User { name: PersonName::new_unchecked("Other"), ..ada.clone() };
        transaction.users().update(&renamed).await.unwrap();
        drop(transaction);
        let read = store.read();
        assert_eq!(read.users().find(bob.id).await.unwrap(), None);
        assert_eq!(read.projects().find(project.id, ada.id).await.unwrap(), None);
        assert_eq!(read.users().find(ada.id).await.unwrap().as_ref(), Some(&ada));
        // The next transaction is not blocked.
        assert!(soon(commit(&store, async |transaction| transaction.users().add(&bob, "a hash").await)).await.unwrap());
    }

    async fn a_waiter_is_woken_by_a_commit_whose_caller_is_gone(database: TestDatabase) {
        let store = database.store().await;
        let owner = user(&store).await;
        let project = project(&store, &owner).await;
        for number in 1..=20 {
            let transaction = store.begin().await.unwrap();
            transaction.events().append(&[new_event(project.id, EventType::ProjectUpdated)]).await.unwrap();
            // Started, and dropped at its first wait.
            let commit = tokio::time::timeout(Duration::ZERO, transaction.commit());
            drop(commit.await);
            soon(store.wait_for_events()).await;
            assert_eq!(store.read().events().bounds().await.unwrap().end, number);
        }
    }

    async fn a_cancelled_request_leaves_no_trace(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let (inside, entered) = tokio::sync::oneshot::channel();
        let cut = {
            let (store, project) = (Arc::clone(&store), project.clone());
            tokio::spawn(async move {
                let transaction = store.begin().await.unwrap();
                transaction.projects().lock(project.id, project.owner_id).await.unwrap();
                transaction.projects().adjust_counters(project.id, task_counts(5, 5), None).await.unwrap();
                inside.send(()).unwrap();
                std::future::pending::<()>().await;
            })
        };
        soon(entered).await.unwrap();
        cut.abort();
        assert!(soon(cut).await.unwrap_err().is_cancelled());
        soon(add_a_task(&store, &project, 0)).await.unwrap();
        let counts = store.read().projects().find(project.id, ada.id).await.unwrap().unwrap().task_counts;
        assert_eq!(counts, TaskCounts { total: 1, done: 0 });
    }

    async fn a_failed_statement_affects_only_its_transaction(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let transaction = store.begin().await.unwrap();
        let twice = transaction.projects().add(&project).await;
        assert!(matches!(twice, Err(StoreError::Internal(_))), "{twice:?}");
        drop(transaction);
        soon(add_a_task(&store, &project, 0)).await.unwrap();
    }

    async fn concurrent_writers_lose_no_update_and_none_fails(database: TestDatabase) {
        const WRITERS: usize = 8;
        const EACH: usize = 25;
        let stores = [database.store().await, database.another_store().await];
        let ada = user(&stores[0]).await;
        let project = project(&stores[0], &ada).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, project) = (Arc::clone(&stores[writer % 2]), project.clone());
                tokio::spawn(async move {
                    for number in 0..EACH {
                        add_a_task(&store, &project, number).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            soon(writer).await.expect("a writer failed");
        }
        let locked = commit(&stores[0], async |transaction| transaction.projects().lock(project.id, ada.id).await);
        let locked = locked.await.unwrap().unwrap();
        let written = i64::try_from(WRITERS * EACH).unwrap();
        assert_eq!(locked.project.task_counts, TaskCounts { total: written, done: 0 });
        assert_eq!(locked.last_position, format!("{:05}", written - 1), "two writers read the same counts");
    }

    async fn a_transaction_that_waits_for_a_user_sees_the_change(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = user(&store).await;
        let first = store.begin().await.unwrap();
        assert_eq!(first.users().lock(ada.id).await.unwrap().unwrap().user, ada);
        let id = ada.id;
        let mut second =
            pin!(async { commit(&other, async |transaction| transaction.users().lock(id).await.unwrap()).await });
        waits(&mut second).await;
        let renamed = User { name: PersonName::new_unchecked("Other"), version: 4, ..ada };
        first.users().update(&renamed).await.unwrap();
        assert_eq!(commit_beside(first, second).await.unwrap().user, renamed);
    }

    async fn a_transaction_that_waits_for_a_project_sees_the_change(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let first = store.begin().await.unwrap();
        let before = first.projects().lock(project.id, ada.id).await.unwrap().unwrap();
        let (id, reader) = (project.id, ada.id);
        let mut second = pin!(async {
            commit(&other, async |transaction| transaction.projects().lock(id, reader).await.unwrap().unwrap()).await
        });
        waits(&mut second).await;
        let renamed = Project { name: ProjectName::new_unchecked("Other"), deleted_at: Some(at(30)), ..before.project };
        first.projects().update(&renamed).await.unwrap();
        first.projects().adjust_counters(project.id, task_counts(2, 1), Some("a9")).await.unwrap();
        let seen = commit_beside(first, second).await;
        let counted = Project { task_counts: TaskCounts { total: 2, done: 1 }, ..renamed };
        assert_eq!((seen.project, seen.last_position.as_str()), (counted, "a9"));
    }

    async fn a_transaction_that_waits_for_a_task_sees_the_change(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let task = new_task(&project);
        add_tasks(&store, [&task]).await;
        let first = store.begin().await.unwrap();
        first.tasks().lock(task.id, ada.id).await.unwrap().unwrap();
        let (id, reader) = (task.id, ada.id);
        let mut second = pin!(async {
            commit(&other, async |transaction| transaction.tasks().lock(id, reader).await.unwrap().unwrap()).await
        });
        waits(&mut second).await;
        let renamed = Task { title: TaskTitle::new_unchecked("Other"), deleted_at: Some(at(30)), version: 2, ..task };
        first.tasks().update(&renamed).await.unwrap();
        first.projects().update(&Project { archived: true, ..project }).await.unwrap();
        let seen = commit_beside(first, second).await;
        assert_eq!((seen.task, seen.project_archived), (renamed, true));
    }

    async fn a_locked_task_locks_its_project_in_the_same_order_as_others_do(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let task = new_task(&project);
        add_tasks(&store, [&task]).await;
        let first = store.begin().await.unwrap();
        first.projects().lock(project.id, ada.id).await.unwrap().unwrap();
        let (id, reader) = (task.id, ada.id);
        let mut second = pin!(async {
            let transaction = other.begin().await.unwrap();
            transaction.tasks().lock(id, reader).await.map(|found| found.unwrap().task)
        });
        waits(&mut second).await;
        // A deadlock, if the other transaction had locked the task first.
        let renamed = Task { title: TaskTitle::new_unchecked("Other"), ..task };
        soon(first.tasks().update(&renamed)).await.expect("a deadlock");
        assert_eq!(commit_beside(first, second).await.expect("a deadlock"), renamed);
    }

    async fn a_database_that_stays_busy_is_unavailable_rather_than_broken(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let mut open = vec![store.begin().await.unwrap()];
        // SQLite has one writer at a time; on PostgreSQL the connections of the store are exhausted.
        let same_process = async {
            loop {
                match store.begin().await {
                    Ok(transaction) => open.push(transaction),
                    Err(error) => break error,
                }
            }
        };
        let other_process = async { if database.is_postgres() { None } else { other.begin().await.err() } };
        let (same_process, other_process) = soon(async { tokio::join!(same_process, other_process) }).await;
        for error in [Some(same_process), other_process].into_iter().flatten() {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        assert!(database.is_postgres() || open.len() == 1);
        drop(open);
        soon(commit(&store, async |transaction| transaction.users().add(&new_user(), "a hash").await)).await.unwrap();
    }

    async fn a_closed_store_is_unavailable(database: TestDatabase) {
        let store = database.another_store().await;
        store.check().await.unwrap();
        store.close().await;
        for failed in [
            store.check().await,
            store.begin().await.map(drop),
            store.read().users().find(new_user().id).await.map(drop),
        ] {
            assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
        }
    }

    async fn the_readers_execute_no_writes(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let renamed = User { name: PersonName::new_unchecked("Other"), ..ada.clone() };
        store.read().users().update(&renamed).await.unwrap_err();
        assert_eq!(store.read().users().find(ada.id).await.unwrap(), Some(ada));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_transaction_is_terminated_on_postgres() {
    let Some(database) = crate::support::databases::postgres().await else { return };
    let (hasty, store) = (database.store_with_timeout(Duration::from_millis(900)).await, database.store().await);
    let owner = user(&store).await;
    let project = project(&store, &owner).await;
    let event = || [new_event(project.id, EventType::ProjectUpdated)];
    let silent = hasty.begin().await.unwrap();
    silent.events().append(&event()).await.unwrap();
    // The transaction has reserved the sequence number that all others wait for.
    soon(commit(&store, async |transaction| transaction.events().append(&event()).await.unwrap())).await;
    assert_eq!(store.read().events().bounds().await.unwrap().end, 1, "the sequence number was released");
    let error = silent.events().append(&event()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    drop(silent);
    // The first process can continue with another connection.
    soon(commit(&hasty, async |transaction| transaction.events().append(&event()).await.unwrap())).await;
    database.remove().await;
}
