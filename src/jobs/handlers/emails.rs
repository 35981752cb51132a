//! E-mails about accounts, invitations and webhooks.
//!
//! User-chosen text is shown only if its author has verified an address. Otherwise an account would be a way to send any
//! text to anyone.

use super::job_handlers::JobHandlers;
use crate::contract::account::user::User;
use crate::contract::project::invitation::InvitedRole;
use crate::contract::{InvitationId, UserId, WebhookId};
use crate::jobs::context::{JobContext, JobResult};
use crate::mail::{
    EmailContent, InvitationEmail, Inviter, PasswordResetEmail, Recipient, SingleLine, VerificationEmail,
    WebhookDisabledEmail, WelcomeEmail,
};
use crate::repositories::{Credentials, EmailTokenPurpose};

impl JobHandlers {
    pub(super) async fn send_welcome(&self, user: UserId, context: &JobContext) -> JobResult {
        let Some(user) = active_user(user, context).await? else { return Ok(()) };
        let email = WelcomeEmail { name: greeting_name(&user), home: self.links.home() };
        self.send(&user, email.render()?, context).await
    }

    pub(super) async fn send_verification(&self, user: UserId, context: &JobContext) -> JobResult {
        let issued = self.services.email_tokens.issue(user, EmailTokenPurpose::Verification).await?;
        let Some((user, token)) = issued else { return Ok(()) };
        let email = VerificationEmail {
            name: greeting_name(&user),
            link: self.links.verify_email(&token),
            disown_link: self.links.disown_account(&token),
        };
        self.send(&user, email.render()?, context).await
    }

    pub(super) async fn send_password_reset(&self, user: Option<UserId>, context: &JobContext) -> JobResult {
        let Some(user) = user else { return Ok(()) };
        let issued = self.services.email_tokens.issue(user, EmailTokenPurpose::Reset).await?;
        let Some((user, token)) = issued else { return Ok(()) };
        let email = PasswordResetEmail { name: greeting_name(&user), link: self.links.reset_password(&token) };
        self.send(&user, email.render()?, context).await
    }

    pub(super) async fn send_invitation(&self, id: InvitationId, context: &JobContext) -> JobResult {
        let Some(letter) = self.services.invitations.email(id).await? else { return Ok(()) };
        let invitation = letter.invitation;
        let inviter = letter.inviter.filter(|inviter| inviter.email_verified).map(|inviter| Inviter {
            name: SingleLine::new(&inviter.name),
            email: SingleLine::new(&inviter.email),
            project: SingleLine::new(&invitation.project_name),
        });
        let email = InvitationEmail {
            name: letter.recipient.as_ref().map_or_else(|| SingleLine::new("there"), greeting_name),
            inviter,
            can_edit: invitation.role == InvitedRole::Editor,
            address: SingleLine::new(&invitation.email),
            link: self.links.invitation(id),
        };
        let name = letter.recipient.filter(|user| user.email_verified).map(|user| SingleLine::new(&user.name));
        let to = Recipient { name, email: invitation.email };
        Ok(self.mailer.send(context.id(), &to, email.render()?).await?)
    }

    pub(super) async fn send_webhook_disabled(&self, id: WebhookId, context: &JobContext) -> JobResult {
        let Some((user, webhook)) = self.services.webhooks.disabled_notice(id).await? else { return Ok(()) };
        let email = WebhookDisabledEmail {
            name: greeting_name(&user),
            url: user.email_verified.then(|| SingleLine::new(&webhook.url)),
            reason: webhook.disabled_reason.unwrap_or_default(),
            id,
        };
        self.send(&user, email.render()?, context).await
    }

    pub(super) async fn send(&self, user: &User, email: EmailContent, context: &JobContext) -> JobResult {
        let name = user.email_verified.then(|| SingleLine::new(&user.name));
        let to = Recipient { name, email: user.email.clone() };
        Ok(self.mailer.send(context.id(), &to, email).await?)
    }
}

/// Returns the user, unless the account is deleted or disabled.
pub(super) async fn active_user(id: UserId, context: &JobContext) -> JobResult<Option<User>> {
    let account = context.store.read().users().find_credentials(id).await?;
    Ok(account.filter(Credentials::is_active).map(|account| account.user))
}

/// Returns the name for the greeting, or "there" for an unverified address.
pub(super) fn greeting_name(user: &User) -> SingleLine {
    SingleLine::new(if user.email_verified { &user.name } else { "there" })
}
