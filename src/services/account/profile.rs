//! Operations of users on their own account.

use std::sync::Arc;

use super::deletion;
use super::grants::Extent;
use super::new_passwords::PasswordField;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::account::user::{ChangePassword, UpdateMe, User};
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use crate::repositories::Job;
use crate::services::idempotency::fresh;
use crate::services::mail_budget::{MailBudget, MailRecipient};
use crate::services::{
    Caller, Error, NewAuditEntry, ReplayAccess, ServiceContext, WriteContext, WriteOutcome, lock_caller,
};

/// Operations of users on their own account.
#[derive(Clone)]
pub struct Profiles(pub(crate) Arc<ServiceContext>);

impl Profiles {
    /// Returns the caller's account.
    pub async fn get(&self, caller: Caller) -> Result<User, Error> {
        // An access token can outlive its account.
        self.0.store.read().users().find(caller.user).await?.ok_or(Error::TokenRevoked)
    }

    /// Updates the caller's account.
    pub async fn update(&self, write: &WriteContext, patch: UpdateMe) -> Result<WriteOutcome<User>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let account = unit.users().lock(write.caller.user).await?.ok_or(Error::TokenRevoked)?;
        let user = account.user;
        write.check_if_match(&user)?;
        let mut changed = User {
            name: patch.name.unwrap_or_else(|| user.name.clone()),
            timezone: patch.timezone.unwrap_or_else(|| user.timezone.clone()),
            weekly_digest: patch.weekly_digest.unwrap_or(user.weekly_digest),
            ..user.clone()
        };
        if changed == user {
            return unit.unchanged(WriteOutcome::current(&user)).await;
        }
        changed.version += 1;
        changed.updated_at = self.0.clock.now();
        unit.users().update(&changed).await?;
        if changed.timezone != user.timezone || changed.weekly_digest != user.weekly_digest {
            self.0.schedule_digest(&*unit, &changed, account.next_digest_at, changed.updated_at).await?;
        }
        unit.commit(WriteOutcome::current(&changed), ReplayAccess::CallerOnly).await
    }

    /// Changes the caller's password and ends all other sessions.
    /// With `revoke_all`, every grant except the current session ends. Password reset tokens stop working in either
    /// case.
    pub async fn change_password(&self, write: &WriteContext, change: ChangePassword) -> Result<(), Error> {
        let (caller, client) = (write.caller, write.request.network());
        let session = caller.require_session()?;
        self.0.note_password_costs().await?;
        let account = self.0.store.read().users().find_credentials(caller.user).await?.ok_or(Error::TokenRevoked)?;
        let current = account.password_hash;
        let turn = self.0.passwords.wait_for_turn(client).await?;
        let attempt = change.current_password.into_string();
        let is_right = self.0.passwords.verify(turn, attempt, Some(current.clone())).await?.is_right();
        let new = PasswordField::new("new_password", change.new_password, &[&account.user.name, &account.user.email]);
        if !is_right {
            self.0.record_wrong_password(write).await?;
            // Every failure of the request is reported.
            let mut details = vec![wrong_password()];
            match self.0.require_strong(new, client).await {
                Err(Error::Invalid(weak)) => details.extend(weak),
                other => other?,
            }
            return Err(Error::Invalid(details));
        }
        let next = self.0.hash_password(new, client).await?;
        let transaction = self.0.store.begin().await?;
        let user = lock_caller(&*transaction, caller).await?;
        let now = self.0.clock.now();
        if !transaction.users().replace_password(user.id, &current, &next, now).await? {
            // A concurrent request changed the password.
            return Err(Error::Invalid(vec![wrong_password()]));
        }
        let revoked_all = change.revoke_all;
        let extent = if revoked_all { Extent::ChangeRevokingAll(session) } else { Extent::Change(session) };
        let changed = NewAuditEntry::by_caller(AuditEntryType::PasswordChanged, write);
        self.0.audit(&*transaction, changed, now).await?;
        let revoked = self.0.revoke_access(&*transaction, user.id, extent, &write.event_context(now)).await?;
        let notice = Job::PasswordChangedEmail { user: user.id, at: now.0, revoked_all };
        let to = MailRecipient::owner(&user, MailBudget::Password);
        self.0.enqueue_mail(&*transaction, &notice, to, now).await?;
        self.0.commit_revocation(transaction, &revoked, now).await
    }

    /// Soft-deletes the caller's account and its own projects. All sessions end.
    pub async fn delete(&self, write: &WriteContext) -> Result<(), Error> {
        write.caller.require_session()?;
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let user = lock_caller(&*transaction, write.caller).await?;
        let events = deletion::soft_delete(&*transaction, user.id, &write.event_context(now)).await?;
        transaction.users().schedule_digest(user.id, None).await?;
        let deleted = NewAuditEntry::by_caller(AuditEntryType::AccountDeleted, write);
        self.0.audit(&*transaction, deleted, now).await?;
        let ended = transaction.sessions().end_all(user.id, None, now).await?;
        self.0.publish(&*transaction, &events).await?;
        self.0.commit_and_revoke(transaction, &ended, now).await
    }
}

fn wrong_password() -> Detail {
    Detail {
        location: ErrorLocation::Body,
        field: "current_password".to_owned(),
        code: DetailCode::Incorrect,
        message: "current_password is not the current password.".to_owned(),
    }
}
