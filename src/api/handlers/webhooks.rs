//! Webhooks, and the log of what they were sent.

use std::collections::BTreeMap;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::types::Type as _;

use super::extract::{Auth, IdempotentWrite, IfMatch, IfNoneMatch, JsonBody, MergePatch, QueryParams};
use super::respond::{
    Done, Failure, Filtering, Found, Fresh, MadeOnce, Matching, Pointing, Promised, Reaching, Redirecting, Shown,
    ShownOnce, Tagged,
};
use super::{Service, Tag};
use crate::contract::page::ListOf as _;
use crate::contract::resource::StaleWebhook;
use crate::contract::webhook::delivery::{Delivery, DeliveryList, DeliveryQuery};
use crate::contract::webhook::test_event::WebhookMessage;
use crate::contract::webhook::{
    NewWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookList, WebhookQuery, WebhookWithSecret,
};
use crate::contract::{DeliveryId, WebhookId};
use crate::services::{Answer, WriteContext};

/// The schemas of what webhooks get and no operation gives: published all the same.
pub(in crate::api) fn webhook_schemas() -> BTreeMap<String, MetaSchema> {
    let mut registry = Registry::new();
    WebhookMessage::register(&mut registry);
    registry.schemas
}

/// A delivery as it is promised by `testWebhook`.
pub(in crate::api) struct TriedOut;

impl Shown<Delivery> for TriedOut {
    fn shown() -> Delivery {
        Delivery::example_of_test()
    }
}

/// A delivery as it is promised by `redeliver`.
pub(in crate::api) struct DeliveredAgain;

impl Shown<Delivery> for DeliveredAgain {
    fn shown() -> Delivery {
        Delivery::example_of_redelivery()
    }
}

pub(in crate::api) struct WebhooksApi;

#[OpenApi(prefix_path = "/v1/webhooks", tag = "Tag::Webhooks")]
impl WebhooksApi {
    /// List my webhooks
    ///
    /// Lists the webhooks of the caller, without their secrets.
    #[oai(path = "/", method = "get", operation_id = "listWebhooks")]
    async fn list(
        &self,
        caller: Auth,
        services: Service<'_>,
        query: QueryParams<WebhookQuery>,
    ) -> Result<Found<WebhookList>, Failure<Filtering>> {
        let page = services.webhooks.list(caller.0, &query.0).await?;
        Ok(Found(WebhookList::new(page, query.0.paging)))
    }

    /// Create a webhook
    ///
    /// Has events sent to an address, of one project or of all of which the caller is a member; invitations only where
    /// the caller is the owner. The `secret` is in this answer and, when it is replaced, in that of
    /// `rotateWebhookSecret`, and in no other answer but a replay with the same `Idempotency-Key`. A user may have 50
    /// webhooks. Who leaves a project keeps the webhooks of
    /// it, which then get nothing. The account is told by mail.
    #[oai(path = "/", method = "post", operation_id = "createWebhook")]
    async fn create(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        body: JsonBody<NewWebhook>,
    ) -> Result<MadeOnce<WebhookWithSecret>, Failure<Pointing>> {
        Ok(MadeOnce(services.webhooks.create(&write.0, body.0).await?))
    }

    /// Get a webhook
    ///
    /// Gives a webhook of the caller, without its secret.
    #[oai(path = "/:webhook_id", method = "get", operation_id = "getWebhook")]
    async fn get(
        &self,
        caller: Auth,
        services: Service<'_>,
        #[oai(name = "If-None-Match")] known: IfNoneMatch,
        webhook_id: Path<WebhookId>,
    ) -> Result<Fresh<Webhook>, Failure<Reaching>> {
        let webhook = services.webhooks.get(caller.0, webhook_id.0).await?;
        Ok(Fresh { answer: Answer::found(&webhook), known: known.0 })
    }

    /// Update a webhook
    ///
    /// Changes what the body names and leaves the rest. A webhook that is switched off gives up what it has not
    /// delivered; when it is switched on again it is sent what happens from then on. Its `disabled_reason` is forgotten
    /// then.
    #[oai(path = "/:webhook_id", method = "patch", operation_id = "updateWebhook")]
    async fn update(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        webhook_id: Path<WebhookId>,
        body: MergePatch<UpdateWebhook>,
    ) -> Result<Tagged<Webhook>, Failure<Matching<Redirecting, StaleWebhook>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        Ok(Tagged(services.webhooks.update(&write, webhook_id.0, body.0).await?))
    }

    /// Delete a webhook
    ///
    /// Removes a webhook for good, with its deliveries. A request that is on its way may still arrive.
    #[oai(path = "/:webhook_id", method = "delete", operation_id = "deleteWebhook")]
    async fn delete(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        webhook_id: Path<WebhookId>,
    ) -> Result<Done, Failure<Matching<Reaching, StaleWebhook>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        services.webhooks.delete(&write, webhook_id.0).await?;
        Ok(Done)
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
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        webhook_id: Path<WebhookId>,
        body: JsonBody<Option<RotateSecret>>,
    ) -> Result<ShownOnce<WebhookWithSecret>, Failure<Reaching>> {
        Ok(ShownOnce(services.webhooks.rotate_secret(&write.0, webhook_id.0, body.0).await?))
    }

    /// Try a webhook out
    ///
    /// Sends the webhook a `webhook.test` event now, be the webhook enabled or not and whatever types it names. What
    /// becomes of it stands in the list of deliveries. A test that fails, even with a 410, never disables a webhook.
    #[oai(path = "/:webhook_id/test", method = "post", operation_id = "testWebhook")]
    async fn test(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        webhook_id: Path<WebhookId>,
    ) -> Result<Promised<Delivery, TriedOut>, Failure<Reaching>> {
        Ok(services.deliveries.test(&write.0, webhook_id.0).await?.into())
    }

    /// List the deliveries of a webhook
    ///
    /// Lists what a webhook of the caller was sent and is to be sent, with every attempt. Deliveries are kept for 30
    /// days, unless the operator says otherwise.
    #[oai(path = "/:webhook_id/deliveries", method = "get", operation_id = "listDeliveries")]
    async fn list_deliveries(
        &self,
        caller: Auth,
        services: Service<'_>,
        webhook_id: Path<WebhookId>,
        query: QueryParams<DeliveryQuery>,
    ) -> Result<Found<DeliveryList>, Failure<Reaching>> {
        let page = services.deliveries.list(caller.0, webhook_id.0, &query.0).await?;
        Ok(Found(DeliveryList::new(page, query.0.paging)))
    }

    /// Deliver an event again
    ///
    /// Sends the event of a delivery once more, now, as a delivery of its own, whatever became of the first. The
    /// `webhook-id` is the same, so that a receiver that has it knows. A webhook that is disabled must be switched on
    /// first: until then the new delivery fails without an attempt, unless it is a test.
    #[oai(path = "/:webhook_id/deliveries/:delivery_id/redeliver", method = "post", operation_id = "redeliver")]
    async fn redeliver(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        webhook_id: Path<WebhookId>,
        delivery_id: Path<DeliveryId>,
    ) -> Result<Promised<Delivery, DeliveredAgain>, Failure<Reaching>> {
        Ok(services.deliveries.redeliver(&write.0, webhook_id.0, delivery_id.0).await?.into())
    }
}
