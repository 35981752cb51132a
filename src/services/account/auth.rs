//! Registration, login, refresh tokens and authentication.

use std::sync::Arc;

use super::deletion;
use super::login_limits::LoginAttempt;
use super::new_passwords::PasswordField;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::account::session::{Session, TokenType};
use crate::contract::account::user::{Login, Register, User};
use crate::contract::strings::{AccessToken, Email, RefreshToken};
use crate::contract::{SessionId, Timestamp, UserId, email};
use crate::repositories::{
    Credentials, Job, NewEvent, NewRefreshToken, NewSession, RefreshTokenRecord, Revocation, Transaction,
};
use crate::security::{Claims, OpaqueToken, TokenError, TokenKind, Verification};
use crate::services::event::publish::EventContext;
use crate::services::mail_budget::MailRecipient;
use crate::services::{Caller, Credential, Error, NewAuditEntry, RequestMetadata, ServiceContext, WriteContext};

/// Maximum number of successors that a refresh follows; each reuse adds one.
const MAX_SUCCESSORS: usize = 32;

/// Maximum number of verifications of a login whose account changes at the same time.
const MAX_RENEWALS: usize = 3;
/// Maximum number of sessions of a user; the oldest end.
const MAX_SESSIONS_PER_USER: u64 = 1_000;

/// Registration, login, refresh tokens and authentication.
#[derive(Clone)]
pub struct Accounts(pub(crate) Arc<ServiceContext>);

