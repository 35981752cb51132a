//! Domain services: rules, permissions and units of work.
//!
//! A service method checks permissions (see `permissions`), opens at most one transaction (see `unit_of_work`) and
//! returns contract types. HTTP handlers, jobs and the command line call the same methods.

mod account;
mod clock;
mod error;
mod error_chain;
mod etag;
mod event;
mod idempotency;
mod keyed_semaphores;
mod patch;
mod permissions;
mod project;
mod read_limits;
mod response;
mod task;
mod unit_of_work;
mod webhook;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use event::hub::EventHub;
use idempotency::key_locks::KeyLocks;
use read_limits::ReadLimits;
use webhook::limits::DeliveryLimits;

pub use account::api_tokens::ApiTokens;
pub use account::auth::{Accounts, RequestMetadata};
pub use account::deletion::AccountPurge;
pub use account::digest::{Digest, Digests};
pub use account::email_tokens::EmailTokens;
pub use account::grants::{Grant, OnReset, REFERENCES};
pub use account::profile::Profiles;
pub use account::sessions::Sessions;
pub use clock::Clock;
pub use error::Error;
pub use error_chain::error_chain;
pub use etag::{ETagCondition, EntityTag};
pub use event::stream::{EventStream, Events, StreamMessage};
pub use idempotency::replay::Idempotency;
pub use project::Projects;
pub use project::invitations::{InvitationEmail, Invitations};
pub use project::members::Members;
pub use response::Answer;
pub use task::Tasks;
pub use task::comments::Comments;
pub use unit_of_work::WriteContext;
pub use webhook::Webhooks;
pub use webhook::deliveries::{Deliveries, RetrySchedule};
pub use webhook::dispatch::DispatchResult;
pub use webhook::record::AttemptBatch;

use crate::contract::account::api_token::Scope;
use crate::contract::{ApiTokenId, SessionId, Timestamp, UserId};
pub use crate::repositories::KeyedRequest;
use crate::repositories::{Store, Transaction};
use crate::security::{AccessTokens, EndedSessions, Passwords, RevokedTokens, Sealer, Signer};
use crate::webhooks::Client;

/// Authenticated caller of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// User on whose behalf the request is made.
    pub user: UserId,
    /// Credential that authenticated the caller.
    pub credential: Credential,
    /// Expiry of the credential, if it expires.
    pub expires_at: Option<Timestamp>,
}

/// Credential that authenticated a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// Access token of a session.
    Session(SessionId),
    /// API token.
    ApiToken {
        /// ID of the token.
        id: ApiTokenId,
        /// True if the token has the scope `read`.
        can_read: bool,
        /// True if the token has the scope `write`.
        can_write: bool,
    },
}

impl Caller {
    /// Returns the session of the caller, if the caller uses one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(session) => Some(session),
            Credential::ApiToken { .. } => None,
        }
    }

    /// Refuses an API token that lacks a scope. Sessions have every scope.
    pub const fn require_scope(&self, scope: Scope) -> Result<(), Error> {
        match (self.credential, scope) {
            (Credential::ApiToken { can_read: false, .. }, Scope::Read)
            | (Credential::ApiToken { can_write: false, .. }, Scope::Write) => Err(Error::InsufficientScope(scope)),
            _ => Ok(()),
        }
    }

    /// Returns the session of the caller. Refuses API tokens.
    pub fn require_session(&self) -> Result<SessionId, Error> {
        self.session().ok_or(Error::SessionRequired)
    }
}

/// Settings of the operator that change the rules.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Lifetime of a refresh token.
    pub refresh_token: Duration,
    /// Period in which a used refresh token still returns its successor.
    pub refresh_grace: Duration,
    /// Period in which soft-deleted objects can be restored.
    pub retention: Duration,
    /// True if e-mail addresses must be verified; otherwise, all count as verified.
    pub require_verification: bool,
    /// True if the number of open event streams of a user is limited.
    pub limit_streams: bool,
    /// Maximum number of concurrent list reads per user, separately for indexed and unindexed reads.
    pub list_reads_per_user: usize,
}

/// Keys for signing and encryption.
pub struct Secrets {
    /// Signs access tokens.
    pub tokens: AccessTokens,
    /// Encrypts stored responses.
    pub sealer: Sealer,
    /// Signs cursors.
    pub signer: Signer,
}

