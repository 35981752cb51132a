//! Tokens sent by e-mail: e-mail verification, disowned accounts and password reset.
//!
//! A token is generated when its e-mail is sent, so that its lifetime starts then, and only its hash is stored.

use std::sync::Arc;
use std::time::Duration;

use super::auth::{new_token, normalize_email};
use super::deletion;
use super::grants::Extent;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::account::user::{DisownAccount, ForgotPassword, ResetPassword, User, VerifyEmail};
use crate::contract::error::DetailCode;
use crate::contract::strings::{Email, EmailToken, PasswordAttempt};
use crate::contract::{Timestamp, UserId};
use crate::repositories::{Credentials, EmailTokenPurpose, Job, Transaction};
use crate::security::{OpaqueToken, TokenHash, TokenKind};
use crate::services::event::publish::EventContext;
use crate::services::{Caller, Error, NewAuditEntry, RequestMetadata, ServiceContext, lock_caller};

const fn ttl(purpose: EmailTokenPurpose) -> Duration {
    match purpose {
        EmailTokenPurpose::Verification => Duration::from_hours(24),
        EmailTokenPurpose::Reset => Duration::from_hours(1),
    }
}

/// E-mail verification and password reset.
#[derive(Clone)]
pub struct EmailTokens(pub(crate) Arc<ServiceContext>);

impl EmailTokens {
    /// Marks the address of an account as verified.
    ///
    /// The token proves the address; the caller's session or the password proves the account. Otherwise, clicking a link
    /// would confirm an account that someone else has registered.
    pub async fn verify_email(
        &self,
        caller: Option<Caller>,
        proof: VerifyEmail,
        request: &RequestMetadata,
    ) -> Result<(), Error> {
        if caller.is_none() && proof.password.is_none() {
            return Err(password_required());
        }
        let hash = hash(&proof.token)?;
        let found = self.0.store.read().email_tokens();
        let found = found.find(&hash, EmailTokenPurpose::Verification, self.0.clock.now()).await?;
        let user = found.ok_or(Error::InvalidToken)?;
        let caller = caller.filter(|caller| caller.user == user);
        let mut verified_hash = None;
        match proof.password {
            Some(password) => verified_hash = Some(self.verify_password(user, password, request).await?),
            None if caller.is_none() => return Err(password_required()),
            None => {}
        }

        let transaction = self.0.store.begin().await?;
        let account = consume(&*transaction, &hash, EmailTokenPurpose::Verification, self.0.clock.now()).await?;
        if let Some(caller) = caller {
            lock_caller(&*transaction, caller).await?;
        }
        if verified_hash.is_some_and(|hash| hash != account.password_hash) {
            // A concurrent request changed the password.
            return Err(wrong_password());
        }
        let verified = NewAuditEntry::by_user(AuditEntryType::AccountVerified, user, request);
        let verified = verified.with(caller.map(|caller| caller.credential));
        self.0.audit(&*transaction, verified, self.0.clock.now()).await?;
        self.mark_email_verified(&*transaction, account.user).await?;
        Ok(transaction.commit().await?)
    }

    /// Verifies the password of an account, and returns the hash that it matched.
    async fn verify_password(
        &self,
        user: UserId,
        password: PasswordAttempt,
        request: &RequestMetadata,
    ) -> Result<String, Error> {
        let credentials = self.0.store.read().users().find_credentials(user).await?.ok_or(Error::InvalidToken)?;
        let hash = credentials.password_hash;
        if self.0.passwords.verify(password.into_string(), Some(hash.clone())).await? {
            return Ok(hash);
        }
        // Counts like a failed login.
        self.0.record_wrong_password(Some(user), None, request).await?;
        Err(wrong_password())
    }

    /// Deletes the unverified account of a verification token, at the request of the person with its address.
    ///
    /// The address is free at once. The purging job removes the rest in batches.
    pub async fn disown_account(&self, disowned: &DisownAccount, request_id: Option<String>) -> Result<(), Error> {
        let hash = hash(&disowned.token)?;
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let account = consume(&*transaction, &hash, EmailTokenPurpose::Verification, now).await?;
        if account.user.email_verified {
            // A verified account belongs to the person with its address.
            return Err(Error::InvalidToken);
        }
        let user = account.user.id;
        let context = EventContext { actor: None, at: now, request_id };
        let mut events = Vec::new();
        if account.deleted_at.is_none() {
            events = deletion::soft_delete(&*transaction, user, &context).await?;
            transaction.users().schedule_digest(user, None).await?;
        }
        transaction.users().disown(user, &placeholder_email(user)).await?;
        transaction.jobs().enqueue(&Job::PurgeDeleted {}, now, now).await?;
        let ended = transaction.sessions().end_all(user, None, now).await?;
        self.0.publish(&*transaction, &events).await?;
        self.0.commit_and_revoke(transaction, &ended, now).await
    }

