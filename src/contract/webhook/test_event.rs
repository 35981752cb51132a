//! What webhooks get beside the events of the feed.

use poem_openapi::types::Example;
use poem_openapi::{Object, Union};

use super::Webhook;
use crate::contract::event::payloads::REQUEST_ID;
use crate::contract::event::previous::AlwaysNull;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};

/// What stands in no feed, and is sent to webhooks only.
#[derive(Debug, Clone, Union)]
#[oai(discriminator_name = "type", one_of = true)]
pub enum WebhookMessage {
    /// Somebody tries out a webhook.
    #[oai(mapping = "webhook.test")]
    WebhookTest(WebhookTestEvent),
}

/// Somebody tries out a webhook.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct WebhookTestEvent {
    /// The id of the event.
    pub id: EventId,
    /// Null: it stands in no feed.
    pub sequence: AlwaysNull,
    /// The project of the webhook, if it has one.
    pub project_id: Option<ProjectId>,
    /// The user who did it.
    pub actor_id: Option<UserId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The webhook.
    pub data: Webhook,
    /// Null: nothing has changed.
    pub previous: AlwaysNull,
    /// The `X-Request-Id` of the request that did it.
    pub request_id: Option<String>,
}

impl Example for WebhookTestEvent {
    fn example() -> Self {
        let data = Webhook::example();
        Self {
            id: EventId::example(),
            sequence: AlwaysNull,
            project_id: data.project_id,
            actor_id: Some(UserId::example()),
            occurred_at: Timestamp::example(),
            data,
            previous: AlwaysNull,
            request_id: Some(REQUEST_ID.to_owned()),
        }
    }
}
