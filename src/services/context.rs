//! State and settings shared by all services.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::clock::Clock;
use super::error::Error;
use super::keyed_semaphores::KeyedSemaphores;
use super::quotas::Quotas;
use super::read_limits::{LimitedRead, ReadLimits};
use crate::contract::{SessionId, Timestamp, UserId};
use crate::repositories::{Store, Transaction};
use crate::security::{AccessTokens, EndedSessions, Passwords, RevokedTokens, Sealer, Signer};
use crate::webhooks::Client;

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
    pub has_stream_limit: bool,
    /// Limits on what a user may store.
    pub quotas: Quotas,
    /// Maximum number of concurrent list reads per user, indexed and unindexed each.
    pub list_reads_per_user: usize,
    /// Limits on mail and logins.
    pub limits: AccountLimits,
}

/// Limits on mail and logins; 0 disables one.
#[derive(Debug, Clone, Copy)]
pub struct AccountLimits {
    /// Mails per recipient and hour.
    pub mail_per_hour: u64,
    /// Mails per recipient and day.
    pub mail_per_day: u64,
    /// Invitations per user and day.
    pub invitations_per_day: u64,
    /// Failed logins per minute, account and client network.
    pub login_failures_per_minute: u64,
    /// Failed logins per hour and account, from unknown networks.
    pub login_failures_per_hour: u64,
}

/// Keys for signing and encryption.
pub struct Secrets {
    /// Signs access tokens.
    pub tokens: AccessTokens,
    /// Encrypts stored responses.
    pub sealer: Sealer,
    /// Signs cursors.
    pub signer: Signer,
    /// Hashes the keys of counters.
    pub key_hasher: Signer,
}

/// Rates of deliveries; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryRates {
    /// Maximum number of deliveries to a host in a second, over all users.
    pub per_host_per_second: usize,
    /// Maximum number of deliveries of a user in a minute.
    pub per_user_per_minute: usize,
}

/// Dependencies of webhook delivery.
pub struct WebhookDeps {
    /// HTTP client that sends the requests.
    pub client: Client,
    /// Encrypts webhook secrets.
    pub sealer: Sealer,
    /// Rates of deliveries.
    pub rates: DeliveryRates,
    /// Delay before each attempt of a delivery.
    pub retry_delays: Vec<Duration>,
}

/// State shared by all services.
pub(crate) struct ServiceContext {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) passwords: Passwords,
    /// Set once the highest cost of the stored passwords is known.
    pub(crate) password_costs: OnceCell<()>,
    pub(crate) tokens: AccessTokens,
    pub(crate) sealer: Sealer,
    pub(crate) signer: Signer,
    pub(crate) key_hasher: Signer,
    pub(crate) ended_sessions: EndedSessions,
    pub(crate) revoked_tokens: RevokedTokens,
    pub(crate) policy: Policy,
    pub(crate) webhooks: WebhookDeps,
    pub(crate) read_limits: ReadLimits,
    /// Locks of the idempotency keys whose requests are running.
    pub(crate) key_locks: KeyedSemaphores<(UserId, String)>,
}

impl ServiceContext {
    /// Commits a transaction that ends sessions, and revokes their access tokens.
    ///
    /// The sessions are recorded first: if the client disconnects now, this future is dropped and the database may
    /// commit all the same. Rejecting a token of a session that continues is the lesser evil.
    pub(crate) async fn commit_and_revoke(
        &self,
        transaction: Box<dyn Transaction>,
        sessions: &[SessionId],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.ended_sessions.insert(sessions.iter().copied(), now);
        let committed = transaction.commit().await;
        if committed.is_err() {
            self.ended_sessions.remove(sessions);
        }
        Ok(committed?)
    }

    /// Hashes a text that must not be readable in the database, such as an address. It begins with its purpose.
    pub(crate) fn keyed_hash(&self, text: &str) -> [u8; 16] {
        self.key_hasher.sign(&[0; 32], text.as_bytes())
    }

    /// Returns the hash of the same text by the previous key, if there is one.
    pub(crate) fn previous_keyed_hash(&self, text: &str) -> Option<[u8; 16]> {
        self.key_hasher.previous_signature(&[0; 32], text.as_bytes())
    }

    /// Returns the time before which soft-deleted objects can no longer be restored.
    pub(crate) fn trash_cutoff(&self) -> Timestamp {
        self.clock.now() - self.policy.retention
    }

    /// Returns repositories for a list that an index serves.
    pub(crate) async fn read_indexed(&self, user: UserId) -> Result<LimitedRead<'_>, Error> {
        Ok(LimitedRead::new(self.store.read(), self.read_limits.indexed.acquire(user).await?))
    }

    /// Returns repositories for a list that no index serves.
    pub(crate) async fn read_unindexed(&self, user: UserId) -> Result<LimitedRead<'_>, Error> {
        Ok(LimitedRead::new(self.store.read_unindexed(), self.read_limits.unindexed.acquire(user).await?))
    }
}
