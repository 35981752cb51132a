//! One handler per kind of job.

mod deliver_webhook;
mod digests;
mod emails;
mod expire_invitations;
mod prune;
mod purge_deleted;
mod recalculate_completion;
mod security_emails;

use async_trait::async_trait;

use super::context::{Handler, JobContext, JobError};
use crate::contract::Timestamp;
use crate::mail::{Links, Mailer};
use crate::repositories::Job;
use crate::services::Services;

/// Does all the jobs that there are.
pub struct JobHandlers {
    services: Services,
    mailer: Mailer,
    links: Links,
}

impl JobHandlers {
    /// Works by these rules, and sends by this mailer mails with these links.
    #[must_use]
    pub const fn new(services: Services, mailer: Mailer, links: Links) -> Self {
        Self { services, mailer, links }
    }
}

#[async_trait]
impl Handler for JobHandlers {
    async fn handle(&self, job: Job, context: &JobContext) -> Result<(), JobError> {
        match job {
            Job::WelcomeEmail { user } => self.welcome(user, context).await,
            Job::VerificationEmail { user } => self.verification(user, context).await,
            Job::PasswordResetEmail { user } => self.password_reset(user, context).await,
            Job::InvitationEmail { invitation } => self.invitation(invitation, context).await,
            Job::DeliverWebhook { webhook } => self.deliver_webhook(webhook, context).await,
            Job::WebhookDisabledEmail { webhook } => self.webhook_disabled(webhook, context).await,
            Job::PasswordChangedEmail { user, at, revoked_all } => {
                self.password_changed(user, Timestamp(at), revoked_all, context).await
            }
            Job::PasswordResetDoneEmail { user, at } => self.password_reset_done(user, Timestamp(at), context).await,
            Job::ApiTokenCreatedEmail { user, api_token, at } => {
                self.api_token_created(user, api_token, Timestamp(at), context).await
            }
            Job::WebhookCreatedEmail { user, webhook, at } => {
                self.webhook_created(user, webhook, Timestamp(at), context).await
            }
            Job::ExpireInvitations {} => expire_invitations::run(context).await,
            Job::WeeklyDigest { user, moment } => self.weekly_digest(user, moment, context).await,
            Job::PlanDigests {} => self.plan_digests(context).await,
            Job::RecalculateCompletion { project } => recalculate_completion::run(project, context).await,
            Job::PurgeDeleted {} => purge_deleted::run(&self.services, context).await,
            Job::Prune {} => prune::run(&self.services, context).await,
        }
    }
}