impl Accounts {
    /// Creates an account and starts its first session.
    pub async fn register(&self, new: Register, client: RequestMetadata) -> Result<Session, Error> {
        let email = normalize_email(&new.email);
        // Avoids the slow hash in the common case. The unique index below decides.
        let is_taken = self.0.store.read().users().find_credentials_by_email(&email).await?.is_some();
        let password = PasswordField::new("password", new.password, &[&new.name, &email]);
        if is_taken {
            self.0.require_strong(password, client.network()).await?;
            return Err(Error::EmailTaken);
        }
        let password_hash = self.0.hash_password(password, client.network()).await?;
        let now = self.0.clock.now();
        let user = User {
            id: UserId::generate(),
            email,
            name: new.name,
            timezone: new.timezone,
            weekly_digest: new.weekly_digest,
            email_verified: !self.0.policy.require_verification,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let transaction = self.0.store.begin().await?;
        if !transaction.users().add(&user, &password_hash).await? {
            return Err(Error::EmailTaken);
        }
        self.0.schedule_digest(&*transaction, &user, None, now).await?;
        let to = MailRecipient::stranger(&user.email);
        self.0.enqueue_mail(&*transaction, &Job::WelcomeEmail { user: user.id }, to, now).await?;
        if !user.email_verified {
            self.0.enqueue_mail(&*transaction, &Job::VerificationEmail { user: user.id }, to, now).await?;
        }
        self.begin_session(transaction, AuditEntryType::AccountRegistered, user, client, &[], now).await
    }

    /// Starts a session.
    /// An unknown address takes as long and fails in the same way as a wrong password. Logging in restores a
    /// soft-deleted account and everything that was deleted with it.
    pub async fn log_in(&self, login: Login, client: RequestMetadata) -> Result<Session, Error> {
        self.0.note_password_costs().await?;
        let email = normalize_email(&login.email);
        let password = login.password.into_string();
        let mut account = self.0.store.read().users().find_credentials_by_email(&email).await?;
        // The turn comes first: a login that is not reached in time must not count as a failure.
        let turn = self.0.passwords.wait_for_turn(client.network()).await?;
        let user = account.as_ref().map(|account| account.user.id);
        let attempt = self.0.begin_login(&email, user, &client).await?;
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let mut verification = self.0.passwords.verify(turn, password.clone(), hash).await?;
        for _ in 0..MAX_RENEWALS {
            let (Verification::Right { renewed_hash }, Some(known)) = (&verification, &account) else { break };
            let transaction = self.0.store.begin().await?;
            // A concurrent password change ends all sessions under this lock. This session must exist before that, or
            // must not start.
            let current = transaction.users().lock(known.user.id).await?.ok_or(Error::InvalidCredentials)?;
            if current.password_hash == known.password_hash {
                return self.complete_login(transaction, current, renewed_hash.clone(), &attempt, client).await;
            }
            // A concurrent request changed the password, or a login renewed its hash.
            drop(transaction);
            let turn = self.0.passwords.wait_for_turn(client.network()).await?;
            verification = self.0.passwords.verify(turn, password.clone(), Some(current.password_hash.clone())).await?;
            account = Some(current);
        }
        self.0.record_failed_login(&attempt, &email, account.as_ref(), &client).await?;
        Err(Error::InvalidCredentials)
    }

    /// Starts the session of a login with the right password.
    async fn complete_login(
        &self,
        transaction: Box<dyn Transaction>,
        account: Credentials,
        renewed_hash: Option<String>,
        attempt: &LoginAttempt,
        client: RequestMetadata,
    ) -> Result<Session, Error> {
        // Only after the right password: a stranger does not learn it.
        if account.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        let now = self.0.clock.now();
        let mut events = Vec::new();
        let id = account.user.id;
        let user = match account.deleted_at {
            None => account.user,
            Some(at) if at > self.0.trash_cutoff() => {
                let context = EventContext { actor: Some(id), at: now, request_id: client.request_id.clone() };
                events = deletion::restore(&*transaction, id, &context).await?;
                let user = transaction.users().find(id).await?.ok_or(Error::InvalidCredentials)?;
                self.0.schedule_digest(&*transaction, &user, None, now).await?;
                let restored = NewAuditEntry::by_user(AuditEntryType::AccountRestored, user.id, &client);
                self.0.audit(&*transaction, restored, now).await?;
                user
            }
            // About to be purged.
            Some(_) => return Err(Error::InvalidCredentials),
        };
        if let Some(renewed) = renewed_hash {
            transaction.users().renew_password_hash(id, &account.password_hash, &renewed).await?;
        }
        self.0.refund_login(&*transaction, attempt, now).await?;
        self.begin_session(transaction, AuditEntryType::LoginSucceeded, user, client, &events, now).await
    }

    /// Rotates a refresh token and issues a new access token.
    ///
    /// Within the grace period, a used token returns the same successor, because two tabs may use it at once. After
    /// that, reuse means theft, and the session ends.
    pub async fn refresh(&self, token: &RefreshToken, client: &RequestMetadata) -> Result<Session, Error> {
        let mut token = OpaqueToken::parse(TokenKind::Refresh, token).ok_or(Error::InvalidRefreshToken)?;
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        for _ in 0..MAX_SUCCESSORS {
            let record = transaction.sessions().lock_refresh_token(&token.hash()).await?;
            let record = record
                .filter(|record| record.expires_at > now && record.session_ended_at.is_none())
                .ok_or(Error::InvalidRefreshToken)?;
            match (record.used_at, &record.encrypted_successor) {
                (Some(spent), Some(sealed)) if spent + self.0.policy.refresh_grace > now => {
                    let successor = token.open(sealed).ok_or(Error::InvalidRefreshToken)?;
                    let known = transaction.sessions().lock_refresh_token(&successor.hash()).await?;
                    if known.is_some_and(|next| next.used_at.is_none()) {
                        return self.complete_refresh(transaction, record, &successor, now).await;
                    }
                    // The successor was used too, so follow it.
                    token = successor;
                }
                (Some(_), _) => {
                    let kind = AuditEntryType::RefreshTokenReused;
                    let reused = NewAuditEntry::by_stranger(kind, Some(record.user_id), client);
                    self.0.audit(&*transaction, reused.target(record.session_id.0), now).await?;
                    self.end_session_and_commit(transaction, record.session_id, now).await?;
                    return Err(Error::RefreshTokenReused);
                }
                (None, _) => {
                    let successor = self.issue_refresh_token(&*transaction, record.session_id, now).await?;
                    let sealed = token.seal(&successor);
                    transaction.sessions().rotate_refresh_token(&token.hash(), now, &sealed).await?;
                    return self.complete_refresh(transaction, record, &successor, now).await;
                }
            }
        }
        Err(Error::InvalidRefreshToken)
    }

    /// Ends the session of the caller.
    pub async fn log_out(&self, write: &WriteContext) -> Result<(), Error> {
        let session = write.caller.require_session()?;
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let ended = NewAuditEntry::by_caller(AuditEntryType::Logout, write);
        self.0.audit(&*transaction, ended, now).await?;
        self.end_session_and_commit(transaction, session, now).await
    }

    /// Authenticates the caller by an access token, without a database query.
    pub(crate) fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        let (Claims { user, session }, end) =
            self.0.tokens.verify(token, self.0.clock.now()).map_err(|error| match error {
                TokenError::Invalid => Error::Unauthenticated,
                TokenError::Expired => Error::TokenExpired,
            })?;
        if self.0.ended_sessions.contains(session) {
            return Err(Error::TokenRevoked);
        }
        Ok(Caller { user, credential: Credential::Session(session), expires_at: Some(end) })
    }

