//! API tokens, with which programs authenticate.

use std::sync::Arc;
use std::time::Duration;

use super::auth::new_token;
use crate::contract::account::api_token::{ApiToken, ApiTokenQuery, CreateApiToken, CreatedApiToken, Scope};
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::error::DetailCode;
use crate::contract::page::{Page, Sort};
use crate::contract::strings::ApiTokenSecret;
use crate::contract::{ApiTokenId, Timestamp};
use crate::repositories::{ApiTokenRecord, Job, ResourceRef};
use crate::security::{OpaqueToken, TokenKind};
use crate::services::idempotency::fresh;
use crate::services::mail_budget::{MailBudget, MailRecipient};
use crate::services::webhook::disabled_reason;
use crate::services::{
    Caller, Credential, Error, NewAuditEntry, ReplayAccess, ServiceContext, WriteContext, WriteOutcome, lock_caller,
};

/// Maximum number of valid tokens per user.
const MAX_PER_USER: u64 = 50;

/// Number of expired tokens whose webhooks are disabled between two look-ups.
const EXPIRED_BATCH_SIZE: u64 = 100;

/// Resolution of `last_used_at`: recording every use would make each read a write.
const LAST_USED_RESOLUTION: Duration = Duration::from_mins(1);

/// API tokens.
#[derive(Clone)]
pub struct ApiTokens(pub(crate) Arc<ServiceContext>);

impl ApiTokens {
    /// Lists the caller's tokens.
    pub async fn list(&self, caller: Caller, query: &ApiTokenQuery) -> Result<Page<ApiToken>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        Ok(self.0.read_unindexed(caller.user).await?.api_tokens().list(caller.user, sort, query.paging).await?)
    }

    /// Creates a token. Only this response contains its secret.
    pub async fn create(
        &self,
        write: &WriteContext,
        new: CreateApiToken,
    ) -> Result<WriteOutcome<CreatedApiToken>, Error> {
        let now = self.0.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            let message = "expires_at must be in the future.".to_owned();
            return Err(Error::invalid("expires_at", DetailCode::Minimum, message));
        }
        write.caller.require_session()?;
        let unit = fresh!(self.0.begin(write).await?);
        // Serializes concurrent requests, so that the count is exact.
        let user = lock_caller(&*unit, write.caller).await?;
        if unit.api_tokens().count(write.caller.user, now).await? >= MAX_PER_USER {
            return Err(Error::LimitReached(format!(
                "You already have {MAX_PER_USER} API tokens, which is the maximum. Revoke one first."
            )));
        }
        let secret = new_token()?;
        let api_token = ApiToken {
            id: ApiTokenId::generate(),
            name: new.name,
            // Canonical order.
            scopes: [Scope::Read, Scope::Write].into_iter().filter(|scope| new.scopes.contains(scope)).collect(),
            expires_at: new.expires_at,
            last_used_at: None,
            created_at: now,
        };
        unit.api_tokens().add(&api_token, write.caller.user, &secret.hash()).await?;
        let created = NewAuditEntry::by_caller(AuditEntryType::ApiTokenCreated, write).target(api_token.id.0);
        self.0.audit(&*unit, created, now).await?;
        let notice = Job::ApiTokenCreatedEmail { user: write.caller.user, api_token: api_token.id, at: now.0 };
        self.0.enqueue_mail(&*unit, &notice, MailRecipient::owner(&user, MailBudget::Owner), now).await?;
        let token = ApiTokenSecret::new_unchecked(secret.encode(TokenKind::Api));
        let reference = ResourceRef::ApiToken(api_token.id);
        let outcome = WriteOutcome::result(&CreatedApiToken { api_token, token }).created(reference);
        unit.commit(outcome, ReplayAccess::CallerOnly).await
    }

    /// Revokes one of the caller's tokens, and disables the webhooks that it created.
    pub async fn revoke(&self, write: &WriteContext, id: ApiTokenId) -> Result<WriteOutcome<()>, Error> {
        write.caller.require_session()?;
        let unit = fresh!(self.0.begin(write).await?);
        // Locked so that the token cannot create a webhook concurrently.
        unit.users().lock(write.caller.user).await?.ok_or(Error::TokenRevoked)?;
        let found = unit.api_tokens().find(id).await?;
        let found = found.filter(|found| found.revoked_at.is_none()).ok_or(Error::NotFound("API token"))?;
        if found.user_id != write.caller.user {
            return Err(Error::NotOwner);
        }
        let now = self.0.clock.now();
        if !unit.api_tokens().revoke(id, now).await? {
            return Err(Error::NotFound("API token"));
        }
        let revoked = NewAuditEntry::by_caller(AuditEntryType::ApiTokenRevoked, write).target(id.0);
        self.0.audit(&*unit, revoked, now).await?;
        self.0.disable_webhooks(&*unit, write.caller.user, Some(id), disabled_reason::TOKEN_REVOKED, now).await?;
        // Recorded first, because the database may commit even if the request is dropped.
        self.0.revoked_tokens.insert([id], now);
        let committed = unit.commit(WriteOutcome::done(), ReplayAccess::CallerOnly).await;
        if committed.is_err() {
            self.0.revoked_tokens.remove(&[id]);
        }
        committed
    }

    /// Disables the webhooks of API tokens that have expired.
    pub async fn disable_expired_webhooks(&self) -> Result<(), Error> {
        loop {
            let now = self.0.clock.now();
            let expired = self.0.store.read().webhooks().list_expired_api_tokens(now, EXPIRED_BATCH_SIZE).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for (user, token) in expired {
                let transaction = self.0.store.begin().await?;
                transaction.users().lock(user).await?;
                let reason = disabled_reason::TOKEN_EXPIRED;
                self.0.disable_webhooks(&*transaction, user, Some(token), reason, now).await?;
                transaction.commit().await?;
            }
        }
    }

    /// Returns whether a bearer token has the form of an API token, valid or not.
    pub(crate) fn has_token_prefix(text: &str) -> bool {
        OpaqueToken::parse(TokenKind::Api, text).is_some()
    }

    /// Authenticates the caller by an API token.
    pub(crate) async fn authenticate(&self, text: &str) -> Result<Caller, Error> {
        let secret = OpaqueToken::parse(TokenKind::Api, text).ok_or(Error::Unauthenticated)?;
        let found = self.0.store.read().api_tokens().find_by_hash(&secret.hash()).await?;
        let found = found.ok_or(Error::Unauthenticated)?;
        let now = self.0.clock.now();
        let caller = self.0.caller_with_token(&found, now)?;
        let is_recorded = found.token.last_used_at.is_some_and(|at| at + LAST_USED_RESOLUTION > now);
        if !is_recorded && let Err(error) = self.record_use(found.token.id).await {
            // Not a reason to refuse the request.
            tracing::warn!(%error, "failed to record the use of an API token");
        }
        Ok(caller)
    }

    async fn record_use(&self, id: ApiTokenId) -> Result<(), Error> {
        let transaction = self.0.store.begin().await?;
        transaction.api_tokens().touch(id, self.0.clock.now()).await?;
        Ok(transaction.commit().await?)
    }
}