    /// Sends the verification e-mail again, unless the address is verified.
    pub async fn resend_verification(&self, caller: Caller) -> Result<(), Error> {
        caller.require_session()?;
        let transaction = self.0.store.begin().await?;
        let user = transaction.users().find(caller.user).await?.ok_or(Error::TokenRevoked)?;
        if user.email_verified {
            return Ok(());
        }
        let now = self.0.clock.now();
        transaction.jobs().enqueue(&Job::VerificationEmail { user: user.id }, now, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Sends a password reset e-mail if the account exists.
    /// The caller does not learn whether it does.
    pub async fn forgot_password(&self, forgot: &ForgotPassword) -> Result<(), Error> {
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let found = transaction.users().find_credentials_by_email(&normalize_email(&forgot.email)).await?;
        // A job is enqueued even without an account, so that both cases take the same time.
        let user = found.map(|found| found.user.id);
        transaction.jobs().enqueue(&Job::PasswordResetEmail { user }, now, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Sets a new password and revokes everything that acts for the account.
    ///
    /// The password, the revocation, its events and the e-mail to the owner are one transaction.
    pub async fn reset_password(&self, reset: ResetPassword, request: RequestMetadata) -> Result<(), Error> {
        let hash = hash(&reset.token)?;
        // Avoids the slow hash for an invalid token. Consuming the token below decides.
        let reading = self.0.store.read().email_tokens();
        reading.find(&hash, EmailTokenPurpose::Reset, self.0.clock.now()).await?.ok_or(Error::InvalidToken)?;
        let next = self.0.passwords.hash(reset.password.into_string()).await?;

        let transaction = self.0.store.begin().await?;
        let account = consume(&*transaction, &hash, EmailTokenPurpose::Reset, self.0.clock.now()).await?;
        let user = account.user.id;
        // Read under the lock, so that nothing revoked was created later.
        let now = self.0.clock.now();
        transaction.users().replace_password(user, &account.password_hash, &next, now).await?;
        self.mark_email_verified(&*transaction, account.user).await?;
        let notice = Job::PasswordResetDoneEmail { user, at: now.0 };
        transaction.jobs().enqueue(&notice, now, now).await?;
        let done = NewAuditEntry::by_user(AuditEntryType::PasswordReset, user, &request);
        self.0.audit(&*transaction, done, now).await?;
        let context = EventContext { actor: Some(user), at: now, request_id: request.request_id };
        let revoked = self.0.revoke_access(&*transaction, user, Extent::Reset, &context).await?;
        self.0.commit_revocation(transaction, &revoked, now).await
    }

    /// Issues the token of an e-mail, unless there is no recipient or no need.
    pub async fn issue(&self, user: UserId, purpose: EmailTokenPurpose) -> Result<Option<(User, String)>, Error> {
        let transaction = self.0.store.begin().await?;
        // Locked, so that a concurrent password change either revokes this token or happens before it.
        let account = transaction.users().lock(user).await?;
        // A soft-deleted account may only reset its password.
        let is_needed = |account: &Credentials| {
            purpose == EmailTokenPurpose::Reset || (!account.user.email_verified && account.deleted_at.is_none())
        };
        let Some(user) = account.filter(is_needed).map(|account| account.user) else { return Ok(None) };
        let token = new_token()?;
        let expires_at = self.0.clock.now() + ttl(purpose);
        transaction.email_tokens().add(&token.hash(), user.id, purpose, expires_at).await?;
        transaction.commit().await?;
        Ok(Some((user, token.encode(TokenKind::Mail))))
    }

    async fn mark_email_verified(&self, transaction: &dyn Transaction, user: User) -> Result<(), Error> {
        if user.email_verified {
            return Ok(());
        }
        let version = user.version + 1;
        let proved = User { email_verified: true, version, updated_at: self.0.clock.now(), ..user };
        Ok(transaction.users().update(&proved).await?)
    }
}

/// Consumes a token and returns its account, locked.
async fn consume(
    transaction: &dyn Transaction,
    hash: &TokenHash,
    purpose: EmailTokenPurpose,
    now: Timestamp,
) -> Result<Credentials, Error> {
    let tokens = transaction.email_tokens();
    let user = tokens.find(hash, purpose, now).await?.ok_or(Error::InvalidToken)?;
    // The account is locked first: consuming a token removes the user's other tokens, so concurrent requests would
    // deadlock.
    let account = transaction.users().lock(user).await?.ok_or(Error::InvalidToken)?;
    tokens.consume(hash, purpose, now).await?.ok_or(Error::InvalidToken)?;
    Ok(account)
}

/// Address of a disowned account until it is purged. The reserved domain receives no mail.
fn placeholder_email(user: UserId) -> Email {
    Email::new_unchecked(format!("{user}@disowned.invalid"))
}

fn password_required() -> Error {
    let message = "password is required without an access token of the account.".to_owned();
    Error::invalid("password", DetailCode::Required, message)
}

fn wrong_password() -> Error {
    let message = "password is not the password of the account.".to_owned();
    Error::invalid("password", DetailCode::Incorrect, message)
}

fn hash(token: &EmailToken) -> Result<TokenHash, Error> {
    OpaqueToken::parse(TokenKind::Mail, token).map(|token| token.hash()).ok_or(Error::InvalidToken)
}
