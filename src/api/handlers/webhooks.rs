//! Webhooks and their deliveries.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, PathParam, QueryParams};
use crate::api::respond::{Accepted, Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::webhook::delivery::{Delivery, DeliveryList, DeliveryQuery};
use crate::contract::webhook::{
    CreateWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookList, WebhookQuery, WebhookWithSecret,
};
use crate::contract::{DeliveryId, WebhookId};
use crate::services::Services;

pub(in crate::api) struct WebhooksApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/webhooks", tag = "Tag::Webhooks")]
impl WebhooksApi {
    /// List your webhooks
    ///
    /// Returns the webhooks of the caller, without their secrets.
    #[oai(path = "/", method = "get", operation_id = "listWebhooks")]
    async fn list(&self, auth: Auth, query: QueryParams<WebhookQuery>) -> Reply<OkJson<WebhookList>> {
        let page = self.services.webhooks.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&WebhookList::new(page, query.0.paging)))
    }

    /// Create a webhook
    ///
    /// Sends the events of one project, or of all projects the caller is a member of, to a URL. Events about
    /// invitations are only sent to the owner of the project. The `secret` is returned only in this response, in that
    /// of `rotateWebhookSecret`, and in replays of both with the same `Idempotency-Key`. A user can have up to 50
    /// webhooks, and one per URL and project. A member who leaves a project keeps the webhooks for it, but they receive
    /// nothing. The account is notified by e-mail.
    ///
    /// It takes both scopes of an API token, because a webhook reports what happens from then on. It is disabled when
    /// the token that created or enabled it, or changed its `url`, last is revoked or expires.
    #[oai(path = "/", method = "post", operation_id = "createWebhook")]
    async fn create(&self, write: AuthWrite, body: JsonBody<CreateWebhook>) -> Reply<Created<WebhookWithSecret>> {
        Ok(self.services.webhooks.create(&write.0, body.0).await?.into())
    }

    /// Get a webhook
    ///
    /// Returns a webhook of the caller, without its secret.
    #[oai(path = "/:webhook_id", method = "get", operation_id = "getWebhook")]
    async fn get(&self, auth: Auth, webhook_id: PathParam<WebhookId>) -> Reply<OkJson<Webhook>> {
        Ok(OkJson::with_etag(&self.services.webhooks.get(auth.0, webhook_id.0).await?))
    }

    /// Update a webhook
    ///
    /// Changes the fields in the body and keeps the others. Disabling a webhook cancels its undelivered messages.
    /// Enabling it again resets `disabled_reason`; it then receives the events that happen from that point on.
    #[oai(path = "/:webhook_id", method = "patch", operation_id = "updateWebhook")]
    async fn update(
        &self,
        write: AuthWrite,
        webhook_id: PathParam<WebhookId>,
        body: JsonBody<UpdateWebhook>,
    ) -> Reply<OkJson<Webhook>> {
        Ok(self.services.webhooks.update(&write.0, webhook_id.0, body.0).await?.into())
    }

    /// Delete a webhook
    ///
    /// Deletes a webhook and its deliveries permanently. A message that is already on its way may still arrive.
    #[oai(path = "/:webhook_id", method = "delete", operation_id = "deleteWebhook")]
    async fn delete(&self, write: AuthWrite, webhook_id: PathParam<WebhookId>) -> Reply<NoContent> {
        Ok(self.services.webhooks.delete(&write.0, webhook_id.0).await?.into())
    }

    /// Rotate the secret of a webhook
    ///
    /// Creates a new secret, which is returned only in this response and in replays with the same `Idempotency-Key`.
    /// For `overlap_seconds` (a day by default) messages are also signed with the previous secret, so that receivers
    /// can be updated one after the other. If secrets are rotated while earlier ones still overlap, all unexpired
    /// secrets sign, up to the ten newest. The body is optional.
    #[oai(path = "/:webhook_id/rotate-secret", method = "post", operation_id = "rotateWebhookSecret")]
    async fn rotate_secret(
        &self,
        write: AuthWrite,
        webhook_id: PathParam<WebhookId>,
        body: JsonBody<Option<RotateSecret>>,
    ) -> Reply<OkJson<WebhookWithSecret>> {
        Ok(self.services.webhooks.rotate_secret(&write.0, webhook_id.0, body.0).await?.into())
    }

    /// Test a webhook
    ///
    /// Sends a `webhook.test` event to the webhook immediately, even if it is disabled and regardless of its `events`.
    /// The result is in the list of deliveries. A failed test never disables a webhook, not even a 410.
    #[oai(path = "/:webhook_id/test", method = "post", operation_id = "testWebhook")]
    async fn test(&self, write: AuthWrite, webhook_id: PathParam<WebhookId>) -> Reply<Accepted<Delivery>> {
        Ok(self.services.deliveries.test(&write.0, webhook_id.0).await?.into())
    }

    /// List the deliveries of a webhook
    ///
    /// Returns the past and pending deliveries of a webhook of the caller, with every attempt. Deliveries are kept for
    /// 30 days (configurable by the operator).
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

    /// Redeliver an event
    ///
    /// Sends the event of a delivery again immediately, as a new delivery and regardless of the outcome of the first.
    /// The `webhook-id` is the same, so a receiver can detect the duplicate. A disabled webhook must be enabled first,
    /// otherwise the new delivery fails without an attempt; tests are sent regardless.
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