/// Returns the caller who uses a token, if it is valid.
fn caller(found: &ApiTokenRecord, now: Timestamp) -> Result<Caller, Error> {
    if found.revoked_at.is_some() || !found.is_owner_active {
        return Err(Error::ApiTokenRevoked);
    }
    if found.token.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::ApiTokenExpired);
    }
    let credential = Credential::ApiToken {
        id: found.token.id,
        can_read: found.has(Scope::Read),
        can_write: found.has(Scope::Write),
    };
    Ok(Caller { user: found.user_id, credential, expires_at: found.token.expires_at })
}

impl ServiceContext {
    /// Returns the caller who uses a token, if it is valid.
    pub(crate) async fn api_token_caller(&self, id: ApiTokenId) -> Result<Caller, Error> {
        let found = self.store.read().api_tokens().find(id).await?;
        self.caller_with_token(&found.ok_or(Error::ApiTokenRevoked)?, self.clock.now())
    }

    /// Returns the caller who uses a token, if it is valid, and lets its streams begin.
    fn caller_with_token(&self, found: &ApiTokenRecord, now: Timestamp) -> Result<Caller, Error> {
        let caller = caller(found, now)?;
        if self.revoked_tokens.contains(found.token.id) {
            // The account was disabled and is enabled again. Storage decides.
            self.revoked_tokens.remove(&[found.token.id]);
        }
        Ok(caller)
    }
}
