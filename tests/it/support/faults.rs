//! Storage that fails in a way of the test's choice, wherever it is asked.

use std::future::pending;

use async_trait::async_trait;
use pocket_tasks::contract::list::{Page, Paging, Sort};
use pocket_tasks::contract::project::{Project, ProjectSort, Role};
use pocket_tasks::contract::session::{SessionInfo, SessionSort};
use pocket_tasks::contract::task::{Task, TaskSort};
use pocket_tasks::contract::user::User;
use pocket_tasks::contract::{ProjectId, SessionId, TaskId, Timestamp, UserId};
use pocket_tasks::repositories::{
    Credentials, LockedProject, NewRefreshToken, NewSession, ProjectFilter, ProjectRepository, ProjectTasks,
    RefreshTokenRecord, Repositories, SessionRecord, SessionRepository, Store, StoreError, TaskFilter, TaskInProject,
    TaskRepository, Transaction, UserRepository, VisibleTasks,
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
        self.strike().await
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
        fn list_in_project(ProjectId, UserId, &TaskFilter, Sort<TaskSort>, Paging) -> Option<ProjectTasks>;
        fn list_visible(UserId, &TaskFilter, Sort<TaskSort>, Paging) -> VisibleTasks;
        fn add(&Task) -> ();
        fn update(&Task) -> ();
    }
}
