//! Store in which every operation fails in a given way.

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
    AnonymizedContent, ApiTokenRecord, ApiTokenRepository, CommentRepository, CommentWithContext, Credentials,
    CursorPage, CursorRequest, DeliverableEvent, DeliveryFilter, DeliveryRecord, DeliveryRepository, DueDelivery,
    EmailTokenPurpose, EmailTokenRepository, EndpointHealth, EventFilter, EventRange, EventRepository, FeedBounds,
    IdempotencyRepository, IdempotentRequest, InvitationRepository, InvitationScope, Job, JobRecord, JobRepository,
    KeyClaim, Lease, LeasedJob, LockedProject, MaintenanceRepository, MemberRepository, NewEvent, NewRefreshToken,
    NewSession, PreviousSecret, ProjectFilter, ProjectRepository, ProjectTaskPage, Prunable, Queue, QueueRepository,
    RefreshTokenRecord, Repositories, SessionRecord, SessionRepository, StalledWebhooks, Store, StoreError,
    StoredResponse, TaskFilter, TaskListRepository, TaskRepository, TaskWithContext, Transaction, UserRepository,
    VisibleTaskPage, WebhookFilter, WebhookMaintenanceRepository, WebhookRecord, WebhookRepository,
    WebhookSubscription,
};
use uuid::Uuid;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The database returns an error whose text must not reach a client.
    Failed,
    /// The database is unavailable.
    Unavailable,
    /// The database never responds.
    Stuck,
    /// The program panics.
    Panic,
    /// Another transaction holds every idempotency key; all other operations fail.
    Held,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultyStore(pub(crate) Fault);

