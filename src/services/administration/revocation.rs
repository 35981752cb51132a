//! Webhooks and API tokens: disabling and revocation by the operator.

use super::Administration;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::webhook::Webhook;
use crate::contract::{ApiTokenId, UserId, WebhookId};
use crate::repositories::{Job, WebhookRecord};
use crate::security::{OpaqueToken, TokenKind};
use crate::services::account::grants::Revoked;
use crate::services::mail_budget::{MailBudget, MailRecipient};
use crate::services::operator::Operator;
use crate::services::webhook::disabled_reason;
use crate::services::webhook::queue::enqueue_delivery_jobs;
use crate::services::webhook::record::cancel_pending;
use crate::services::{Error, NewAuditEntry};

impl Administration {
    /// Lists at most `limit` webhooks of an account or of all, the newest first.
    pub async fn list_webhooks(
        &self,
        owner: Option<UserId>,
        enabled: Option<bool>,
        limit: u64,
    ) -> Result<Vec<WebhookRecord>, Error> {
        let repositories = self.0.store.read_unindexed();
        Ok(repositories.webhook_maintenance().list_all(owner, enabled, limit).await?)
    }

    /// Disables a webhook, cancels its deliveries and notifies its owner; `None` if it already is disabled.
    ///
    /// The owner can enable it again.
    pub async fn disable_webhook(&self, operator: &Operator, id: WebhookId) -> Result<Option<Webhook>, Error> {
        let not_found = || Error::NotFound("webhook");
        let owner = self.0.store.read().webhooks().find(id).await?.ok_or_else(not_found)?.owner;
        let transaction = self.0.store.begin().await?;
        // In the lock order: the account first.
        let owner = transaction.users().lock(owner).await?.ok_or_else(not_found)?.user;
        let mut record = transaction.webhooks().lock(id).await?.ok_or_else(not_found)?;
        if !record.webhook.enabled {
            return Ok(None);
        }
        let now = self.0.clock.now();
        record.webhook.enabled = false;
        record.webhook.disabled_reason = Some(disabled_reason::OPERATOR.to_owned());
        record.webhook.version += 1;
        record.webhook.updated_at = now;
        record.health.cancel_through = cancel_pending(&*transaction, id, now).await?;
        transaction.webhooks().update(&record).await?;
        let disabled = NewAuditEntry::by_operator(AuditEntryType::WebhookUpdated, owner.id, operator).target(id.0);
        self.0.audit(&*transaction, disabled, now).await?;
        if record.health.cancel_through.is_some() {
            enqueue_delivery_jobs(&*transaction, [(id, record.health.is_degraded)], now).await?;
        }
        let notice = Job::WebhookDisabledEmail { webhook: id };
        self.0.enqueue_mail(&*transaction, &notice, MailRecipient::owner(&owner, MailBudget::Owner), now).await?;
        transaction.commit().await?;
        tracing::info!(%operator, webhook.id = %id, user.id = %owner.id, "webhook disabled");
        Ok(Some(record.webhook))
    }

    /// Revokes an API token, given by its id or as the token itself, and disables the webhooks that it created.
    /// Returns its id.
    pub async fn revoke_token(&self, operator: &Operator, id_or_token: &str) -> Result<ApiTokenId, Error> {
        let tokens = self.0.store.read().api_tokens();
        let found = match OpaqueToken::parse(TokenKind::Api, id_or_token) {
            Some(secret) => tokens.find_by_hash(&secret.hash()).await?,
            None => match ApiTokenId::parse(id_or_token) {
                Some(id) => tokens.find(id).await?,
                None => None,
            },
        };
        let found = found.ok_or(Error::NotFound("API token"))?;
        let (id, user) = (found.token.id, found.user_id);
        let transaction = self.0.store.begin().await?;
        // Locked so that the token cannot create a webhook concurrently.
        transaction.users().lock(user).await?.ok_or(Error::NotFound("API token"))?;
        let now = self.0.clock.now();
        if !transaction.api_tokens().revoke(id, now).await? {
            // Revoked before.
            return Err(Error::ApiTokenRevoked);
        }
        let revoked = NewAuditEntry::by_operator(AuditEntryType::ApiTokenRevoked, user, operator).target(id.0);
        self.0.audit(&*transaction, revoked, now).await?;
        self.0.disable_webhooks(&*transaction, user, Some(id), disabled_reason::TOKEN_REVOKED, now).await?;
        let revoked = Revoked { api_tokens: vec![id], ..Revoked::default() };
        self.0.commit_revocation(transaction, &revoked, now).await?;
        tracing::info!(%operator, api_token.id = %id, user.id = %user, "API token revoked");
        Ok(id)
    }
}
