//! Test event, which is sent to a webhook on request.

use poem_openapi::types::Example;
use poem_openapi::{Object, Union};

use super::Webhook;
use crate::contract::event::previous::AlwaysNull;
use crate::contract::event::{EventType, occurrence};
use crate::contract::{EventId, ProjectId, Timestamp, UserId, world};

/// Message that is sent only to webhooks and not listed among events.
#[derive(Debug, Clone, Union)]
#[oai(discriminator_name = "type", one_of = true)]
pub enum WebhookMessage {
    /// Test of a webhook.
    #[oai(mapping = "webhook.test")]
    WebhookTest(WebhookTestEvent),
}

/// Test of a webhook.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct WebhookTestEvent {
    /// Event id.
    pub id: EventId,
    /// Always null: test events have no sequence number.
    pub sequence: Option<i64>,
    /// Project of the webhook; null if it covers all projects.
    pub project_id: Option<ProjectId>,
    /// User who sent the test.
    pub actor_id: Option<UserId>,
    /// Time of the event.
    pub occurred_at: Timestamp,
    /// Webhook under test.
    pub data: Webhook,
    /// Always null: nothing has changed.
    pub previous: AlwaysNull,
    /// `X-Request-Id` of the request that sent the test.
    pub request_id: Option<String>,
}

impl Example for WebhookTestEvent {
    fn example() -> Self {
        let (data, event) = (Webhook::example(), occurrence(EventType::WebhookTest));
        Self {
            id: event.id,
            sequence: None,
            project_id: data.project_id,
            actor_id: Some(event.actor),
            occurred_at: event.at,
            data,
            previous: AlwaysNull,
            request_id: Some(world::REQUEST_ID.to_owned()),
        }
    }
}
