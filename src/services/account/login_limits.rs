//! Limits on failed logins.
//!
//! Failures are counted by account and client network, so that a stranger who guesses locks out only their own network.
//! If an account has too many failures from everywhere, only networks from which its owner has logged in may go on. An
//! attempt is counted before its password is verified, which bounds concurrent guesses, and taken back if it succeeds.
//! Accounts are counted by address, whether or not one exists.
//!
//! The counters are in the database: they survive a restart, and several processes share them.

use std::net::IpAddr;
use std::time::Duration;

use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::strings::Email;
use crate::contract::{Timestamp, UserId};
use crate::repositories::{CounterKey, Credentials, Job, StoreError, Transaction, WindowCount};
use crate::security::ClientNetwork;
use crate::services::mail_budget::{MailBudget, MailRecipient};
use crate::services::{Error, NewAuditEntry, RequestMetadata, ServiceContext};

/// Period after the last login in which a network is known.
pub const KNOWN_ADDRESS_TTL: Duration = Duration::from_hours(30 * 24);

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Number of failures within an hour after which the owner is notified.
const NOTICE_THRESHOLD: u64 = 20;

/// A login that was counted as a failure until it succeeds.
pub(crate) struct LoginAttempt {
    by_network: CounterKey,
    by_account: CounterKey,
    /// Failures of the account within the hour, including this attempt.
    failures: WindowCount,
}

impl ServiceContext {
    /// Loads the highest cost of the stored passwords, once: unknown accounts must take as long as any known one.
    pub(crate) async fn note_password_costs(&self) -> Result<(), StoreError> {
        let load = async || {
            if let Some(cost) = self.store.read().users().find_max_password_cost().await? {
                self.passwords.note_cost(cost);
            }
            Ok(())
        };
        self.password_costs.get_or_try_init(load).await.copied()
    }

    /// Counts a login, or refuses it.
    pub(crate) async fn begin_login(
        &self,
        email: &Email,
        user: Option<UserId>,
        client: &RequestMetadata,
    ) -> Result<LoginAttempt, Error> {
        let now = self.clock.now();
        let limits = self.policy.limits;
        let network = client.network().map(|network| network.to_string()).unwrap_or_default();
        let by_network = self.keyed_hash(&format!("login {network} {}", &**email));
        let by_account = self.keyed_hash(&format!("login  {}", &**email));
        let transaction = self.store.begin().await?;
        let minute = transaction.counters().increment(&by_network, MINUTE, now).await?;
        refuse_beyond(limits.login_failures_per_minute, minute, now)?;
        let failures = transaction.counters().increment(&by_account, HOUR, now).await?;
        if !self.is_known_address(&*transaction, user, client.address, now).await? {
            refuse_beyond(limits.login_failures_per_hour, failures, now)?;
        }
        transaction.commit().await?;
        Ok(LoginAttempt { by_network, by_account, failures })
    }

    /// Takes back the count of a login that succeeded.
    pub(crate) async fn refund_login(
        &self,
        transaction: &dyn Transaction,
        attempt: &LoginAttempt,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transaction.counters().decrement(&attempt.by_network, now).await?;
        transaction.counters().decrement(&attempt.by_account, now).await
    }

    /// Records a login that failed, and notifies the owner of an account with many of them, once per hour.
    ///
    /// Both happen even without an account, so that both cases take equally long.
    pub(crate) async fn record_failed_login(
        &self,
        attempt: &LoginAttempt,
        email: &Email,
        account: Option<&Credentials>,
        client: &RequestMetadata,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let user = account.map(|account| account.user.id);
        let transaction = self.store.begin().await?;
        let entry = NewAuditEntry::by_stranger(AuditEntryType::LoginFailed, user, client);
        self.audit(&*transaction, entry, now).await?;
        if attempt.failures.count >= NOTICE_THRESHOLD {
            let notice = Job::FailedLoginsEmail { user, at: now.0, window_ends_at: attempt.failures.ends_at.0 };
            let to = account.map_or_else(
                || MailRecipient::no_account(email),
                |account| MailRecipient::owner(&account.user, MailBudget::FailedLogins),
            );
            self.enqueue_mail(&*transaction, &notice, to, now).await?;
        }
        transaction.commit().await
    }

    /// Records that the owner of an account used a network.
    pub(crate) async fn add_known_address(
        &self,
        transaction: &dyn Transaction,
        user: UserId,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match client {
            Some(address) => {
                transaction.known_addresses().add(user, &self.keyed_hash(&network_key(address)), now).await
            }
            None => Ok(()),
        }
    }

    /// Returns whether the owner of an account has logged in from the network of a client.
    pub(crate) async fn is_known_address(
        &self,
        transaction: &dyn Transaction,
        user: Option<UserId>,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(address) = client else { return Ok(false) };
        // Without an account, the query takes equally long and finds nothing.
        let user = user.unwrap_or(UserId(uuid::Uuid::nil()));
        let network = network_key(address);
        // Logins before the rotation of the key are known by the hash of the previous one.
        for hash in [Some(self.keyed_hash(&network)), self.previous_keyed_hash(&network)].into_iter().flatten() {
            let last_login = transaction.known_addresses().find(user, &hash).await?;
            if last_login.is_some_and(|at| at + KNOWN_ADDRESS_TTL > now) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn network_key(address: IpAddr) -> String {
    format!("network {}", ClientNetwork::household(address))
}

fn refuse_beyond(limit: u64, used: WindowCount, now: Timestamp) -> Result<(), Error> {
    if limit == 0 || used.count <= limit {
        return Ok(());
    }
    let retry_after = now.until(used.ends_at);
    let message = "Too many failed logins. Try again later, or reset the password.".to_owned();
    Err(Error::RateLimited { limit, retry_after, message })
}
