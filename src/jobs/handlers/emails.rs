//! Mails about an account.

use super::JobHandlers;
use crate::contract::account::user::User;
use crate::contract::project::invitation::InvitedRole;
use crate::contract::{InvitationId, UserId, WebhookId};
use crate::jobs::context::{JobContext, JobError};
use crate::mail::{
    Content, Invitation, Inviter, Line, PasswordReset, Recipient, Verification, WebhookDisabled, Welcome,
};
use crate::repositories::EmailTokenPurpose;

impl JobHandlers {
    pub(super) async fn welcome(&self, user: UserId, context: &JobContext) -> Result<(), JobError> {
        let account = context.store.read().users().find_credentials(user).await?;
        if let Some(account) = account.filter(|account| account.deleted_at.is_none()) {
            let user = account.user;
            let mail = Welcome { name: greeting_name(&user), home: self.links.home() };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn verification(&self, user: UserId, context: &JobContext) -> Result<(), JobError> {
        if let Some((user, token)) = self.services.email_tokens.issue(user, EmailTokenPurpose::Verification).await? {
            let mail = Verification { name: greeting_name(&user), link: self.links.verify_email(&token) };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn password_reset(&self, user: Option<UserId>, context: &JobContext) -> Result<(), JobError> {
        if let Some(user) = user
            && let Some((user, token)) = self.services.email_tokens.issue(user, EmailTokenPurpose::Reset).await?
        {
            let mail = PasswordReset { name: greeting_name(&user), link: self.links.reset_password(&token) };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn invitation(&self, id: InvitationId, context: &JobContext) -> Result<(), JobError> {
        if let Some(letter) = self.services.invitations.email(id).await? {
            let invitation = letter.invitation;
            // Not what somebody wrote who has not proved an address: it would be a way to mail anything to anybody.
            let inviter = letter.inviter.filter(|inviter| inviter.email_verified).map(|inviter| Inviter {
                name: Line::new(&inviter.name),
                email: Line::new(&inviter.email),
                project: Line::new(&invitation.project_name),
            });
            let mail = Invitation {
                name: letter.recipient.as_ref().map_or_else(|| Line::new("there"), greeting_name),
                inviter,
                can_edit: invitation.role == InvitedRole::Editor,
                address: Line::new(&invitation.email),
                link: self.links.invitation(id),
            };
            let name = letter.recipient.filter(|user| user.email_verified).map(|user| Line::new(&user.name));
            let to = Recipient { name, email: invitation.email };
            self.mailer.send(context.id(), &to, mail.render()?).await?;
        }
        context.complete().await
    }

    pub(super) async fn webhook_disabled(&self, id: WebhookId, context: &JobContext) -> Result<(), JobError> {
        if let Some((user, webhook)) = self.services.webhooks.disabled_notice(id).await? {
            let mail = WebhookDisabled {
                name: greeting_name(&user),
                // Not what somebody wrote who has not proved an address.
                url: user.email_verified.then(|| Line::new(&webhook.url)),
                reason: webhook.disabled_reason.unwrap_or_default(),
                id,
            };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn send(&self, user: &User, content: Content, context: &JobContext) -> Result<(), JobError> {
        let name = user.email_verified.then(|| Line::new(&user.name));
        let to = Recipient { name, email: user.email.clone() };
        Ok(self.mailer.send(context.id(), &to, content).await?)
    }
}

/// How a user is greeting_name. Not by name before the address is proved: the name may be somebody's message to whoever has
/// it.
pub(super) fn greeting_name(user: &User) -> Line {
    Line::new(if user.email_verified { &user.name } else { "there" })
}
