//! Background jobs, which are enqueued in the transaction of their cause.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

use crate::contract::{ApiTokenId, InvitationId, ProjectId, UserId, WebhookId};

/// A job. The names of the variant and of its fields are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Job {
    /// Sends the welcome e-mail.
    WelcomeEmail {
        /// The new user.
        user: UserId,
    },
    /// Sends the link that verifies an address.
    VerificationEmail {
        /// The owner of the address.
        user: UserId,
    },
    /// Sends the link that resets a password.
    PasswordResetEmail {
        /// The recipient; `None` for an unknown address, so that both take equally long.
        user: Option<UserId>,
    },
    /// Sends an invitation into a project.
    InvitationEmail {
        /// The invitation.
        invitation: InvitationId,
    },
    /// Sends the due deliveries of a webhook.
    DeliverWebhook {
        /// The webhook.
        webhook: WebhookId,
    },
    /// Notifies the owner of a webhook that was disabled.
    WebhookDisabledEmail {
        /// The webhook.
        webhook: WebhookId,
    },
    /// Notifies a user of many failed logins.
    FailedLoginsEmail {
        /// The owner of the account; `None` for an unknown address, so that both take equally long.
        user: Option<UserId>,
        /// The time of the last failure, in milliseconds since 1970.
        at: i64,
        /// The end of the window in which failures are counted, in milliseconds since 1970.
        window_ends_at: i64,
    },
    /// Notifies a user that the password was changed.
    PasswordChangedEmail {
        /// The owner of the account.
        user: UserId,
        /// The time of the change, in milliseconds since 1970.
        at: i64,
        /// True if the change also revoked API tokens, webhooks and invitations.
        revoked_all: bool,
    },
    /// Notifies a user that the password was reset.
    PasswordResetDoneEmail {
        /// The owner of the account.
        user: UserId,
        /// The time of the reset, in milliseconds since 1970.
        at: i64,
    },
    /// Notifies a user of a new API token.
    ApiTokenCreatedEmail {
        /// The owner of the account.
        user: UserId,
        /// The new token.
        api_token: ApiTokenId,
        /// The time of its creation, in milliseconds since 1970.
        at: i64,
    },
    /// Notifies a user of a new webhook, or of a changed webhook URL.
    WebhookCreatedEmail {
        /// The owner of the account.
        user: UserId,
        /// The webhook.
        webhook: WebhookId,
        /// The time of the change, in milliseconds since 1970.
        at: i64,
    },
    /// Marks overdue invitations as expired.
    ExpireInvitations {},
    /// Recalculates the completion percentage of a project.
    RecalculateCompletion {
        /// The project.
        project: ProjectId,
    },
    /// Unassigns the remaining tasks of a removed member.
    UnassignTasks {
        /// The project.
        project: ProjectId,
        /// The removed member.
        user: UserId,
        /// The user who removed the member.
        actor: UserId,
    },
    /// Deletes or restores the remaining projects of an account that was soft-deleted or restored.
    ApplyAccountState {
        /// The owner of the account.
        user: UserId,
    },
    /// Enqueues the weekly digests that are due.
    PlanDigests {},
    /// Sends a weekly digest.
    WeeklyDigest {
        /// The recipient.
        user: UserId,
        /// Monday, 08:00 in the user's time zone, in milliseconds since 1970.
        moment: i64,
    },
    /// Purges resources whose time in the trash is over.
    PurgeDeleted {},
    /// Prunes expired rows, and restarts stalled webhooks.
    Prune {},
    /// Encrypts what the previous encryption key has encrypted with the current one.
    ReencryptSecrets {},
}

/// A queue of jobs with workers of its own, so that slow jobs delay no others. The names of the variants are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Queue {
    /// Jobs that only use the database.
    Default,
    /// Jobs that wait for the mail server.
    Mail,
    /// Deliveries to webhooks.
    Webhooks,
    /// Deliveries to webhooks whose last attempts failed or were slow.
    WebhooksDegraded,
}

impl Queue {
    /// All queues.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the stored name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Deduplication of a job, by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dedup {
    /// No deduplication.
    None,
    /// At most one pending job per key.
    WhilePending(String),
    /// At most one unfinished job per key; enqueueing it revives a dead one.
    WhileUnfinished(String),
    /// At most one job per key, ever.
    Forever(String),
}

impl Job {
    /// Names of all kinds.
    pub const KINDS: &[&str] = Self::VARIANTS;

