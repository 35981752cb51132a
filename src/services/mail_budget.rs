//! Budgets of mail per recipient, spent in the transaction that enqueues a mail.
//!
//! Mail that strangers can cause shares one budget per address, over all kinds and senders. Mail that only the owner of
//! a verified address causes has budgets of its own. With a single budget, a stranger could request resets to suppress
//! the notice of a changed password. The weekly digest has no budget, because it has a schedule.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::context::ServiceContext;
use super::error::Error;
use crate::contract::account::user::User;
use crate::contract::{Timestamp, UserId};
use crate::repositories::{CounterKey, Job, StoreError, Transaction};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Number of mails that were dropped since the start of the process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// A budget of mail to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailBudget {
    /// Mail that anyone can cause: invitations, registrations and password resets.
    Anyone,
    /// Mail that only the owner of the account causes.
    Owner,
    /// Notices of a new password.
    Password,
    /// Notices of failed logins, at most one per hour.
    FailedLogins,
    /// Mail that is never sent, because the address has no account. It is counted so that both cases take equally long.
    NoAccount,
}

impl MailBudget {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Owner => "owner",
            Self::Password => "password",
            Self::FailedLogins => "failed_logins",
            Self::NoAccount => "no_account",
        }
    }
}

/// A recipient, with the budget of the mail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MailRecipient<'a> {
    email: &'a str,
    budget: MailBudget,
}

impl<'a> MailRecipient<'a> {
    /// Creates a recipient of mail that anyone can cause.
    pub(crate) const fn stranger(email: &'a str) -> Self {
        Self { email, budget: MailBudget::Anyone }
    }

    /// Creates the owner of a verified address.
    pub(crate) const fn verified(email: &'a str, budget: MailBudget) -> Self {
        Self { email, budget }
    }

    /// Creates a recipient without an account.
    pub(crate) const fn no_account(email: &'a str) -> Self {
        Self { email, budget: MailBudget::NoAccount }
    }

    /// Creates a recipient of mail about the own account. The address may belong to another person until it is verified.
    pub(crate) fn owner(user: &'a User, budget: MailBudget) -> Self {
        Self { email: &user.email, budget: if user.email_verified { budget } else { MailBudget::Anyone } }
    }
}

impl ServiceContext {
    /// Enqueues a mail, or drops it if the budget of its recipient is used up. The caller does not learn which.
    pub(crate) async fn enqueue_mail(
        &self,
        transaction: &dyn Transaction,
        job: &Job,
        to: MailRecipient<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let windows = [("hour", HOUR, self.policy.limits.mail_per_hour), ("day", DAY, self.policy.limits.mail_per_day)];
        let mut spent: Vec<CounterKey> = Vec::new();
        for (name, window, limit) in windows.into_iter().filter(|(_, _, limit)| *limit > 0) {
            let key = self.keyed_hash(&format!("mail {} {name} {}", to.budget.as_str(), to.email));
            if transaction.counters().increment(&key, window, now).await?.count > limit {
                let total = DROPPED.fetch_add(1, Ordering::Relaxed) + 1;
                let (kind, budget) = (job.kind(), to.budget.as_str());
                tracing::info!(mail.kind = kind, mail.budget = budget, mail.dropped_total = total, "mail dropped");
                return Ok(());
            }
            spent.push(key);
        }
        if !transaction.jobs().enqueue(job, now, now).await? {
            // The same mail is already waiting.
            for key in spent {
                transaction.counters().decrement(&key, now).await?;
            }
        }
        Ok(())
    }

    /// Counts an invitation of a user, or refuses it.
    pub(crate) async fn spend_invitation(
        &self,
        transaction: &dyn Transaction,
        user: UserId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let limit = self.policy.limits.invitations_per_day;
        if limit == 0 {
            return Ok(());
        }
        let key = self.keyed_hash(&format!("invitations {user}"));
        let counter = transaction.counters().increment(&key, DAY, now).await?;
        if counter.count <= limit {
            return Ok(());
        }
        let message = format!("You have sent {limit} invitations within a day, which is the maximum. Try again later.");
        Err(Error::RateLimited { limit, retry_after: now.until(counter.ends_at), message })
    }
}
