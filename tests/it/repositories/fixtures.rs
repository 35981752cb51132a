//! Things to store, and short ways to store them.

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
use pocket_tasks::repositories::{NewSession, Store as _, Transaction};
use tokio::time::timeout;

/// Far longer than anything here takes, so that a slow machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Time enough to see that something does not happen.
const MOMENT: Duration = Duration::from_millis(150);

/// 2026-01-31T09:00:00Z, and so many milliseconds.
pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp(1_769_850_000_000 + millis)
}

/// Runs in a transaction and commits it.
pub(crate) async fn commit<T>(store: &SeaStore, work: impl AsyncFnOnce(&dyn Transaction) -> T) -> T {
    let transaction = store.begin().await.unwrap();
    let result = work(&*transaction).await;
    transaction.commit().await.unwrap();
    result
}

/// A user who is not stored yet.
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

/// A user who is stored.
pub(crate) async fn user(store: &SeaStore) -> User {
    let user = new_user();
    assert!(commit(store, async |transaction| transaction.users().add(&user, "a hash").await).await.unwrap());
    user
}

/// A session of the user that is not stored yet.
pub(super) fn new_session(user: &User) -> NewSession {
    NewSession {
        id: SessionId::generate(),
        user_id: user.id,
        user_agent: Some("curl/8 (ünïcode)".to_owned()),
        created_at: at(10),
        expires_at: at(1_000),
    }
}

/// A session of the user that is stored.
pub(super) async fn session(store: &SeaStore, user: &User) -> NewSession {
    let session = new_session(user);
    commit(store, async |transaction| transaction.sessions().add(&session).await).await.unwrap();
    session
}

/// A project that is not stored yet.
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

/// A project that is stored.
pub(crate) async fn project(store: &SeaStore, owner: &User) -> Project {
    let project = new_project(owner);
    commit(store, async |transaction| transaction.projects().add(&project).await).await.unwrap();
    project
}

/// A task that is not stored yet, with nothing that it need not have.
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
        // Two tasks cannot stand at one place.
        position: OrderKey::new_unchecked(format!("a{}", id.0.simple())),
        created_by: Some(project.owner_id),
        completed_at: None,
        deleted_at: None,
        version: 1,
        created_at: at(5),
        updated_at: at(6),
    }
}

/// Stores tasks, and counts those that are not in the trash, as the service does.
pub(crate) async fn add_tasks(store: &SeaStore, tasks: impl IntoIterator<Item = &Task>) {
    let tasks: Vec<&Task> = tasks.into_iter().collect();
    commit(store, async |transaction| {
        for task in tasks {
            transaction.tasks().add(std::slice::from_ref(task)).await.unwrap();
            if task.deleted_at.is_none() {
                let done = i64::from(task.status == TaskStatus::Done);
                transaction
                    .projects()
                    .adjust_task_counts(task.project_id, 1, done, Some(&task.position))
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

/// Everything that fits on one page.
pub(super) const fn all() -> Paging {
    Paging { limit: 100, page: None, offset: None }
}

/// Runs to its end, soon.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("it takes for ever")
}

/// Begins the work, and sees that it does not end while something is in its way.
pub(crate) async fn waits<T>(work: &mut (impl Future<Output = T> + Unpin)) {
    assert!(timeout(MOMENT, work).await.is_err(), "it did not wait");
}
