//! Accounts: disabling, enabling, deletion and password reset by the operator.

use super::{Account, Administration};
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::event::EventType;
use crate::contract::page::{Paging, Sort};
use crate::contract::project::invitation::{Invitation, InvitationStatus};
use crate::contract::strings::Password;
use crate::contract::{Timestamp, UserId};
use crate::repositories::{Credentials, EmailTokenPurpose, Job, Transaction};
use crate::security::TokenKind;
use crate::services::account::auth::new_token;
use crate::services::account::deletion;
use crate::services::account::email_tokens::ttl;
use crate::services::account::grants::{Extent, Revoked};
use crate::services::account::new_passwords::PasswordField;
use crate::services::event::publish::EventContext;
use crate::services::operator::Operator;
use crate::services::{Error, NewAuditEntry};

/// Way in which the owner of an account receives the link that sets a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordResetDelivery {
    /// The operator passes it on.
    Link,
    /// It is sent by e-mail.
    Mail,
}

/// Token that sets a new password once. Without `Debug`, so that no log shows it.
pub struct ResetToken {
    /// The token.
    pub token: String,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

impl Administration {
    /// Disables an account; `None` if it already is.
    ///
    /// Its sessions end, and the pending invitations that it sent are revoked. Its API tokens are refused, and its
    /// webhooks send nothing, until it is enabled again.
    pub async fn disable_account(&self, operator: &Operator, id: UserId) -> Result<Option<Account>, Error> {
        let transaction = self.0.store.begin().await?;
        let mut found = lock(&*transaction, id).await?;
        if found.disabled_at.is_some() {
            transaction.discard().await?;
            return Ok(None);
        }
        let now = self.0.clock.now();
        transaction.users().set_disabled(id, Some(now)).await?;
        transaction.users().schedule_digest(id, None).await?;
        let disabled = NewAuditEntry::by_operator(AuditEntryType::AccountDisabled, id, operator);
        self.0.audit(&*transaction, disabled, now).await?;
        // Otherwise a thief of the account could still join its projects with another account.
        let invitations = transaction.invitations().revoke_sent(id, now).await?;
        let context = EventContext { actor: None, at: now, request_id: None };
        let revocation = |revoked: &Invitation| {
            let pending = Invitation { status: InvitationStatus::Pending, ..revoked.clone() };
            context.updated(EventType::InvitationRevoked, revoked.project_id, &pending, revoked)
        };
        let events = invitations.iter().map(revocation).collect();
        let sessions = transaction.sessions().end_all(id, None, now).await?;
        // The tokens stay valid for later; their open streams end.
        let all = Paging { limit: u32::MAX, ..Paging::default() };
        let tokens = transaction.api_tokens().list(id, Sort::new(None, None), all).await?;
        let api_tokens = tokens.items.iter().map(|token| token.id).collect();
        let revoked = Revoked { sessions, api_tokens, events };
        self.0.commit_revocation(transaction, &revoked, now).await?;
        tracing::info!(%operator, user.id = %id, "account disabled");
        found.disabled_at = Some(now);
        Ok(Some(self.account(found)))
    }

    /// Enables a disabled account; `None` if it already is enabled. Its owner logs in again.
    pub async fn enable_account(&self, operator: &Operator, id: UserId) -> Result<Option<Account>, Error> {
        let transaction = self.0.store.begin().await?;
        let mut found = lock(&*transaction, id).await?;
        if found.disabled_at.is_none() {
            transaction.discard().await?;
            return Ok(None);
        }
        let now = self.0.clock.now();
        transaction.users().set_disabled(id, None).await?;
        if found.deleted_at.is_none() {
            self.0.schedule_digest(&*transaction, &found.user, None, now).await?;
        }
        let enabled = NewAuditEntry::by_operator(AuditEntryType::AccountEnabled, id, operator);
        self.0.audit(&*transaction, enabled, now).await?;
        transaction.commit().await?;
        tracing::info!(%operator, user.id = %id, "account enabled");
        found.disabled_at = None;
        Ok(Some(self.account(found)))
    }

    /// Moves an account and the projects it owns to the trash, as its owner could; `None` if it already is there.
    pub async fn delete_account(&self, operator: &Operator, id: UserId) -> Result<Option<Account>, Error> {
        let transaction = self.0.store.begin().await?;
        let mut found = lock(&*transaction, id).await?;
        if found.deleted_at.is_some() {
            transaction.discard().await?;
            return Ok(None);
        }
        let now = self.0.clock.now();
        let context = EventContext { actor: None, at: now, request_id: None };
        let events = deletion::soft_delete(&*transaction, id, &context).await?;
        transaction.users().schedule_digest(id, None).await?;
        let deleted = NewAuditEntry::by_operator(AuditEntryType::AccountDeleted, id, operator);
        self.0.audit(&*transaction, deleted, now).await?;
        let ended = transaction.sessions().end_all(id, None, now).await?;
        self.0.publish(&*transaction, &events).await?;
        self.0.commit_and_revoke(transaction, &ended, now).await?;
        tracing::info!(%operator, user.id = %id, "account deleted");
        found.deleted_at = Some(now);
        Ok(Some(self.account(found)))
    }

    /// Replaces the password of an account by a random one, and revokes all access to it, as a password reset does.
    ///
    /// Returns the token for the owner, unless it is sent by e-mail. A token that the operator passes on proves no
    /// address, although a reset verifies it; so the address must be verified already.
    pub async fn reset_password(
        &self,
        operator: &Operator,
        id: UserId,
        delivery: PasswordResetDelivery,
    ) -> Result<Option<ResetToken>, Error> {
        let (unknown, token) = (new_token()?.encode(TokenKind::Mail), new_token()?);
        let unknown = PasswordField::new("password", Password::new_unchecked(unknown), &[]);
        let hash = self.0.hash_password(unknown, None).await?;
        let transaction = self.0.store.begin().await?;
        let found = lock(&*transaction, id).await?;
        if delivery == PasswordResetDelivery::Link && !found.user.email_verified {
            return Err(Error::EmailNotVerified);
        }
        let now = self.0.clock.now();
        transaction.users().replace_password(id, &found.password_hash, &hash, now).await?;
        let reset = NewAuditEntry::by_operator(AuditEntryType::PasswordReset, id, operator);
        self.0.audit(&*transaction, reset, now).await?;
        let context = EventContext { actor: None, at: now, request_id: None };
        let revoked = self.0.revoke_access(&*transaction, id, Extent::Reset, &context).await?;
        let expires_at = now + ttl(EmailTokenPurpose::Reset);
        match delivery {
            PasswordResetDelivery::Link => {
                let tokens = transaction.email_tokens();
                tokens.add(&token.hash(), id, EmailTokenPurpose::Reset, expires_at).await?;
            }
            PasswordResetDelivery::Mail => {
                // The operator asked for it, so it has no budget.
                transaction.jobs().enqueue(&Job::PasswordResetEmail { user: Some(id) }, now, now).await?;
            }
        }
        self.0.commit_revocation(transaction, &revoked, now).await?;
        tracing::info!(%operator, user.id = %id, "password reset");
        let is_link = delivery == PasswordResetDelivery::Link;
        Ok(is_link.then(|| ResetToken { token: token.encode(TokenKind::Mail), expires_at }))
    }
}

async fn lock(transaction: &dyn Transaction, id: UserId) -> Result<Credentials, Error> {
    transaction.users().lock(id).await?.ok_or(Error::NotFound("account"))
}
