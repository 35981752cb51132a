//! Webhooks, and the log of what they were sent.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, MergePatch, PathParam, QueryParams};
use crate::api::respond::{Accepted, Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::webhook::delivery::{Delivery, DeliveryList, DeliveryQuery};
use crate::contract::webhook::{
    NewWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookList, WebhookQuery, WebhookWithSecret,
};
use crate::contract::{DeliveryId, WebhookId};
use crate::services::Services;

pub(in crate::api) struct WebhooksApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/webhooks", tag = "Tag::Webhooks")]
impl WebhooksApi {
    /// List my webhooks
    ///
    /// Lists the webhooks of the caller, without their secrets.
    #[oai(path = "/", method = "get", operation_id = "listWebhooks")]
    async fn list(&self, auth: Auth, query: QueryParams<WebhookQuery>) -> Reply<OkJson<WebhookList>> {
        let page = self.services.webhooks.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&WebhookList::new(page, query.0.paging)))
    }

    /// Create a webhook
    ///
    /// Has events sent to an address, of one project or of all of which the caller is a member; invitations only where
    /// the caller is the owner. The `secret` is in this answer and, when it is replaced, in that of
    /// `rotateWebhookSecret`, and in no other answer but a replay with the same `Idempotency-Key`. A user may have 50
    /// webhooks. Who leaves a project keeps the webhooks of
    /// it, which then get nothing. The account is told by mail.
    #[oai(path = "/", method = "post", operation_id = "createWebhook")]
    async fn create(&self, write: AuthWrite, body: JsonBody<NewWebhook>) -> Reply<Created<WebhookWithSecret>> {
        Ok(self.services.webhooks.create(&write.0, body.0).await?.into())
    }

    /// Get a webhook
    ///
    /// Gives a webhook of the caller, without its secret.
    #[oai(path = "/:webhook_id", method = "get", operation_id = "getWebhook")]
    async fn get(&self, auth: Auth, webhook_id: PathParam<WebhookId>) -> Reply<OkJson<Webhook>> {
        Ok(OkJson::with_etag(&self.services.webhooks.get(auth.0, webhook_id.0).await?))
    }

    /// Update a webhook
    ///
    /// Changes what the body names and leaves the rest. A webhook that is switched off gives up what it has not
    /// delivered; when it is switched on again it is sent what happens from then on. Its `disabled_reason` is forgotten
    /// then.
    #[oai(path = "/:webhook_id", method = "patch", operation_id = "updateWebhook")]
    async fn update(
        &self,
        write: AuthWrite,
        webhook_id: PathParam<WebhookId>,
        body: MergePatch<UpdateWebhook>,
    ) -> Reply<OkJson<Webhook>> {
        Ok(self.services.webhooks.update(&write.0, webhook_id.0, body.0).await?.into())
    }

    /// Delete a webhook
    ///
    /// Removes a webhook for good, with its deliveries. A request that is on its way may still arrive.
    #[oai(path = "/:webhook_id", method = "delete", operation_id = "deleteWebhook")]
    async fn delete(&self, write: AuthWrite, webhook_id: PathParam<WebhookId>) -> Reply<NoContent> {
        self.services.webhooks.delete(&write.0, webhook_id.0).await?;
        Ok(NoContent)
    }

    /// Replace the secret of a webhook
    ///
    /// Makes a new secret, which is in this answer and in no other answer but a replay with the same `Idempotency-Key`.
    /// For `overlap_seconds` (a day, unless the body says otherwise) webhook_schemas are also signed with the previous secret,
    /// so that receivers can be told one after the other. Where secrets are replaced while others still overlap,
    /// those that have not expired sign too, the newest ten at most. The body may be left out.
    #[oai(path = "/:webhook_id/rotate-secret", method = "post", operation_id = "rotateWebhookSecret")]
    async fn rotate_secret(
        &self,
        write: AuthWrite,
        webhook_id: PathParam<WebhookId>,
        body: JsonBody<Option<RotateSecret>>,
    ) -> Reply<OkJson<WebhookWithSecret>> {
        Ok(self.services.webhooks.rotate_secret(&write.0, webhook_id.0, body.0).await?.into())
    }

    /// Try a webhook out
    ///
    /// Sends the webhook a `webhook.test` event now, be the webhook enabled or not and whatever types it names. What
    /// becomes of it stands in the list of deliveries. A test that fails, even with a 410, never disables a webhook.
    #[oai(path = "/:webhook_id/test", method = "post", operation_id = "testWebhook")]
    async fn test(&self, write: AuthWrite, webhook_id: PathParam<WebhookId>) -> Reply<Accepted<Delivery>> {
        Ok(self.services.deliveries.test(&write.0, webhook_id.0).await?.into())
    }

    /// List the deliveries of a webhook
    ///
    /// Lists what a webhook of the caller was sent and is to be sent, with every attempt. Deliveries are kept for 30
    /// days, unless the operator says otherwise.
    #[oai(path = "/:webhook_id/deliveries", method = "get", operation_id = "listDeliveries")]
    async fn list_deliveries(
        &self,
        auth: Auth,
        webhook_id: PathParam<WebhookId>,
        query: QueryParams<DeliveryQuery>,
    ) -> Reply<OkJson<DeliveryList>> {
        let page = self.services.deliveries.list(auth.0, webhook_id.0, &query.0).await?;
        Ok(OkJson::new(&DeliveryList::new(page, query.0.paging)))
    }

    /// Deliver an event again
    ///
    /// Sends the event of a delivery once more, now, as a delivery of its own, whatever became of the first. The
    /// `webhook-id` is the same, so that a receiver that has it knows. A webhook that is disabled must be switched on
    /// first: until then the new delivery fails without an attempt, unless it is a test.
    #[oai(path = "/:webhook_id/deliveries/:delivery_id/redeliver", method = "post", operation_id = "redeliver")]
    async fn redeliver(
        &self,
        write: AuthWrite,
        webhook_id: PathParam<WebhookId>,
        delivery_id: PathParam<DeliveryId>,
    ) -> Reply<Accepted<Delivery>> {
        Ok(self.services.deliveries.redeliver(&write.0, webhook_id.0, delivery_id.0).await?.into())
    }
}
