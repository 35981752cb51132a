//! Storage that fails in a way of the test's choice, wherever it is asked.

use std::future::pending;

use async_trait::async_trait;
use pocket_tasks::contract::account::api_token::{ApiToken, ApiTokenSort};
use pocket_tasks::contract::account::session::{SessionInfo, SessionSort};
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::event::Event;
use pocket_tasks::contract::page::{Direction, Page, Paging, Sort};
use pocket_tasks::contract::project::invitation::{Invitation, InvitationSort, InvitationStatus};
use pocket_tasks::contract::project::member::{Member, MemberSort};
use pocket_tasks::contract::project::{Project, ProjectSort, Role};
use pocket_tasks::contract::strings::OrderKey;
use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::task::comment::{Comment, CommentSort};
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::webhook::delivery::{Delivery, DeliverySort};
use pocket_tasks::contract::webhook::{Webhook, WebhookSort};
use pocket_tasks::contract::{
    ApiTokenId, CommentId, DeliveryId, EventId, InvitationId, ProjectId, SessionId, TaskId, Timestamp, UserId,
    WebhookId,
};
use pocket_tasks::repositories::{
    ApiTokenRecord, ApiTokenRepository, Claim, CommentOnTask, CommentRepository, Credentials, DeliveryFilter,
    DeliveryRecord, DeliveryRepository, DueDelivery, EventFilter, EventRepository, FeedBounds, FeedWalk, FormerSecret,
    Health, IdempotencyRepository, InvitationRepository, Invited, Job, JobRecord, JobRepository, KeyedRequest, Lane,
    Lease, LeasedJob, Litter, LockedProject, MailPurpose, MailTokenRepository, MemberRepository, NewEvent,
    NewRefreshToken, NewSession, ProjectFilter, ProjectRepository, ProjectTasks, QueueRepository, Receiver,
    RefreshTokenRecord, Repositories, SessionRecord, SessionRepository, Store, StoreError, StoredAnswer, Stranded,
    Stretch, TaskFilter, TaskInProject, TaskRepository, Transaction, UpkeepRepository, UserRepository, Visible,
    VisibleTasks, Walk, WebhookFilter, WebhookRecord, WebhookRepository, Withdrawn,
};
use uuid::Uuid;

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

    fn read_unindexed(&self) -> &dyn Repositories {
        self
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        match self.0 {
            Fault::Held => Ok(Box::new(*self)),
            _ => self.strike().await,
        }
    }

    async fn jobs_committed(&self) {
        pending::<()>().await;
    }

    async fn events_committed(&self) {
        pending::<()>().await;
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

    fn members(&self) -> &dyn MemberRepository {
        self
    }

    fn invitations(&self) -> &dyn InvitationRepository {
        self
    }

    fn tasks(&self) -> &dyn TaskRepository {
        self
    }

    fn comments(&self) -> &dyn CommentRepository {
        self
    }

    fn events(&self) -> &dyn EventRepository {
        self
    }

    fn webhooks(&self) -> &dyn WebhookRepository {
        self
    }

    fn deliveries(&self) -> &dyn DeliveryRepository {
        self
    }

    fn idempotency(&self) -> &dyn IdempotencyRepository {
        self
    }

    fn mail_tokens(&self) -> &dyn MailTokenRepository {
        self
    }

    fn api_tokens(&self) -> &dyn ApiTokenRepository {
        self
    }

    fn jobs(&self) -> &dyn JobRepository {
        self
    }

    fn queue(&self) -> &dyn QueueRepository {
        self
    }

    fn upkeep(&self) -> &dyn UpkeepRepository {
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
        fn lock(UserId) -> Option<Credentials>;
        fn set_deleted(UserId, Option<Timestamp>, Timestamp) -> Vec<Project>;
        fn schedule_digest(UserId, Option<Timestamp>) -> ();
        fn list_due_digests(Timestamp, u64) -> Vec<(User, Timestamp)>;
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
        fn end_all(UserId, Option<SessionId>, Timestamp) -> Vec<SessionId>;
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
        fn recalculate_completion(ProjectId) -> ();
        fn find_role(ProjectId, UserId) -> Option<Role>;
    }
    MemberRepository {
        fn list(ProjectId, Option<Role>, Sort<MemberSort>, Paging) -> Page<Member>;
        fn find(ProjectId, UserId) -> Option<Member>;
        fn list_elsewhere(UserId) -> Vec<(ProjectId, Member)>;
        fn has_email(ProjectId, &str) -> bool;
        fn count(ProjectId) -> u64;
        fn add(ProjectId, UserId, Role, Timestamp) -> bool;
        fn set_role(ProjectId, UserId, Role) -> ();
        fn remove(ProjectId, UserId) -> ();
    }
    InvitationRepository {
        fn find(InvitationId, Timestamp) -> Option<Invitation>;
        fn list(Invited<'_>, Option<InvitationStatus>, Timestamp, Sort<InvitationSort>, Paging) -> Page<Invitation>;
        fn count_pending(ProjectId, Timestamp) -> u64;
        fn add(&Invitation) -> bool;
        fn settle(InvitationId, InvitationStatus, Timestamp) -> bool;
        fn revoke_sent(UserId, Timestamp) -> Vec<Invitation>;
        fn expire(Timestamp, u64) -> u64;
    }
    CommentRepository {
        fn find(CommentId, UserId) -> Option<CommentOnTask>;
        fn list(TaskId, Sort<CommentSort>, Paging) -> Page<Comment>;
        fn add(&Comment) -> ();
        fn update(&Comment) -> ();
        fn remove(CommentId) -> ();
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
        fn reposition(TaskId, &str) -> Option<Task>;
        fn unassign(ProjectId, UserId, Timestamp) -> Vec<Task>;
    }
    MailTokenRepository {
        fn add(&[u8; 32], UserId, MailPurpose, Timestamp) -> ();
        fn find(&[u8; 32], MailPurpose, Timestamp) -> Option<UserId>;
        fn spend(&[u8; 32], MailPurpose, Timestamp) -> Option<UserId>;
        fn revoke_all(UserId, MailPurpose, Timestamp) -> ();
    }
    ApiTokenRepository {
        fn add(&ApiToken, UserId, &[u8; 32]) -> ();
        fn find(ApiTokenId) -> Option<ApiTokenRecord>;
        fn find_by_hash(&[u8; 32]) -> Option<ApiTokenRecord>;
        fn list(UserId, Sort<ApiTokenSort>, Paging) -> Page<ApiToken>;
        fn count(UserId, Timestamp) -> u64;
        fn touch(ApiTokenId, Timestamp) -> ();
        fn revoke(ApiTokenId, Timestamp) -> bool;
        fn revoke_all(UserId, Timestamp) -> Vec<ApiTokenId>;
        fn list_revoked(Timestamp) -> Vec<ApiTokenId>;
    }
    EventRepository {
        fn append(&[NewEvent]) -> ();
        fn bounds() -> FeedBounds;
        fn list(UserId, &EventFilter, FeedWalk) -> Vec<Event>;
        fn tail(i64, u64) -> Vec<Event>;
        fn memberships(UserId) -> Option<Vec<(ProjectId, Role)>>;
    }
    WebhookRepository {
        fn find(WebhookId) -> Option<WebhookRecord>;
        fn lock(WebhookId) -> Option<WebhookRecord>;
        fn hold(WebhookId) -> Option<WebhookRecord>;
        fn list(UserId, &WebhookFilter, Sort<WebhookSort>, Paging) -> Page<Webhook>;
        fn hold_all(UserId) -> Vec<(WebhookId, bool)>;
        fn disable_all(UserId, &str, Timestamp) -> ();
        fn count(UserId) -> u64;
        fn add(&WebhookRecord) -> ();
        fn update(&Webhook, &Health) -> ();
        fn replace_secret(WebhookId, &[u8], Option<&FormerSecret>, Timestamp) -> ();
        fn list_former_secrets(WebhookId, Timestamp) -> Vec<FormerSecret>;
        fn remove(WebhookId, Timestamp) -> ();
    }
    DeliveryRepository {
        fn list_receivers(ProjectId) -> Vec<Receiver>;
        fn add(&[DeliveryRecord]) -> ();
        fn list(WebhookId, &DeliveryFilter, Sort<DeliverySort>, Paging) -> Page<Delivery>;
        fn find(DeliveryId) -> Option<DeliveryRecord>;
        fn list_due(WebhookId, Timestamp, u64) -> Vec<DueDelivery>;
        fn find_visible(WebhookId, EventId) -> Option<Visible>;
        fn list_these(&[DeliveryId]) -> Vec<Delivery>;
        fn next_due(WebhookId) -> Option<Timestamp>;
        fn update(&Delivery) -> ();
        fn fail(DeliveryId) -> ();
        fn give_up(WebhookId, Timestamp, u64) -> u64;
    }
    JobRepository {
        fn enqueue(&Job, Timestamp, Timestamp) -> bool;
        fn enqueue_deliveries(&[(WebhookId, Lane)], Timestamp) -> usize;
        fn enqueue_once(&Job, &str, Timestamp) -> bool;
    }
    QueueRepository {
        fn lease(&[Lane], u64, Timestamp, Timestamp) -> Vec<LeasedJob>;
        fn next_due(&[Lane]) -> Option<Timestamp>;
        fn extend(Lease, Timestamp) -> bool;
        fn hold(Lease) -> bool;
        fn go_on(Lease, Lane, Timestamp) -> bool;
        fn finish(Lease, Timestamp) -> bool;
        fn put_off(Lease, Timestamp, &str) -> bool;
        fn bury(Lease, Timestamp, &str) -> bool;
        fn hand_back(Lease, Timestamp) -> ();
        fn list_unfinished() -> Vec<JobRecord>;
        fn retry(Uuid, Timestamp) -> bool;
    }
    UpkeepRepository {
        fn discard(Litter, Timestamp, u64) -> u64;
        fn purge_tasks(Timestamp, u64) -> u64;
        fn list_expired_projects(Timestamp, u64) -> Vec<ProjectId>;
        fn purge_tasks_of(ProjectId, u64) -> u64;
        fn list_webhooks_of(UserId) -> Vec<WebhookId>;
        fn list_webhooks_for(ProjectId) -> Vec<WebhookId>;
        fn purge_deliveries_of(WebhookId, u64) -> u64;
        fn purge_webhook(WebhookId) -> ();
        fn list_stranded(Option<WebhookId>, Timestamp, u64) -> Stranded;
        fn purge_project(ProjectId) -> ();
        fn list_expired_users(Timestamp, u64) -> Vec<UserId>;
        fn list_owned_projects(UserId) -> Vec<ProjectId>;
        fn list_foreign_projects(UserId) -> Vec<ProjectId>;
        fn withdraw(UserId, ProjectId, Timestamp) -> Withdrawn;
        fn purge_events_of(ProjectId, u64) -> u64;
        fn forget_in_feed(UserId, i64, i64) -> Option<i64>;
        fn purge_user(UserId) -> ();
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
