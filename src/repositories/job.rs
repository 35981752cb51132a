//! Jobs: work that is promised in the transaction of its cause, and done after it. How they wait and are done is in
//! `queue`.

use serde::{Deserialize, Serialize};

use crate::contract::{ApiTokenId, InvitationId, ProjectId, UserId, WebhookId};

/// What is to be done. The name of the variant and its fields are what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case")]
pub enum Job {
    /// Welcome a new user by mail.
    WelcomeEmail {
        /// Whom.
        user: UserId,
    },
    /// Mail the link that proves an address.
    VerificationEmail {
        /// To whom.
        user: UserId,
    },
    /// Mail the link that sets another password.
    PasswordResetEmail {
        /// To whom; nobody where the address that was asked for has no account, so that both take as long.
        user: Option<UserId>,
    },
    /// Mail an invitation into a project.
    InvitationEmail {
        /// Which.
        invitation: InvitationId,
    },
    /// Send a webhook what is due.
    DeliverWebhook {
        /// Which webhook.
        webhook: WebhookId,
    },
    /// Mail that a webhook was disabled.
    WebhookDisabledEmail {
        /// Which webhook.
        webhook: WebhookId,
    },
    /// Notify a user that the password was changed.
    PasswordChangedEmail {
        /// The owner of the account.
        user: UserId,
        /// The time of the change, in milliseconds since 1970.
        at: i64,
        /// True if the change also revoked API tokens, webhooks and invitations.
        revoked_all: bool,
    },
    /// Notify a user that the password was reset.
    PasswordResetDoneEmail {
        /// The owner of the account.
        user: UserId,
        /// The time of the reset, in milliseconds since 1970.
        at: i64,
    },
    /// Notify a user of a new API token.
    ApiTokenCreatedEmail {
        /// The owner of the account.
        user: UserId,
        /// The new token.
        api_token: ApiTokenId,
        /// The time of its creation, in milliseconds since 1970.
        at: i64,
    },
    /// Notify a user of a webhook that sends to a new address: a new one, or one whose URL was changed.
    WebhookCreatedEmail {
        /// The owner of the account.
        user: UserId,
        /// The webhook.
        webhook: WebhookId,
        /// The time of the change, in milliseconds since 1970.
        at: i64,
    },
    /// Note which invitations were not answered in time.
    ExpireInvitations {},
    /// Compute how much of a project is done.
    RecalculateCompletion {
        /// Which project.
        project: ProjectId,
    },
    /// Make a digest for everybody for whom it is time.
    PlanDigests {},
    /// Mail the digest of a week.
    WeeklyDigest {
        /// To whom.
        user: UserId,
        /// The moment that the digest is for, in milliseconds since 1970: Monday, 08:00 where the user lives.
        moment: i64,
    },
    /// Remove for good what was in the trash for long enough.
    PurgeDeleted {},
    /// Remove what has served its purpose: keys, tokens, sessions, replaced secrets, jobs, events, deliveries; and have
    /// webhooks go on that wait in vain.
    Prune {},
}

/// Jobs that share workers, so that those who wait for somebody outside hold up nobody else. How many workers each queue
/// has is told by the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// What is done in the database.
    Default,
    /// What waits for a mail server.
    Mail,
    /// What waits for receivers of webhooks.
    Webhooks,
    /// What waits for those that did not answer well or soon the last time.
    WebhooksDegraded,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Mail, Self::Webhooks, Self::WebhooksDegraded];

    /// The word by which it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mail => "mail",
            Self::Webhooks => "webhooks",
            Self::WebhooksDegraded => "webhooks_degraded",
        }
    }

    /// The queue of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == word)
    }
}

/// How a job is kept from being there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dedup {
    /// It is not.
    None,
    /// One with this key waits at a time: a second would do what the first is going to do anyway.
    WhilePending(String),
    /// One with this key is there at a time. A second lets it run earlier, if it waits; one that runs looks before its
    /// end whether there is more to do; one that is dead comes back.
    WhileUnfinished(String),
    /// One with this key, ever: a second would do harm.
    Forever(String),
}

impl Job {
    /// The names of all kinds that this program knows.
    pub const KINDS: [&str; 16] = [
        "welcome_email",
        "verification_email",
        "password_reset_email",
        "invitation_email",
        "deliver_webhook",
        "webhook_disabled_email",
        "password_changed_email",
        "password_reset_done_email",
        "api_token_created_email",
        "webhook_created_email",
        "expire_invitations",
        "recalculate_completion",
        "plan_digests",
        "weekly_digest",
        "purge_deleted",
        "prune",
    ];

