//! Storage that fails in a way of the test's choice, wherever it is asked.

use std::future::pending;

use async_trait::async_trait;
use pocket_tasks::contract::list::{Direction, Page, Paging, Sort};
use pocket_tasks::contract::project::{Project, ProjectSort, Role};
use pocket_tasks::contract::session::{SessionInfo, SessionSort};
use pocket_tasks::contract::task::{Task, TaskSort};
use pocket_tasks::contract::text::OrderKey;
use pocket_tasks::contract::user::User;
use pocket_tasks::contract::{ProjectId, SessionId, TaskId, Timestamp, UserId};
use pocket_tasks::repositories::{
    Claim, Credentials, IdempotencyRepository, KeyedRequest, LockedProject, NewRefreshToken, NewSession, ProjectFilter,
    ProjectRepository, ProjectTasks, RefreshTokenRecord, Repositories, SessionRecord, SessionRepository, Store,
    StoreError, StoredAnswer, Stretch, TaskFilter, TaskInProject, TaskRepository, Transaction, UserRepository,
    VisibleTasks, Walk,
};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The database refuses, with words that must not reach a client.
    Failed,
    /// The database is away.
    Unavailable,
    /// The database never answers.
    Stuck,
    /// The program has a bug.
    Panic,
    /// Another transaction holds every key and does not end; nothing else can be done.
    Held,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultyStore(pub(crate) Fault);

impl FaultyStore {
    async fn strike<T>(&self) -> Result<T, StoreError> {
        let secret = || "sqlx: SELECT password_hash FROM users at src/database/users.rs".into();
        match self.0 {
            Fault::Failed => Err(StoreError::Failed(secret())),
            Fault::Unavailable => Err(StoreError::Unavailable(secret())),
            Fault::Stuck => pending().await,
            Fault::Held => Err(StoreError::Failed("a key that is held should have been enough".into())),
            Fault::Panic => panic!("panicked at SELECT in src/database/users.rs"),
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    fn read(&self) -> &dyn Repositories {
        self
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        match self.0 {
            Fault::Held => Ok(Box::new(*self)),
            _ => self.strike().await,
        }
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.strike().await
    }
}

impl Repositories for FaultyStore {
    fn users(&self) -> &dyn UserRepository {
        self
    }

    fn sessions(&self) -> &dyn SessionRepository {
        self
    }

    fn projects(&self) -> &dyn ProjectRepository {
        self
    }

    fn tasks(&self) -> &dyn TaskRepository {
        self
    }

    fn idempotency(&self) -> &dyn IdempotencyRepository {
        self
    }
}

macro_rules! faulty {
    ($($trait:ident { $(fn $name:ident($($argument:ty),*) -> $result:ty;)* })*) => {$(
        #[async_trait]
        impl $trait for FaultyStore {
            $(
                async fn $name(&self, $(_: $argument),*) -> Result<$result, StoreError> {
                    self.strike().await
                }
            )*
        }
    )*};
}

faulty! {
    UserRepository {
        fn find(UserId) -> Option<User>;
        fn lock(UserId) -> Option<User>;
        fn find_credentials(UserId) -> Option<Credentials>;
        fn find_credentials_by_email(&str) -> Option<Credentials>;
        fn add(&User, &str) -> bool;
        fn update(&User) -> ();
        fn replace_password(UserId, &str, &str, Timestamp) -> bool;
    }
    SessionRepository {
        fn add(&NewSession) -> ();
        fn find(SessionId) -> Option<SessionRecord>;
        fn list(UserId, Timestamp, Sort<SessionSort>, Paging) -> Page<SessionInfo>;
        fn touch(SessionId, Timestamp, Timestamp) -> ();
        fn end(SessionId, Timestamp) -> bool;
        fn end_others(UserId, SessionId, Timestamp) -> Vec<SessionId>;
        fn list_ended(Timestamp) -> Vec<SessionId>;
        fn add_refresh_token(&NewRefreshToken) -> ();
        fn lock_refresh_token(&[u8; 32]) -> Option<RefreshTokenRecord>;
        fn spend_refresh_token(&[u8; 32], Timestamp, &[u8]) -> ();
    }
    ProjectRepository {
        fn find(ProjectId, UserId) -> Option<Project>;
        fn lock(ProjectId, UserId) -> Option<LockedProject>;
        fn list(UserId, &ProjectFilter, Sort<ProjectSort>, Paging) -> Page<Project>;
        fn add(&Project) -> ();
        fn update(&Project) -> ();
        fn count_tasks(ProjectId, i64, i64, Option<&str>) -> ();
        fn find_role(ProjectId, UserId) -> Option<Role>;
    }
    TaskRepository {
        fn find(TaskId, UserId) -> Option<TaskInProject>;
        fn lock(TaskId, UserId) -> Option<TaskInProject>;
        fn list_in_project(ProjectId, UserId, &TaskFilter, Sort<TaskSort>, Paging) -> Option<ProjectTasks<Page<Task>>>;
        fn list_visible(UserId, &TaskFilter, Sort<TaskSort>, Paging) -> VisibleTasks<Page<Task>>;
        fn walk_project(ProjectId, UserId, &TaskFilter, &Walk) -> Option<ProjectTasks<Stretch>>;
        fn walk_visible(UserId, &TaskFilter, &Walk) -> VisibleTasks<Stretch>;
        fn list_places(ProjectId, &str, Direction, u64) -> Vec<(TaskId, OrderKey)>;
        fn find_next(ProjectId, &str, Direction) -> Option<TaskId>;
        fn add(&[Task]) -> ();
        fn update(&Task) -> ();
        fn reposition(TaskId, &str) -> ();
    }
}

#[async_trait]
impl IdempotencyRepository for FaultyStore {
    async fn claim(&self, _: UserId, _: &KeyedRequest, _: Timestamp, _: Timestamp) -> Result<Claim, StoreError> {
        match self.0 {
            Fault::Held => Ok(Claim::Busy),
            _ => self.strike().await,
        }
    }

    async fn settle(&self, _: UserId, _: &str, _: &StoredAnswer) -> Result<(), StoreError> {
        self.strike().await
    }

    async fn find(&self, _: UserId, _: &str, _: Timestamp) -> Result<Option<([u8; 32], StoredAnswer)>, StoreError> {
        match self.0 {
            Fault::Held => Ok(None),
            _ => self.strike().await,
        }
    }
}

#[async_trait]
impl Transaction for FaultyStore {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.strike().await
    }
}
