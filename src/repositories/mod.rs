//! Storage, as traits: what services need from it.
//!
//! A `Store` opens repositories for reading, and begins transactions, which are repositories too. A transaction
//! ends with `commit`; dropping it rolls back. Only services and jobs begin one, and nothing slow happens while it is
//! open. Verbs: `find` returns an option, `lock` also locks the row until the end of the transaction, `list` returns a
//! page, `add`, `update` and `remove` write.

mod audit_log;
mod comments;
mod counters;
mod deliveries;
mod error;
mod events;
mod idempotency;
mod invitations;
mod job;
mod job_queue;
mod known_addresses;
mod long_texts;
mod maintenance;
mod members;
mod portion;
mod project_counts;
mod projects;
mod rate_limits;
mod revocation;
mod sealed_values;
mod sessions;
mod store;
mod stored_bytes;
mod stream_tickets;
mod task_lists;
mod tasks;
mod tokens;
mod users;
mod webhook_maintenance;
mod webhooks;
mod writes;

pub use audit_log::{AuditFilter, AuditLogRepository, AuditRecord};
pub use comments::{CommentRepository, CommentWithContext};
pub use counters::{CounterKey, CounterRepository, WindowCount};
pub use deliveries::{DeliverableEvent, DeliveryFilter, DeliveryRecord, DeliveryRepository, DueDelivery};
pub use error::StoreError;
pub use events::{EventFilter, EventHeader, EventRange, EventRepository, FeedBounds, NewEvent};
pub use idempotency::{
    Effect, IdempotencyRepository, IdempotentRequest, KeyClaim, RequiredAccess, ResourceRef, StoredResponse,
};
pub use invitations::{InvitationRepository, InvitationScope};
pub use job::{Dedup, Job, Queue};
pub use job_queue::{JobRecord, JobRepository, JobState, Lease, LeasedJob, QueueRepository};
pub use known_addresses::{AddressHash, KnownAddressRepository};
pub use long_texts::{
    LongTextRepository, LongTexts, TextHash, extract_long_texts, insert_long_texts, referenced_texts,
};
pub use maintenance::{AnonymizedContent, MaintenanceRepository, Prunable};
pub use members::MemberRepository;
pub use portion::Portion;
pub use project_counts::{ComparedCounts, CountMismatch, ProjectCountRepository, ProjectCounts};
pub use projects::{
    ChangedProject, Completion, CounterDelta, LockedProject, OwnedProjects, ProjectFilter, ProjectRepository,
};
pub use rate_limits::{BucketCharge, RateLimitRepository};
pub use revocation::Revocation;
pub use sealed_values::{SealedColumn, SealedPlace, SealedValue, SealedValueRepository};
pub use sessions::{NewRefreshToken, NewSession, RefreshTokenRecord, SessionRecord, SessionRepository};
pub use store::{Repositories, Store, Transaction};
pub use stored_bytes::{comment_bytes, project_bytes, task_bytes};
pub use stream_tickets::{StreamTicketRecord, StreamTicketRepository, TicketCredential};
pub use task_lists::{
    Assignee, CursorPage, CursorRequest, ProjectTaskPage, SortKey, SortValue, TaskFilter, TaskListRepository,
    VisibleTaskPage,
};
pub use tasks::{TaskRepository, TaskWithContext};
pub use tokens::{ApiTokenRecord, ApiTokenRepository, EmailTokenPurpose, EmailTokenRepository};
pub use users::{Credentials, UserFilter, UserRepository};
pub use webhook_maintenance::{StalledWebhooks, WebhookMaintenanceRepository};
pub use webhooks::{
    EndpointHealth, FeedCursor, PreviousSecret, WebhookFilter, WebhookRecord, WebhookRepository, WebhookSubscription,
    WebhookTarget,
};
pub use writes::Write;