    /// The name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        let [welcome, verification, reset, invitation, deliver, disabled, others @ ..] = Self::KINDS;
        let [password_changed, reset_done, token_created, webhook_created, others @ ..] = others;
        let [expire, recalculate, plan, digest, purge, prune] = others;
        match self {
            Self::WelcomeEmail { .. } => welcome,
            Self::VerificationEmail { .. } => verification,
            Self::PasswordResetEmail { .. } => reset,
            Self::InvitationEmail { .. } => invitation,
            Self::DeliverWebhook { .. } => deliver,
            Self::WebhookDisabledEmail { .. } => disabled,
            Self::PasswordChangedEmail { .. } => password_changed,
            Self::PasswordResetDoneEmail { .. } => reset_done,
            Self::ApiTokenCreatedEmail { .. } => token_created,
            Self::WebhookCreatedEmail { .. } => webhook_created,
            Self::ExpireInvitations {} => expire,
            Self::RecalculateCompletion { .. } => recalculate,
            Self::PlanDigests {} => plan,
            Self::WeeklyDigest { .. } => digest,
            Self::PurgeDeleted {} => purge,
            Self::Prune {} => prune,
        }
    }

    /// Which workers do it.
    #[must_use]
    pub const fn queue(&self) -> Queue {
        match self {
            Self::WelcomeEmail { .. }
            | Self::VerificationEmail { .. }
            | Self::PasswordResetEmail { .. }
            | Self::InvitationEmail { .. }
            | Self::WebhookDisabledEmail { .. }
            | Self::PasswordChangedEmail { .. }
            | Self::PasswordResetDoneEmail { .. }
            | Self::ApiTokenCreatedEmail { .. }
            | Self::WebhookCreatedEmail { .. }
            | Self::WeeklyDigest { .. } => Queue::Mail,
            Self::DeliverWebhook { .. } => Queue::Webhooks,
            Self::RecalculateCompletion { .. }
            | Self::ExpireInvitations {}
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {} => Queue::Default,
        }
    }

    /// Whose job it is: it goes when the account goes.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::WelcomeEmail { user }
            | Self::VerificationEmail { user }
            | Self::PasswordChangedEmail { user, .. }
            | Self::PasswordResetDoneEmail { user, .. }
            | Self::ApiTokenCreatedEmail { user, .. }
            | Self::WebhookCreatedEmail { user, .. }
            | Self::WeeklyDigest { user, .. } => Some(*user),
            Self::PasswordResetEmail { user } => *user,
            Self::InvitationEmail { .. }
            | Self::DeliverWebhook { .. }
            | Self::WebhookDisabledEmail { .. }
            | Self::ExpireInvitations {}
            | Self::RecalculateCompletion { .. }
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {} => None,
        }
    }

    /// How it is kept from being there twice.
    #[must_use]
    pub fn dedup(&self) -> Dedup {
        let kind = self.kind();
        match self {
            Self::WelcomeEmail { .. }
            | Self::InvitationEmail { .. }
            | Self::WebhookDisabledEmail { .. }
            | Self::PasswordChangedEmail { .. }
            | Self::PasswordResetDoneEmail { .. }
            | Self::ApiTokenCreatedEmail { .. }
            | Self::WebhookCreatedEmail { .. }
            | Self::PasswordResetEmail { user: None } => Dedup::None,
            Self::DeliverWebhook { webhook } => Dedup::WhileUnfinished(format!("{kind} {webhook}")),
            Self::VerificationEmail { user } | Self::PasswordResetEmail { user: Some(user) } => {
                Dedup::WhilePending(format!("{kind} {user}"))
            }
            Self::RecalculateCompletion { project } => Dedup::WhilePending(format!("{kind} {project}")),
            Self::WeeklyDigest { user, moment } => Dedup::Forever(format!("{kind} {user} {}", week(*moment))),
            Self::ExpireInvitations {} | Self::PlanDigests {} | Self::PurgeDeleted {} | Self::Prune {} => {
                Dedup::WhilePending(kind.to_owned())
            }
        }
    }
}

/// The number of a week that has a Monday at about this moment, wherever that is.
///
/// Monday, 08:00, is between Sunday, 18:00, and Monday, 20:00, in UTC. So whoever moves to another time zone on a
/// Monday does not get the digest of the same week again.
const fn week(moment: i64) -> i64 {
    const DAY: i64 = 86_400_000;
    // 1970-01-01 was a Thursday.
    (moment + 5 * DAY).div_euclid(7 * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Timestamp;

    #[test]
    fn a_week_is_the_same_on_both_sides_of_the_world() {
        let at = |text| Timestamp::parse(text).unwrap().0;
        // Monday, 08:00, in Kiritimati (UTC+14), in London, and in Niue (UTC-11).
        let [east, middle, west] = ["2026-11-22T18:00:00Z", "2026-11-23T08:00:00Z", "2026-11-23T19:00:00Z"].map(at);
        assert_eq!(week(east), week(middle));
        assert_eq!(week(middle), week(west));
        for day in 1..7 {
            assert!(week(middle + day * 86_400_000) <= week(middle) + 1);
        }
        assert_eq!(week(middle + 7 * 86_400_000), week(middle) + 1);
    }

    #[test]
    fn what_is_stored_has_the_published_names() {
        let user = UserId::generate();
        let stored = serde_json::to_value(Job::WelcomeEmail { user }).unwrap();
        assert_eq!(stored, serde_json::json!({"kind": "welcome_email", "payload": {"user": user.to_string()}}));
        for job in [
            Job::WelcomeEmail { user },
            Job::VerificationEmail { user },
            Job::PasswordResetEmail { user: None },
            Job::InvitationEmail { invitation: InvitationId::generate() },
            Job::DeliverWebhook { webhook: WebhookId::generate() },
            Job::WebhookDisabledEmail { webhook: WebhookId::generate() },
            Job::PasswordChangedEmail { user, at: 7, revoked_all: true },
            Job::PasswordResetDoneEmail { user, at: 7 },
            Job::ApiTokenCreatedEmail { user, api_token: ApiTokenId::generate(), at: 7 },
            Job::WebhookCreatedEmail { user, webhook: WebhookId::generate(), at: 7 },
            Job::ExpireInvitations {},
            Job::RecalculateCompletion { project: ProjectId::generate() },
            Job::PlanDigests {},
            Job::WeeklyDigest { user, moment: 7 },
            Job::PurgeDeleted {},
            Job::Prune {},
        ] {
            let stored = serde_json::to_value(job).unwrap();
            assert_eq!(stored["kind"], job.kind());
            assert_eq!(serde_json::from_value::<Job>(stored).unwrap(), job);
        }
    }
}
