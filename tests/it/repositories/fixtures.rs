//! Fixtures for storage tests.

use std::future::Future;
use std::time::Duration;

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::{Direction, Paging, Sort};
use pocket_tasks::contract::project::{Project, TaskCounts};
use pocket_tasks::contract::strings::{
    Color, Email, OrderKey, PersonName, ProjectDescription, ProjectName, TaskTitle, TimeZone,
};
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::contract::{ProjectId, SessionId, TaskId, Timestamp, UserId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{CounterDelta, NewSession, Queue, Store, Transaction};
use tokio::time::timeout;

/// Timeout, generous for slow machines.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
/// Long enough to see that something does not happen.
const MOMENT: Duration = Duration::from_millis(150);

/// 2026-01-31T09:00:00Z plus milliseconds.
pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp(1_769_850_000_000 + millis)
}

/// Runs work in a transaction and commits it.
pub(crate) async fn commit<T>(store: &SeaStore, work: impl AsyncFnOnce(&dyn Transaction) -> T) -> T {
    let transaction = store.begin().await.unwrap();
    let result = work(&*transaction).await;
    transaction.commit().await.unwrap();
    result
}

/// Time at which the next job of some queues becomes due.
pub(crate) async fn next_due(store: &dyn Store, queues: &[Queue]) -> Option<Timestamp> {
    store.read().queue().list_due(queues).await.unwrap().into_iter().filter_map(|(_, due)| due).min()
}

/// New user, not stored.
pub(super) fn new_user() -> User {
    let id = UserId::generate();
    User {
        id,
        email: Email::new_unchecked(format!("{}@example.com", id.0.simple())),
        name: PersonName::new_unchecked("Zoë \"O'Neil\" 😀"),
        timezone: TimeZone::new_unchecked("Europe/Berlin"),
        weekly_digest: false,
        email_verified: true,
        version: 3,
        created_at: at(1),
        updated_at: at(2),
    }
}

/// Stored user.
pub(crate) async fn user(store: &SeaStore) -> User {
    let user = new_user();
    assert!(commit(store, async |transaction| transaction.users().add(&user, "a hash").await).await.unwrap());
    user
}

/// New session of the user, not stored.
pub(super) fn new_session(user: &User) -> NewSession {
    NewSession {
        id: SessionId::generate(),
        user_id: user.id,
        user_agent: Some("curl/8 (ünïcode)".to_owned()),
        created_at: at(10),
        expires_at: at(1_000),
    }
}

/// Stored session of the user.
pub(super) async fn session(store: &SeaStore, user: &User) -> NewSession {
    let session = new_session(user);
    commit(store, async |transaction| transaction.sessions().add(&session).await).await.unwrap();
    session
}

/// New project, not stored.
pub(super) fn new_project(owner: &User) -> Project {
    Project {
        id: ProjectId::generate(),
        name: ProjectName::new_unchecked("Küche 100% \\ _new_"),
        description: Some(ProjectDescription::new_unchecked("Two\nlines, 'quoted'; and a tab\t.")),
        color: Some(Color::new_unchecked("#3B82f6")),
        archived: false,
        owner_id: owner.id,
        role: None,
        deleted_at: None,
        task_counts: TaskCounts { total: 0, done: 0 },
        completion_percentage: 0,
        version: 1,
        created_at: at(3),
        updated_at: at(4),
    }
}

/// Stored project.
pub(crate) async fn project(store: &SeaStore, owner: &User) -> Project {
    let project = new_project(owner);
    commit(store, async |transaction| transaction.projects().add(&project).await).await.unwrap();
    project
}

/// New task with required fields only, not stored.
pub(crate) fn new_task(project: &Project) -> Task {
    let id = TaskId::generate();
    Task {
        id,
        project_id: project.id,
        title: TaskTitle::new_unchecked("A task"),
        description: None,
        status: TaskStatus::Todo,
        priority: TaskPriority::None,
        due_at: None,
        assignee_id: None,
        labels: Vec::new(),
        // Positions are unique in a project.
        position: OrderKey::new_unchecked(format!("a{}", id.0.simple())),
        created_by: Some(project.owner_id),
        completed_at: None,
        deleted_at: None,
        version: 1,
        created_at: at(5),
        updated_at: at(6),
    }
}

/// Change of the task counts of a project.
pub(crate) fn task_counts(total: i64, done: i64) -> CounterDelta {
    CounterDelta { total, done, ..CounterDelta::default() }
}

/// Stores tasks and updates the counters like the service.
pub(crate) async fn add_tasks(store: &SeaStore, tasks: impl IntoIterator<Item = &Task>) {
    let tasks: Vec<&Task> = tasks.into_iter().collect();
    commit(store, async |transaction| {
        for task in tasks {
            transaction.tasks().add(std::slice::from_ref(task)).await.unwrap();
            if task.deleted_at.is_none() {
                let done = i64::from(task.status == TaskStatus::Done);
                transaction
                    .projects()
                    .adjust_counters(task.project_id, task_counts(1, done), Some(&task.position))
                    .await
                    .unwrap();
            }
        }
    })
    .await;
}

pub(super) const fn asc<F>(field: F) -> Sort<F> {
    Sort { field, direction: Direction::Asc }
}

pub(super) const fn desc<F>(field: F) -> Sort<F> {
    Sort { field, direction: Direction::Desc }
}

/// First page, large enough for everything.
pub(super) const fn all() -> Paging {
    Paging { limit: 100, page: None, offset: None }
}

/// Runs a future to its end, with a timeout.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, work).await.expect("timeout")
}

/// Commits a transaction for which another one waits. On SQLite they are committed together, so the other must go on.
pub(crate) async fn commit_beside<T>(transaction: Box<dyn Transaction>, waiting: impl Future<Output = T>) -> T {
    let (committed, result) = tokio::join!(soon(transaction.commit()), soon(waiting));
    committed.unwrap();
    result
}

/// Polls a future for a moment and asserts that it is blocked.
pub(crate) async fn waits<T>(work: &mut (impl Future<Output = T> + Unpin)) {
    assert!(timeout(MOMENT, work).await.is_err(), "the future was not blocked");
}