    /// Loads the sessions and API tokens that other processes have revoked.
    pub async fn sync_revocations(&self) -> Result<(), Error> {
        let now = self.0.clock.now();
        let since = self.0.ended_sessions.sync_since(now);
        let ended = self.0.store.read().sessions().list_ended(since).await?;
        self.0.ended_sessions.merge(ended, now);
        let since = self.0.revoked_tokens.sync_since(now);
        let revoked = self.0.store.read().api_tokens().list_revoked(since).await?;
        self.0.revoked_tokens.merge(revoked, now);
        Ok(())
    }

    /// Waits for a revocation that is announced, and applies it. Returns false if some may have been missed.
    pub async fn apply_announced_revocation(&self) -> bool {
        match self.0.store.next_revocation().await {
            Revocation::Sessions(ended) => self.0.ended_sessions.insert(ended, self.0.clock.now()),
            Revocation::ApiTokens(revoked) => self.0.revoked_tokens.insert(revoked, self.0.clock.now()),
            Revocation::Missed => return false,
        }
        true
    }

    async fn end_session_and_commit(
        &self,
        transaction: Box<dyn Transaction>,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(), Error> {
        transaction.sessions().end(session, now).await?;
        self.0.commit_and_revoke(transaction, &[session], now).await
    }

    async fn begin_session(
        &self,
        transaction: Box<dyn Transaction>,
        kind: AuditEntryType,
        user: User,
        client: RequestMetadata,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<Session, Error> {
        let id = SessionId::generate();
        self.0.audit(&*transaction, NewAuditEntry::by_user(kind, user.id, &client).session(id), now).await?;
        let address = client.address;
        let session = NewSession {
            id,
            user_id: user.id,
            user_agent: client.user_agent,
            created_at: now,
            expires_at: now + self.0.policy.refresh_token,
        };
        transaction.sessions().add(&session).await?;
        self.0.add_known_address(&*transaction, session.user_id, address, now).await?;
        // A change of the password revokes all sessions in one transaction.
        let ended = transaction.sessions().end_oldest(user.id, MAX_SESSIONS_PER_USER, now).await?;
        let refresh_token = self.issue_refresh_token(&*transaction, session.id, now).await?;
        self.0.publish(&*transaction, events).await?;
        self.0.commit_and_revoke(transaction, &ended, now).await?;
        self.session(user, session.id, &refresh_token, now)
    }

    async fn issue_refresh_token(
        &self,
        transaction: &dyn Transaction,
        session_id: SessionId,
        now: Timestamp,
    ) -> Result<OpaqueToken, Error> {
        let token = new_token()?;
        let expires_at = now + self.0.policy.refresh_token;
        let new = NewRefreshToken { hash: token.hash(), session_id, created_at: now, expires_at };
        transaction.sessions().add_refresh_token(&new).await?;
        Ok(token)
    }

    async fn complete_refresh(
        &self,
        transaction: Box<dyn Transaction>,
        record: RefreshTokenRecord,
        refresh_token: &OpaqueToken,
        now: Timestamp,
    ) -> Result<Session, Error> {
        let expires_at = now + self.0.policy.refresh_token;
        transaction.sessions().touch(record.session_id, now, expires_at).await?;
        let user = transaction.users().find(record.user_id).await?.ok_or(Error::InvalidRefreshToken)?;
        transaction.commit().await?;
        self.session(user, record.session_id, refresh_token, now)
    }

    fn session(
        &self,
        user: User,
        session: SessionId,
        refresh_token: &OpaqueToken,
        now: Timestamp,
    ) -> Result<Session, Error> {
        let claims = Claims { user: user.id, session };
        let access_token = self.0.tokens.sign(claims, now).map_err(|error| Error::Token(Box::new(error)))?;
        Ok(Session {
            user,
            access_token: AccessToken::new_unchecked(access_token),
            token_type: TokenType::Bearer,
            expires_in: self.0.tokens.ttl().as_secs(),
            refresh_token: RefreshToken::new_unchecked(refresh_token.encode(TokenKind::Refresh)),
        })
    }
}

pub(crate) fn new_token() -> Result<OpaqueToken, Error> {
    OpaqueToken::generate().map_err(|error| Error::Token(Box::new(error)))
}

/// Normalizes an address, which the command line does not.
pub(crate) fn normalize_email(address: &Email) -> Email {
    Email::new_unchecked(email::normalize(address))
}
