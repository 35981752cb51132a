//! Mails about an account.

use super::{Assignment, Failure, Work};
use crate::contract::UserId;
use crate::contract::user::User;
use crate::mail::{Content, Line, PasswordReset, Recipient, Verification, Welcome};
use crate::repositories::MailPurpose;

impl Work {
    pub(super) async fn welcome(&self, user: UserId, assignment: &Assignment) -> Result<(), Failure> {
        if let Some(user) = assignment.store.read().users().find(user).await? {
            let mail = Welcome { name: Line::new(&user.name), home: self.links.home() };
            self.send(&user, mail.render()?, assignment).await?;
        }
        assignment.done().await
    }

    pub(super) async fn verification(&self, user: UserId, assignment: &Assignment) -> Result<(), Failure> {
        if let Some((user, token)) = self.services.recovery.issue(user, MailPurpose::Verification).await? {
            let mail = Verification { name: Line::new(&user.name), link: self.links.verify_email(&token) };
            self.send(&user, mail.render()?, assignment).await?;
        }
        assignment.done().await
    }

    pub(super) async fn password_reset(&self, user: Option<UserId>, assignment: &Assignment) -> Result<(), Failure> {
        if let Some(user) = user
            && let Some((user, token)) = self.services.recovery.issue(user, MailPurpose::Reset).await?
        {
            let mail = PasswordReset { name: Line::new(&user.name), link: self.links.reset_password(&token) };
            self.send(&user, mail.render()?, assignment).await?;
        }
        assignment.done().await
    }

    pub(super) async fn send(&self, user: &User, content: Content, assignment: &Assignment) -> Result<(), Failure> {
        let to = Recipient { name: Line::new(&user.name), email: user.email.clone() };
        Ok(self.mailer.send(assignment.id(), &to, content).await?)
    }
}
