//! Tokens sent by e-mail: e-mail verification, disowned accounts and password reset.
//!
//! A token is generated when its e-mail is sent, so that its lifetime starts then, and only its hash is stored.

use std::sync::Arc;
use std::time::Duration;

use super::auth::{new_token, normalize_email};
use super::deletion;
use super::grants::Extent;
use super::login_limits::LoginAttempt;
use super::new_passwords::PasswordField;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::account::user::{DisownAccount, ForgotPassword, ResetPassword, User, VerifyEmail};
use crate::contract::error::DetailCode;
use crate::contract::strings::{Email, EmailToken, PasswordAttempt};
use crate::contract::{Timestamp, UserId};
use crate::repositories::{Credentials, EmailTokenPurpose, Job, Transaction};
use crate::security::{OpaqueToken, TokenHash, TokenKind};
use crate::services::event::publish::EventContext;
use crate::services::mail_budget::{MailBudget, MailRecipient};
use crate::services::{Caller, Error, NewAuditEntry, RequestMetadata, ServiceContext, lock_caller};

pub(crate) const fn ttl(purpose: EmailTokenPurpose) -> Duration {
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
        client: &RequestMetadata,
    ) -> Result<(), Error> {
        if caller.is_none() && proof.password.is_none() {
            return Err(password_required());
        }
        let hash = hash(&proof.token)?;
        let found = self.0.store.read().email_tokens();
        let found = found.find(&hash, EmailTokenPurpose::Verification, self.0.clock.now()).await?;
        let user = found.ok_or(Error::InvalidToken)?;
        let caller = caller.filter(|caller| caller.user == user);
        let mut verified = None;
        match proof.password {
            Some(password) => verified = Some(self.verify_password(user, password, client).await?),
            None if caller.is_none() => return Err(password_required()),
            None => {}
        }

        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let account = consume(&*transaction, &hash, EmailTokenPurpose::Verification, now).await?;
        if let Some(caller) = caller {
            lock_caller(&*transaction, caller).await?;
        }
        if let Some((hash, attempt)) = verified {
            if hash != account.password_hash {
                // A concurrent request changed the password.
                return Err(wrong_password());
            }
            self.0.refund_login(&*transaction, &attempt, now).await?;
        }
        let entry = NewAuditEntry::by_user(AuditEntryType::AccountVerified, user, client);
        let entry = entry.with(caller.map(|caller| caller.credential));
        self.0.audit(&*transaction, entry, now).await?;
        self.mark_email_verified(&*transaction, account.user).await?;
        Ok(transaction.commit().await?)
    }

    /// Verifies the password of an account, and returns the hash that it matched. It is limited like a login.
    async fn verify_password(
        &self,
        user: UserId,
        password: PasswordAttempt,
        client: &RequestMetadata,
    ) -> Result<(String, LoginAttempt), Error> {
        self.0.note_password_costs().await?;
        let account = self.0.store.read().users().find_credentials(user).await?.ok_or(Error::InvalidToken)?;
        let (email, hash) = (&account.user.email, account.password_hash.clone());
        let turn = self.0.passwords.wait_for_turn(client.network()).await?;
        let attempt = self.0.begin_login(email, Some(user), client).await?;
        if self.0.passwords.verify(turn, password.into_string(), Some(hash.clone())).await?.is_right() {
            return Ok((hash, attempt));
        }
        self.0.record_failed_login(&attempt, email, Some(&account), client).await?;
        Err(wrong_password())
    }

    /// Deletes the unverified account of a verification token, at the request of the person with its address.
    ///
    /// The address is free at once. The purging job removes the rest in batches.
    pub async fn disown_account(&self, disowned: &DisownAccount, client: &RequestMetadata) -> Result<(), Error> {
        let hash = hash(&disowned.token)?;
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let account = consume(&*transaction, &hash, EmailTokenPurpose::Verification, now).await?;
        if account.user.email_verified {
            // A verified account belongs to the person with its address.
            return Err(Error::InvalidToken);
        }
        let user = account.user.id;
        let context = EventContext { actor: None, at: now, request_id: client.request_id.clone() };
        let mut events = Vec::new();
        if account.deleted_at.is_none() {
            events = deletion::soft_delete(&*transaction, user, &context).await?;
            transaction.users().schedule_digest(user, None).await?;
        }
        transaction.users().disown(user, &placeholder_email(user)).await?;
        transaction.jobs().enqueue(&Job::PurgeDeleted {}, now, now).await?;
        let ended = transaction.sessions().end_all(user, None, now).await?;
        // In no account's log: that of this one is purged with it.
        let entry = NewAuditEntry::by_stranger(AuditEntryType::AccountDisowned, None, client);
        self.0.audit(&*transaction, entry, now).await?;
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
        // The address may belong to another person until it is verified.
        let to = MailRecipient::stranger(&user.email);
        self.0.enqueue_mail(&*transaction, &Job::VerificationEmail { user: user.id }, to, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Sends a password reset e-mail if the account exists.
    /// The caller does not learn whether it does.
    ///
    /// Requests from networks that the owner has used have a budget of their own, so that a stranger cannot use it up.
    pub async fn forgot_password(&self, forgot: &ForgotPassword, client: &RequestMetadata) -> Result<(), Error> {
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let email = normalize_email(&forgot.email);
        let found = transaction.users().find_credentials_by_email(&email).await?.map(|found| found.user);
        // A job is enqueued even without an account, so that both cases take the same time.
        let user = found.as_ref().map(|user| user.id);
        let is_known = self.0.is_known_address(&*transaction, user, client.address, now).await?;
        let to = match &found {
            None => MailRecipient::no_account(&email),
            Some(user) if is_known => MailRecipient::owner(user, MailBudget::Owner),
            Some(_) => MailRecipient::stranger(&email),
        };
        self.0.enqueue_mail(&*transaction, &Job::PasswordResetEmail { user }, to, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Sets a new password and revokes everything that acts for the account.
    ///
    /// The password, the revocation, its events and the e-mail to the owner are one transaction.
    pub async fn reset_password(&self, reset: ResetPassword, client: RequestMetadata) -> Result<(), Error> {
        let hash = hash(&reset.token)?;
        let reading = self.0.store.read();
        let owner = match reading.email_tokens().find(&hash, EmailTokenPurpose::Reset, self.0.clock.now()).await? {
            Some(owner) => reading.users().find(owner).await?,
            None => None,
        };
        let Some(owner) = owner else {
            // Avoids the slow hash for an invalid token. Consuming the token below decides.
            self.0.require_strong(PasswordField::new("password", reset.password, &[]), client.network()).await?;
            return Err(Error::InvalidToken);
        };
        let password = PasswordField::new("password", reset.password, &[&owner.name, &owner.email]);
        let next = self.0.hash_password(password, client.network()).await?;

        let transaction = self.0.store.begin().await?;
        let account = consume(&*transaction, &hash, EmailTokenPurpose::Reset, self.0.clock.now()).await?;
        let (user, email) = (account.user.id, account.user.email.clone());
        // Read under the lock, so that nothing revoked was created later.
        let now = self.0.clock.now();
        transaction.users().replace_password(user, &account.password_hash, &next, now).await?;
        self.mark_email_verified(&*transaction, account.user).await?;
        let done = NewAuditEntry::by_user(AuditEntryType::PasswordReset, user, &client);
        self.0.audit(&*transaction, done, now).await?;
        let context = EventContext { actor: Some(user), at: now, request_id: client.request_id };
        let revoked = self.0.revoke_access(&*transaction, user, Extent::Reset, &context).await?;
        // The owner of the mailbox may log in from here, even during an attack.
        self.0.add_known_address(&*transaction, user, client.address, now).await?;
        let notice = Job::PasswordResetDoneEmail { user, at: now.0 };
        // The reset has verified the address.
        let to = MailRecipient::verified(&email, MailBudget::Password);
        self.0.enqueue_mail(&*transaction, &notice, to, now).await?;
        self.0.commit_revocation(transaction, &revoked, now).await
    }

    /// Issues the token of an e-mail, unless there is no recipient or no need.
    pub async fn issue(&self, user: UserId, purpose: EmailTokenPurpose) -> Result<Option<(User, String)>, Error> {
        let transaction = self.0.store.begin().await?;
        // Locked, so that a concurrent password change either revokes this token or happens before it.
        let account = transaction.users().lock(user).await?;
        // A soft-deleted account may only reset its password.
        let is_needed = |account: &Credentials| {
            purpose == EmailTokenPurpose::Reset || (!account.user.email_verified && account.is_active())
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

/// Address of a disowned account until it is purged. It is not a valid address, so no one can register it before.
fn placeholder_email(user: UserId) -> Email {
    Email::new_unchecked(format!("disowned {user}"))
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