impl FaultyStore {
    async fn strike<T>(&self) -> Result<T, StoreError> {
        let secret = || "sqlx: SELECT password_hash FROM users at src/database/users.rs".into();
        match self.0 {
            Fault::Failed => Err(StoreError::Internal(secret())),
            Fault::Unavailable => Err(StoreError::Unavailable(secret())),
            Fault::Stuck => pending().await,
            Fault::Held => Err(StoreError::Internal("a key that is held should have been enough".into())),
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

    async fn wait_for_jobs(&self) {
        pending::<()>().await;
    }

    async fn wait_for_events(&self) {
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

    fn email_tokens(&self) -> &dyn EmailTokenRepository {
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

    fn maintenance(&self) -> &dyn MaintenanceRepository {
        self
    }

    fn webhook_maintenance(&self) -> &dyn WebhookMaintenanceRepository {
        self
    }

    fn task_lists(&self) -> &dyn TaskListRepository {
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
        fn rotate_refresh_token(&[u8; 32], Timestamp, &[u8]) -> ();
    }
    ProjectRepository {
        fn find(ProjectId, UserId) -> Option<Project>;
        fn lock(ProjectId, UserId) -> Option<LockedProject>;
        fn list(UserId, &ProjectFilter, Sort<ProjectSort>, Paging) -> Page<Project>;
        fn add(&Project) -> ();
        fn update(&Project) -> ();
        fn adjust_task_counts(ProjectId, i64, i64, Option<&str>) -> ();
        fn recalculate_completion(ProjectId) -> ();
        fn find_role(ProjectId, UserId) -> Option<Role>;
    }
    MemberRepository {
        fn list(ProjectId, Option<Role>, Sort<MemberSort>, Paging) -> Page<Member>;
        fn find(ProjectId, UserId) -> Option<Member>;
        fn list_non_owner_memberships(UserId) -> Vec<(ProjectId, Member)>;
        fn has_email(ProjectId, &str) -> bool;
        fn count(ProjectId) -> u64;
        fn add(ProjectId, UserId, Role, Timestamp) -> bool;
        fn set_role(ProjectId, UserId, Role) -> ();
        fn remove(ProjectId, UserId) -> ();
    }
    InvitationRepository {
        fn find(InvitationId, Timestamp) -> Option<Invitation>;
        fn list(InvitationScope<'_>, Option<InvitationStatus>, Timestamp, Sort<InvitationSort>, Paging) -> Page<Invitation>;
        fn count_pending(ProjectId, Timestamp) -> u64;
        fn add(&Invitation) -> bool;
        fn resolve(InvitationId, InvitationStatus, Timestamp) -> bool;
        fn revoke_sent(UserId, Timestamp) -> Vec<Invitation>;
        fn expire(Timestamp, u64) -> u64;
    }
    CommentRepository {
        fn find(CommentId, UserId) -> Option<CommentWithContext>;
        fn list(TaskId, Sort<CommentSort>, Paging) -> Page<Comment>;
        fn add(&Comment) -> ();
        fn update(&Comment) -> ();
        fn remove(CommentId) -> ();
    }
    TaskRepository {
        fn find(TaskId, UserId) -> Option<TaskWithContext>;
        fn lock(TaskId, UserId) -> Option<TaskWithContext>;
        fn list_positions(ProjectId, &str, Direction, u64) -> Vec<(TaskId, OrderKey)>;
        fn find_adjacent(ProjectId, &str, Direction) -> Option<TaskId>;
        fn add(&[Task]) -> ();
        fn update(&Task) -> ();
        fn set_position(TaskId, &str) -> Option<Task>;
        fn unassign(ProjectId, UserId, Timestamp) -> Vec<Task>;
    }
    TaskListRepository {
        fn list_in_project(ProjectId, UserId, &TaskFilter, Sort<TaskSort>, Paging) -> Option<ProjectTaskPage<Page<Task>>>;
        fn list_visible(UserId, &TaskFilter, Sort<TaskSort>, Paging) -> VisibleTaskPage<Page<Task>>;
        fn list_in_project_by_cursor(ProjectId, UserId, &TaskFilter, &CursorRequest) -> Option<ProjectTaskPage<CursorPage>>;
        fn list_visible_by_cursor(UserId, &TaskFilter, &CursorRequest) -> VisibleTaskPage<CursorPage>;
    }
    EmailTokenRepository {
        fn add(&[u8; 32], UserId, EmailTokenPurpose, Timestamp) -> ();
        fn find(&[u8; 32], EmailTokenPurpose, Timestamp) -> Option<UserId>;
        fn consume(&[u8; 32], EmailTokenPurpose, Timestamp) -> Option<UserId>;
        fn revoke_all(UserId, EmailTokenPurpose, Timestamp) -> ();
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
        fn list(UserId, &EventFilter, EventRange) -> Vec<Event>;
        fn tail(i64, u64) -> Vec<Event>;
        fn memberships(UserId) -> Option<Vec<(ProjectId, Role)>>;
    }
    WebhookRepository {
        fn find(WebhookId) -> Option<WebhookRecord>;
        fn lock(WebhookId) -> Option<WebhookRecord>;
        fn lock_shared(WebhookId) -> Option<WebhookRecord>;
        fn list(UserId, &WebhookFilter, Sort<WebhookSort>, Paging) -> Page<Webhook>;
        fn lock_all_shared(UserId) -> Vec<(WebhookId, bool)>;
        fn disable_all(UserId, &str, Timestamp) -> ();
        fn count(UserId) -> u64;
        fn add(&WebhookRecord) -> ();
        fn update(&Webhook, &EndpointHealth) -> ();
        fn replace_secret(WebhookId, &[u8], Option<&PreviousSecret>, Timestamp) -> ();
        fn list_previous_secrets(WebhookId, Timestamp) -> Vec<PreviousSecret>;
        fn remove(WebhookId, Timestamp) -> ();
    }
    DeliveryRepository {
        fn list_subscriptions(ProjectId) -> Vec<WebhookSubscription>;
        fn add(&[DeliveryRecord]) -> ();
        fn list(WebhookId, &DeliveryFilter, Sort<DeliverySort>, Paging) -> Page<Delivery>;
        fn find(DeliveryId) -> Option<DeliveryRecord>;
        fn list_due(WebhookId, Timestamp, u64) -> Vec<DueDelivery>;
        fn find_deliverable(WebhookId, EventId) -> Option<DeliverableEvent>;
        fn list_by_ids(&[DeliveryId]) -> Vec<Delivery>;
        fn next_due(WebhookId) -> Option<Timestamp>;
        fn update(&Delivery) -> ();
        fn mark_failed(DeliveryId) -> ();
        fn cancel_pending(WebhookId, Timestamp, u64) -> u64;
    }
    JobRepository {
        fn enqueue(&Job, Timestamp, Timestamp) -> bool;
        fn enqueue_deliveries(&[(WebhookId, Queue)], Timestamp) -> usize;
        fn enqueue_once(&Job, &str, Timestamp) -> bool;
    }
    QueueRepository {
        fn claim(&[Queue], u64, Timestamp, Timestamp) -> Vec<LeasedJob>;
        fn next_due(&[Queue]) -> Option<Timestamp>;
        fn extend_lease(Lease, Timestamp) -> bool;
        fn lock(Lease) -> bool;
        fn requeue(Lease, Queue, Timestamp) -> bool;
        fn complete(Lease, Timestamp) -> bool;
        fn retry_later(Lease, Timestamp, &str) -> bool;
        fn dead_letter(Lease, Timestamp, &str) -> bool;
        fn release(Lease, Timestamp) -> ();
        fn list_unfinished() -> Vec<JobRecord>;
        fn retry(Uuid, Timestamp) -> bool;
    }
    WebhookMaintenanceRepository {
        fn list_user_webhooks(UserId) -> Vec<WebhookId>;
        fn list_project_webhooks(ProjectId) -> Vec<WebhookId>;
        fn purge_webhook_deliveries(WebhookId, u64) -> u64;
        fn purge_webhook(WebhookId) -> ();
        fn list_stalled_webhooks(Option<WebhookId>, Timestamp, u64) -> StalledWebhooks;
    }
    MaintenanceRepository {
        fn prune(Prunable, Timestamp, u64) -> u64;
        fn purge_tasks(Timestamp, u64) -> u64;
        fn list_expired_projects(Timestamp, u64) -> Vec<ProjectId>;
        fn purge_project_tasks(ProjectId, u64) -> u64;
        fn purge_project(ProjectId) -> ();
        fn list_expired_users(Timestamp, u64) -> Vec<UserId>;
        fn list_owned_projects(UserId) -> Vec<ProjectId>;
        fn list_foreign_projects(UserId) -> Vec<ProjectId>;
        fn anonymize_member(UserId, ProjectId, Timestamp) -> AnonymizedContent;
        fn purge_project_events(ProjectId, u64) -> u64;
        fn anonymize_events(UserId, i64, i64) -> Option<i64>;
        fn purge_user(UserId) -> ();
    }
}

#[async_trait]
impl IdempotencyRepository for FaultyStore {
    async fn claim(
        &self,
        _: UserId,
        _: &IdempotentRequest,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<KeyClaim, StoreError> {
        match self.0 {
            Fault::Held => Ok(KeyClaim::InProgress),
            _ => self.strike().await,
        }
    }

    async fn store_response(&self, _: UserId, _: &str, _: &StoredResponse) -> Result<(), StoreError> {
        self.strike().await
    }

    async fn find(&self, _: UserId, _: &str, _: Timestamp) -> Result<Option<([u8; 32], StoredResponse)>, StoreError> {
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