    /// Returns the name of the kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Returns the queue of the job.
    #[must_use]
    pub const fn queue(&self) -> Queue {
        match self {
            Self::WelcomeEmail { .. }
            | Self::VerificationEmail { .. }
            | Self::PasswordResetEmail { .. }
            | Self::InvitationEmail { .. }
            | Self::WebhookDisabledEmail { .. }
            | Self::FailedLoginsEmail { .. }
            | Self::PasswordChangedEmail { .. }
            | Self::PasswordResetDoneEmail { .. }
            | Self::ApiTokenCreatedEmail { .. }
            | Self::WebhookCreatedEmail { .. }
            | Self::WeeklyDigest { .. } => Queue::Mail,
            Self::DeliverWebhook { .. } => Queue::Webhooks,
            Self::RecalculateCompletion { .. }
            | Self::UnassignTasks { .. }
            | Self::ApplyAccountState { .. }
            | Self::ExpireInvitations {}
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {}
            | Self::ReencryptSecrets {} => Queue::Default,
        }
    }

    /// Returns the user whose job it is; the job is removed with the account.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::WelcomeEmail { user }
            | Self::VerificationEmail { user }
            | Self::PasswordChangedEmail { user, .. }
            | Self::PasswordResetDoneEmail { user, .. }
            | Self::ApiTokenCreatedEmail { user, .. }
            | Self::WebhookCreatedEmail { user, .. }
            | Self::WeeklyDigest { user, .. }
            | Self::ApplyAccountState { user } => Some(*user),
            Self::PasswordResetEmail { user } | Self::FailedLoginsEmail { user, .. } => *user,
            Self::InvitationEmail { .. }
            | Self::DeliverWebhook { .. }
            | Self::WebhookDisabledEmail { .. }
            | Self::ExpireInvitations {}
            | Self::RecalculateCompletion { .. }
            | Self::UnassignTasks { .. }
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {}
            | Self::ReencryptSecrets {} => None,
        }
    }

    /// Returns how the job is deduplicated.
    #[must_use]
    pub fn dedup(&self) -> Dedup {
        let kind = self.kind();
        match self {
            Self::DeliverWebhook { webhook } => Dedup::WhileUnfinished(format!("{kind} {webhook}")),
            Self::VerificationEmail { user } | Self::PasswordResetEmail { user: Some(user) } => {
                Dedup::WhilePending(format!("{kind} {user}"))
            }
            Self::FailedLoginsEmail { user: Some(user), window_ends_at, .. } => {
                Dedup::Forever(format!("{kind} {user} {window_ends_at}"))
            }
            Self::RecalculateCompletion { project } => Dedup::WhilePending(format!("{kind} {project}")),
            Self::UnassignTasks { project, user, .. } => Dedup::WhilePending(format!("{kind} {project} {user}")),
            Self::ApplyAccountState { user } => Dedup::WhilePending(format!("{kind} {user}")),
            Self::WeeklyDigest { user, moment } => Dedup::Forever(format!("{kind} {user} {}", week(*moment))),
            Self::ExpireInvitations {}
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {}
            | Self::ReencryptSecrets {} => Dedup::WhilePending(kind.to_owned()),
            // Each of the other e-mails is sent.
            _ => Dedup::None,
        }
    }
}

/// Number of the week whose Monday, 08:00, is at this time in some time zone.
///
/// All time zones share the number, so a user who changes the time zone on a Monday gets one digest for the week.
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
            Job::FailedLoginsEmail { user: Some(user), at: 7, window_ends_at: 8 },
            Job::PasswordChangedEmail { user, at: 7, revoked_all: true },
            Job::PasswordResetDoneEmail { user, at: 7 },
            Job::ApiTokenCreatedEmail { user, api_token: ApiTokenId::generate(), at: 7 },
            Job::WebhookCreatedEmail { user, webhook: WebhookId::generate(), at: 7 },
            Job::ExpireInvitations {},
            Job::RecalculateCompletion { project: ProjectId::generate() },
            Job::UnassignTasks { project: ProjectId::generate(), user, actor: user },
            Job::ApplyAccountState { user },
            Job::PlanDigests {},
            Job::WeeklyDigest { user, moment: 7 },
            Job::PurgeDeleted {},
            Job::Prune {},
            Job::ReencryptSecrets {},
        ] {
            let stored = serde_json::to_value(job).unwrap();
            assert_eq!(stored["kind"], job.kind());
            assert_eq!(serde_json::from_value::<Job>(stored).unwrap(), job);
        }
    }
}
