//! One handler per kind of job.

mod deliver_webhook;
mod digests;
mod emails;
mod expire_invitations;
mod job_handlers;
mod prune;
mod purge_deleted;
mod security_emails;

use async_trait::async_trait;

pub use self::job_handlers::JobHandlers;
use self::security_emails::SecurityNotice;
use super::context::{Handler, JobContext, JobResult};
use crate::contract::Timestamp;
use crate::repositories::Job;

#[async_trait]
impl Handler for JobHandlers {
    async fn enqueue_from_feed(&self) -> JobResult<bool> {
        Ok(self.services.deliveries.fan_out().await?)
    }

    async fn handle(&self, job: Job, context: &JobContext) -> JobResult {
        match job {
            Job::DeliverWebhook { webhook } => return self.deliver_webhook(webhook, context).await,
            Job::ExpireInvitations {} => return expire_invitations::run(context).await,
            Job::PlanDigests {} => return self.plan_digests(context).await,
            Job::RecalculateCompletion { project } => {
                let transaction = context.begin().await?;
                transaction.projects().recalculate_completion(project).await?;
                return context.commit(transaction).await;
            }
            Job::UnassignTasks { project, user, actor } => {
                while self.services.members.unassign_tasks(project, user, actor).await? {}
            }
            Job::ApplyAccountState { user } => while self.services.account_deletion.apply_state(user).await? {},
            Job::PurgeDeleted {} => purge_deleted::run(&self.services, context).await?,
            Job::Prune {} => prune::run(&self.services, context).await?,
            Job::ReencryptSecrets {} => {
                self.services.key_rotation.reencrypt().await?;
            }
            Job::WelcomeEmail { user } => self.send_welcome(user, context).await?,
            Job::VerificationEmail { user } => self.send_verification(user, context).await?,
            Job::PasswordResetEmail { user } => self.send_password_reset(user, context).await?,
            Job::InvitationEmail { invitation } => self.send_invitation(invitation, context).await?,
            Job::WebhookDisabledEmail { webhook } => self.send_webhook_disabled(webhook, context).await?,
            Job::WeeklyDigest { user, moment } => self.send_weekly_digest(user, Timestamp(moment), context).await?,
            Job::FailedLoginsEmail { user: None, .. } => {}
            Job::FailedLoginsEmail { user: Some(user), at, .. } => {
                self.send_security_email(user, at, SecurityNotice::FailedLogins, context).await?;
            }
            Job::PasswordChangedEmail { user, at, revoked_all } => {
                self.send_security_email(user, at, SecurityNotice::PasswordChanged { revoked_all }, context).await?;
            }
            Job::PasswordResetDoneEmail { user, at } => {
                self.send_security_email(user, at, SecurityNotice::PasswordReset, context).await?;
            }
            Job::ApiTokenCreatedEmail { user, api_token, at } => {
                self.send_security_email(user, at, SecurityNotice::ApiTokenCreated(api_token), context).await?;
            }
            Job::WebhookCreatedEmail { user, webhook, at } => {
                self.send_security_email(user, at, SecurityNotice::WebhookCreated(webhook), context).await?;
            }
        }
        context.complete().await
    }
}
