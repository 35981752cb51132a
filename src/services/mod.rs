//! Domain services: rules, permissions and units of work.
//!
//! A service method checks permissions (see `permissions`), opens at most one transaction (see `unit_of_work`) and
//! returns contract types. HTTP handlers, jobs and the command line call the same methods.

mod account;
mod administration;
mod audit;
mod caller;
mod clock;
mod compression;
mod context;
mod error;
mod error_chain;
mod etag;
mod event;
mod idempotency;
mod key_rotation;
mod keyed_semaphores;
mod mail_budget;
mod operator;
mod outcome;
mod patch;
mod permissions;
mod project;
mod quotas;
mod rate_limits;
mod read_limits;
mod request;
mod search;
mod task;
mod unit_of_work;
mod webhook;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OnceCell};

use event::hub::EventHub;
use keyed_semaphores::KeyedSemaphores;
use read_limits::ReadLimits;

pub use account::api_tokens::ApiTokens;
pub use account::audit_log::AuditLog;
pub use account::auth::Accounts;
pub use account::deletion::AccountDeletion;
pub use account::digest::{Digest, Digests};
pub use account::email_tokens::EmailTokens;
pub use account::grants::{Grant, OnReset, REFERENCES};
pub use account::login_limits::KNOWN_ADDRESS_TTL;
pub use account::profile::Profiles;
pub use account::sessions::Sessions;
pub use administration::accounts::{PasswordResetDelivery, ResetToken};
pub use administration::counts::CountsReport;
pub use administration::{Account, AccountDetails, Administration};
pub(crate) use audit::NewAuditEntry;
pub use caller::{Caller, Credential};
pub use clock::Clock;
pub(crate) use context::ServiceContext;
pub use context::{AccountLimits, DeliveryRates, Policy, Secrets, WebhookDeps};
pub use error::Error;
pub use error_chain::error_chain;
pub use etag::{ETagCondition, EntityTag, MalformedETag};
pub use event::Events;
pub use event::stream::EventStream;
pub use event::subscription::StreamMessage;
pub use idempotency::replay::Idempotency;
pub use key_rotation::{KeyRotation, KeyUsage};
pub use operator::Operator;
pub use outcome::{StoredOutcome, WriteOutcome};
pub use project::Projects;
pub use project::invitations::{InvitationEmail, Invitations};
pub use project::members::Members;
pub use quotas::Quotas;
pub use rate_limits::{SharedCharge, SharedLimit, SharedLimits};
pub use request::RequestMetadata;
pub use task::Tasks;
pub use task::comments::Comments;
pub use unit_of_work::WriteContext;
pub(crate) use unit_of_work::{ReplayAccess, UnitOfWork, lock_caller};
pub use webhook::Webhooks;
pub use webhook::attempt::AttemptBatch;
pub use webhook::deliveries::Deliveries;
pub use webhook::dispatch::DispatchResult;

use crate::repositories::Store;
pub use crate::repositories::{Effect, IdempotentRequest, ResourceRef};
pub use crate::security::ClientNetwork;
use crate::security::{EndedSessions, Passwords, RevokedTokens};

/// Period in which a successful readiness check is reused.
const READINESS_TTL: Duration = Duration::from_secs(1);

/// All services.
#[derive(Clone)]
pub struct Services {
    /// Registration, login and authentication.
    pub accounts: Accounts,
    /// Profile, password and deletion of the own account.
    pub profiles: Profiles,
    /// E-mail verification and password reset.
    pub email_tokens: EmailTokens,
    /// Sessions of an account.
    pub sessions: Sessions,
    /// API tokens.
    pub api_tokens: ApiTokens,
    /// Audit log.
    pub audit_log: AuditLog,
    /// Weekly digest.
    pub digests: Digests,
    /// Projects.
    pub projects: Projects,
    /// Members of projects.
    pub members: Members,
    /// Invitations to projects.
    pub invitations: Invitations,
    /// Tasks.
    pub tasks: Tasks,
    /// Comments on tasks.
    pub comments: Comments,
    /// Event feed and event streams.
    pub events: Events,
    /// Deletion of accounts, in portions.
    pub account_deletion: AccountDeletion,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Webhook deliveries.
    pub deliveries: Deliveries,
    /// Administration by the operator.
    pub administration: Administration,
    /// Rotation of the encryption key.
    pub key_rotation: KeyRotation,
    /// Replay of stored responses.
    pub idempotency: Idempotency,
    /// Rate limits that several servers share.
    pub shared_limits: SharedLimits,
    context: Arc<ServiceContext>,
    last_ready: Arc<Mutex<Option<Instant>>>,
}

impl Services {
    /// Creates the services.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        passwords: Passwords,
        secrets: Secrets,
        policy: Policy,
        webhooks: WebhookDeps,
    ) -> Self {
        let Secrets { tokens, sealer, signer, key_hasher } = secrets;
        let hub = EventHub::new(Arc::clone(&store), policy.has_stream_limit);
        let context = Arc::new(ServiceContext {
            store,
            clock,
            passwords,
            password_costs: OnceCell::new(),
            ended_sessions: EndedSessions::new(tokens.ttl()),
            revoked_tokens: RevokedTokens::new(event::stream::MAX_STREAM_DURATION),
            tokens,
            sealer,
            signer,
            key_hasher,
            policy,
            webhooks,
            read_limits: ReadLimits::new(policy.list_reads_per_user),
            key_locks: KeyedSemaphores::default(),
        });
        Self {
            accounts: Accounts(Arc::clone(&context)),
            profiles: Profiles(Arc::clone(&context)),
            email_tokens: EmailTokens(Arc::clone(&context)),
            sessions: Sessions(Arc::clone(&context)),
            api_tokens: ApiTokens(Arc::clone(&context)),
            audit_log: AuditLog(Arc::clone(&context)),
            digests: Digests(Arc::clone(&context)),
            projects: Projects(Arc::clone(&context)),
            members: Members(Arc::clone(&context)),
            invitations: Invitations(Arc::clone(&context)),
            tasks: Tasks(Arc::clone(&context)),
            comments: Comments(Arc::clone(&context)),
            account_deletion: AccountDeletion(Arc::clone(&context)),
            webhooks: Webhooks(Arc::clone(&context)),
            administration: Administration(Arc::clone(&context)),
            key_rotation: KeyRotation(Arc::clone(&context)),
            idempotency: Idempotency(Arc::clone(&context)),
            shared_limits: SharedLimits(Arc::clone(&context)),
            events: Events::new(Arc::clone(&context), hub),
            deliveries: Deliveries::new(Arc::clone(&context)),
            last_ready: Arc::default(),
            context,
        }
    }

    /// Authenticates a caller by an access token or an API token.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        if ApiTokens::has_token_prefix(token) {
            self.api_tokens.authenticate(token).await
        } else {
            self.accounts.authenticate(token)
        }
    }

    /// Returns the period in which soft-deleted objects can be restored.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.context.policy.retention
    }

    /// Checks whether the database is ready.
    pub async fn check(&self) -> Result<(), Error> {
        // The check is public, so concurrent and frequent callers share one query.
        let mut last_ready = self.last_ready.lock().await;
        if last_ready.is_none_or(|at| at.elapsed() >= READINESS_TTL) {
            *last_ready = None;
            self.context.store.check().await.map_err(Error::NotReady)?;
            *last_ready = Some(Instant::now());
        }
        Ok(())
    }
}
