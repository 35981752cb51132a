//! Deliveries of events to webhooks, and their attempts.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use crate::contract::event::{EventType, occurrence};
use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::{DeliveryId, EventId, Timestamp, WebhookId, world};

/// State of a delivery.
///
/// `pending`: a retry, or the first attempt of a test or redelivery, is scheduled. `delivered`: the endpoint responded
/// with a 2xx status. `failed`: all attempts failed, the webhook was disabled, or its owner lost access to the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// An attempt is scheduled.
    Pending,
    /// The endpoint responded with a 2xx status.
    Delivered,
    /// No further attempts will be made.
    Failed,
}

/// Delivery attempt.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct DeliveryAttempt {
    /// Time of the attempt.
    pub at: Timestamp,
    /// HTTP status of the response; null if there was none.
    #[oai(validator(minimum(value = "100"), maximum(value = "999")))]
    pub status_code: Option<u16>,
    /// Reason for a missing or rejected response; null if the status explains it.
    pub error: Option<String>,
    /// Duration in milliseconds.
    #[oai(validator(minimum(value = "0")))]
    pub duration_ms: i64,
    /// Beginning of the response body, at most 8 KiB; null if the body is empty.
    pub response_excerpt: Option<String>,
}

example!(DeliveryAttempt {
    at: world::january(14, 8, 30),
    status_code: Some(503),
    error: None,
    duration_ms: 84,
    response_excerpt: Some("Try again later.".to_owned())
});

/// Delivery of an event to a webhook, with its attempts.
///
/// An event is listed once it was attempted. Until then it waits in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Delivery {
    /// Delivery id.
    pub id: DeliveryId,
    /// Webhook id.
    pub webhook_id: WebhookId,
    /// Event id, sent as the `webhook-id` header. It stays the same across attempts and redeliveries.
    pub event_id: EventId,
    /// Event type.
    pub event_type: EventType,
    /// State of the delivery.
    pub status: DeliveryStatus,
    /// Attempts so far, oldest first.
    /// Empty if a test or redelivery was not attempted yet, or was cancelled before because the webhook was disabled or
    /// its owner lost access.
    pub attempts: Vec<DeliveryAttempt>,
    /// Time of the next attempt; null if none is scheduled.
    pub next_attempt_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
}

example!(Delivery {
    id,
    webhook_id,
    event_id: occurrence(EventType::TaskUpdated).id,
    event_type: EventType::TaskUpdated,
    status: DeliveryStatus::Pending,
    attempts: vec![DeliveryAttempt::example()],
    next_attempt_at: Some(Timestamp(world::january(14, 8, 30).0 + 5_000)),
    created_at: world::january(14, 8, 30)
});

impl Delivery {
    /// Returns an example of a test delivery.
    #[must_use]
    pub fn example_of_test() -> Self {
        let kind = EventType::WebhookTest;
        Self { event_id: occurrence(kind).id, event_type: kind, ..Self::due(world::test_delivery(), 40) }
    }

    /// Returns an example of a redelivery.
    #[must_use]
    pub fn example_of_redelivery() -> Self {
        Self::due(world::redelivery(), 35)
    }

    /// Returns an example of a delivery that was just created.
    fn due(id: DeliveryId, minute: u16) -> Self {
        let now = world::january(14, 8, minute);
        Self { id, attempts: Vec::new(), next_attempt_at: Some(now), created_at: now, ..Self::example() }
    }
}

collection! {
    /// Page of deliveries.
    DeliveryList of Delivery;

    /// Sort field of deliveries.
    DeliverySort {
        /// Time of creation.
        CreatedAt: Desc,
    }

    /// Query parameters for listing deliveries.
    DeliveryQuery {
        /// Sort direction.
        #[oai(default = "crate::contract::page::newest_first")]
        dir,
        /// Filters by state.
        status: Option<DeliveryStatus>,
        /// Filters by event type.
        event_type: Option<EventType>,
    }
}
