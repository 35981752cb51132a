//! Work that was promised in the transaction of its cause, and is done after it.
//!
//! `runner` takes jobs from the queue in storage and sees to it that each is done, put off or buried; `schedule`
//! promises those that come by the clock; every other file is what one kind of job does. A job whose effect is in the
//! database commits it together with its own end, so it happens once. One that reaches outside, as a mail does, happens
//! at least once: the end is noted after it.

mod assignment;
mod deliver_webhook;
mod digests;
mod expire_invitations;
mod mails;
mod prune;
mod purge_deleted;
mod recalculate_completion;
mod runner;
mod schedule;
mod security_notices;

use async_trait::async_trait;

use crate::contract::Timestamp;
use crate::mail::{Links, Mailer};
use crate::repositories::Job;
use crate::services::Services;

pub use assignment::{Assignment, Failure};
pub use runner::{Pace, Runner};
pub use schedule::Schedule;

/// A log filter for the libraries below, which tell of their own beginning and end.
pub const QUIET_LIBRARIES: &str = "tokio_cron_scheduler=warn";

/// Does jobs.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Does one, and commits its end.
    async fn handle(&self, job: Job, assignment: &Assignment) -> Result<(), Failure>;
}

/// Does all the jobs that there are.
pub struct Work {
    services: Services,
    mailer: Mailer,
    links: Links,
}

impl Work {
    /// Works by these rules, and sends by this mailer mails with these links.
    #[must_use]
    pub const fn new(services: Services, mailer: Mailer, links: Links) -> Self {
        Self { services, mailer, links }
    }
}

#[async_trait]
impl Handler for Work {
    async fn handle(&self, job: Job, assignment: &Assignment) -> Result<(), Failure> {
        match job {
            Job::WelcomeEmail { user } => self.welcome(user, assignment).await,
            Job::VerificationEmail { user } => self.verification(user, assignment).await,
            Job::PasswordResetEmail { user } => self.password_reset(user, assignment).await,
            Job::InvitationEmail { invitation } => self.invitation(invitation, assignment).await,
            Job::DeliverWebhook { webhook } => self.deliver_webhook(webhook, assignment).await,
            Job::WebhookDisabledEmail { webhook } => self.webhook_disabled(webhook, assignment).await,
            Job::PasswordChangedEmail { user, at, revoked_all } => {
                self.password_changed(user, Timestamp(at), revoked_all, assignment).await
            }
            Job::PasswordResetDoneEmail { user, at } => self.password_reset_done(user, Timestamp(at), assignment).await,
            Job::ApiTokenCreatedEmail { user, api_token, at } => {
                self.api_token_created(user, api_token, Timestamp(at), assignment).await
            }
            Job::WebhookCreatedEmail { user, webhook, at } => {
                self.webhook_created(user, webhook, Timestamp(at), assignment).await
            }
            Job::ExpireInvitations {} => expire_invitations::run(assignment).await,
            Job::WeeklyDigest { user, moment } => self.weekly_digest(user, moment, assignment).await,
            Job::PlanDigests {} => self.plan_digests(assignment).await,
            Job::RecalculateCompletion { project } => recalculate_completion::run(project, assignment).await,
            Job::PurgeDeleted {} => purge_deleted::run(&self.services, assignment).await,
            Job::Prune {} => prune::run(&self.services, assignment).await,
        }
    }
}
