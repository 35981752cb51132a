//! Mails about an account.

use super::{Assignment, Failure, Work};
use crate::contract::UserId;
use crate::contract::user::User;
use crate::mail::{Content, Line, PasswordReset, Recipient, Verification, Welcome};
use crate::repositories::MailPurpose;

impl Work {
    pub(super) async fn welcome(&self, user: UserId, assignment: &Assignment) -> Result<(), Failure> {
        let account = assignment.store.read().users().find_credentials(user).await?;
        if let Some(account) = account.filter(|account| account.deleted_at.is_none()) {
            let user = account.user;
            let mail = Welcome { name: greeted(&user), home: self.links.home() };
            self.send(&user, mail.render()?, assignment).await?;
        }
        assignment.done().await
    }

    pub(super) async fn verification(&self, user: UserId, assignment: &Assignment) -> Result<(), Failure> {
        if let Some((user, token)) = self.services.recovery.issue(user, MailPurpose::Verification).await? {
            let mail = Verification { name: greeted(&user), link: self.links.verify_email(&token) };
            self.send(&user, mail.render()?, assignment).await?;
        }
        assignment.done().await
    }

    pub(super) async fn password_reset(&self, user: Option<UserId>, assignment: &Assignment) -> Result<(), Failure> {
        if let Some(user) = user
            && let Some((user, token)) = self.services.recovery.issue(user, MailPurpose::Reset).await?
        {
            let mail = PasswordReset { name: greeted(&user), link: self.links.reset_password(&token) };
            self.send(&user, mail.render()?, assignment).await?;
        }
        assignment.done().await
    }

    pub(super) async fn send(&self, user: &User, content: Content, assignment: &Assignment) -> Result<(), Failure> {
        let name = user.email_verified.then(|| Line::new(&user.name));
        let to = Recipient { name, email: user.email.clone() };
        Ok(self.mailer.send(assignment.id(), &to, content).await?)
    }
}

/// How a user is greeted. Not by name before the address is proved: the name may be somebody's message to whoever has it.
fn greeted(user: &User) -> Line {
    Line::new(if user.email_verified { &user.name } else { "there" })
}