/// Dependencies of webhook delivery.
pub struct WebhookDeps {
    /// HTTP client that sends the requests.
    pub client: Client,
    /// Encrypts webhook secrets.
    pub sealer: Sealer,
    /// Delays between delivery attempts.
    pub schedule: RetrySchedule,
}

/// State shared by all services.
pub(crate) struct ServiceContext {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: AccessTokens,
    pub(crate) sealer: Sealer,
    pub(crate) signer: Signer,
    pub(crate) ended_sessions: EndedSessions,
    pub(crate) revoked_tokens: RevokedTokens,
    pub(crate) event_hub: EventHub,
    pub(crate) policy: Policy,
    pub(crate) webhooks: WebhookDeps,
    delivery_limits: DeliveryLimits,
    read_limits: ReadLimits,
    key_locks: KeyLocks,
    last_ready: Mutex<Option<Instant>>,
}

/// Period in which a successful readiness check is reused.
const READINESS_TTL: Duration = Duration::from_secs(1);

impl ServiceContext {
    /// Commits a transaction that ends sessions, and revokes their access tokens.
    ///
    /// The sessions are recorded first: if the client disconnects now, this future is dropped and the database may
    /// commit all the same. Rejecting a token of a session that continues is the lesser evil.
    async fn commit_and_revoke(
        &self,
        transaction: Box<dyn Transaction>,
        sessions: &[SessionId],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.ended_sessions.insert(sessions.iter().copied(), now);
        let committed = transaction.commit().await;
        if committed.is_err() {
            self.ended_sessions.forget(sessions);
        }
        Ok(committed?)
    }

    /// Returns the time before which soft-deleted objects can no longer be restored.
    fn trash_cutoff(&self) -> Timestamp {
        self.clock.now() - self.policy.retention
    }
}

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
    /// Permanent deletion of accounts.
    pub account_purge: AccountPurge,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Webhook deliveries.
    pub deliveries: Deliveries,
    /// Replay of stored responses.
    pub idempotency: Idempotency,
    shared: Arc<ServiceContext>,
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
        let Secrets { tokens, sealer, signer } = secrets;
        let ended_sessions = EndedSessions::new(tokens.ttl());
        let revoked_tokens = RevokedTokens::new(event::stream::MAX_STREAM_DURATION);
        let event_hub = EventHub::new(Arc::clone(&store), policy.limit_streams);
        let shared = Arc::new(ServiceContext {
            store,
            clock,
            passwords,
            tokens,
            sealer,
            signer,
            ended_sessions,
            revoked_tokens,
            event_hub,
            policy,
            webhooks,
            delivery_limits: DeliveryLimits::default(),
            read_limits: ReadLimits::new(policy.list_reads_per_user),
            key_locks: KeyLocks::default(),
            last_ready: Mutex::default(),
        });
        Self {
            accounts: Accounts::new(Arc::clone(&shared)),
            profiles: Profiles::new(Arc::clone(&shared)),
            email_tokens: EmailTokens::new(Arc::clone(&shared)),
            sessions: Sessions::new(Arc::clone(&shared)),
            api_tokens: ApiTokens::new(Arc::clone(&shared)),
            digests: Digests::new(Arc::clone(&shared)),
            projects: Projects::new(Arc::clone(&shared)),
            members: Members::new(Arc::clone(&shared)),
            invitations: Invitations::new(Arc::clone(&shared)),
            tasks: Tasks::new(Arc::clone(&shared)),
            comments: Comments::new(Arc::clone(&shared)),
            events: Events::new(Arc::clone(&shared)),
            account_purge: AccountPurge::new(Arc::clone(&shared)),
            webhooks: Webhooks::new(Arc::clone(&shared)),
            deliveries: Deliveries::new(Arc::clone(&shared)),
            idempotency: Idempotency::new(Arc::clone(&shared)),
            shared,
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
        self.shared.policy.retention
    }

    /// Checks whether the database is ready.
    pub async fn check(&self) -> Result<(), Error> {
        // The check is public, so concurrent and frequent callers share one query.
        let mut last_ready = self.shared.last_ready.lock().await;
        if last_ready.is_none_or(|at| at.elapsed() >= READINESS_TTL) {
            *last_ready = None;
            self.shared.store.check().await.map_err(Error::NotReady)?;
            *last_ready = Some(Instant::now());
        }
        Ok(())
    }
}
