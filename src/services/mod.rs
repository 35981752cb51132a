//! The rules: what may be done, by whom, and what goes with it.
//!
//! One file per resource. A service method checks permission by `permissions`, opens at most one transaction, and
//! answers in the types of the contract. HTTP, the command line and the jobs all call the same methods; nothing
//! here knows how a request arrived.

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

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// What proves it.
    pub credential: Credential,
    /// When that ends, if it does by itself.
    pub expires_at: Option<Timestamp>,
}

/// What proves who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a session.
    Session(SessionId),
    /// An API token.
    ApiToken {
        /// Which.
        id: ApiTokenId,
        /// Whether it may be used to read.
        can_read: bool,
        /// Whether it may be used to change something.
        can_write: bool,
    },
}

impl Caller {
    /// The session, if it is one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(session) => Some(session),
            Credential::ApiToken { .. } => None,
        }
    }

    /// Refuses an API token that does not have a scope. A session has them all.
    pub const fn require_scope(&self, scope: Scope) -> Result<(), Error> {
        match (self.credential, scope) {
            (Credential::ApiToken { can_read: false, .. }, Scope::Read)
            | (Credential::ApiToken { can_write: false, .. }, Scope::Write) => Err(Error::InsufficientScope(scope)),
            _ => Ok(()),
        }
    }

    /// The session, for what a person does and no program may.
    pub fn require_session(&self) -> Result<SessionId, Error> {
        self.session().ok_or(Error::SessionRequired)
    }
}

/// What an operator decides.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long a refresh token is good.
    pub refresh_token: Duration,
    /// How long a used refresh token still answers with its successor.
    pub refresh_grace: Duration,
    /// How long something stays in the trash.
    pub retention: Duration,
    /// Whether an address must be proved by a mail; otherwise all count as proved.
    pub require_verification: bool,
    /// Whether a user may have only so many streams open.
    pub limit_streams: bool,
    /// Maximum number of lists of one user that are read at the same time: of those that an index serves, and of the
    /// others.
    pub list_reads_per_user: usize,
}

/// What is signed and encrypted with.
pub struct Secrets {
    /// Signs access tokens.
    pub tokens: AccessTokens,
    /// Encrypts stored answers.
    pub sealer: Sealer,
    /// Signs cursors.
    pub signer: Signer,
}

/// What webhooks take.
pub struct WebhookDeps {
    /// Sends requests.
    pub client: Client,
    /// Encrypts the secrets of webhooks.
    pub sealer: Sealer,
    /// When deliveries are apply_attempt.
    pub schedule: RetrySchedule,
}

/// What all services share.
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

/// How long it counts as known that requests can be served.
const READINESS_TTL: Duration = Duration::from_secs(1);

impl ServiceContext {
    /// Commits a transaction that ends sessions, so that their access tokens stop working whatever happens.
    ///
    /// They are noted before: a caller who goes away at this moment drops this future, and the database may commit all
    /// the same. A token that is refused although its session goes on is the smaller evil, and the one that was asked
    /// for.
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

    /// Since when something must have been deleted to be in the trash still.
    fn trash_cutoff(&self) -> Timestamp {
        self.clock.now() - self.policy.retention
    }
}

/// All services.
#[derive(Clone)]
pub struct Services {
    /// Registering, logging in and out, and who is calling.
    pub accounts: Accounts,
    /// What users do with their own account.
    pub profiles: Profiles,
    /// Proving an address, and getting back into an account.
    pub email_tokens: EmailTokens,
    /// The places where an account is in use.
    pub sessions: Sessions,
    /// Tokens for programs.
    pub api_tokens: ApiTokens,
    /// The weekly digest.
    pub digests: Digests,
    /// Projects.
    pub projects: Projects,
    /// The people in projects.
    pub members: Members,
    /// Invitations into projects.
    pub invitations: Invitations,
    /// Tasks.
    pub tasks: Tasks,
    /// Comments on tasks.
    pub comments: Comments,
    /// The feed.
    pub events: Events,
    /// Removing accounts for good.
    pub account_purge: AccountPurge,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// What webhooks were and are to be told.
    pub deliveries: Deliveries,
    /// Answers to requests that were answered before.
    pub idempotency: Idempotency,
    shared: Arc<ServiceContext>,
}

impl Services {
    /// Builds the services over what they need.
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

    /// Finds out who is calling, by an access token or an API token.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        if ApiTokens::has_token_prefix(token) {
            self.api_tokens.authenticate(token).await
        } else {
            self.accounts.authenticate(token)
        }
    }

    /// How long something stays in the trash.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.shared.policy.retention
    }

    /// Finds out whether requests can be served.
    pub async fn check(&self) -> Result<(), Error> {
        // Anybody may ask, as often as they like: one look serves all who ask within its time.
        let mut last_ready = self.shared.last_ready.lock().await;
        if last_ready.is_none_or(|at| at.elapsed() >= READINESS_TTL) {
            *last_ready = None;
            self.shared.store.check().await.map_err(Error::NotReady)?;
            *last_ready = Some(Instant::now());
        }
        Ok(())
    }
}
