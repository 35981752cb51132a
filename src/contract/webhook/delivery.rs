//! Deliveries: what became of the attempts to tell a webhook of an event.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use crate::contract::event::EventType;
use crate::contract::page::{Direction, Paging, SortField, list_type, newest_first};
use crate::contract::{DeliveryId, EventId, Timestamp, WebhookId};

/// What became of a delivery. `pending`: there is an attempt to come, the first or one after a failure. `delivered`: an
/// attempt was answered with a status of 2xx. `failed`: it was given up, after the last attempt, or before it because
/// the webhook was disabled, or its owner may not see the event any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// There is an attempt to come.
    Pending,
    /// The receiver has it: an attempt was answered with a status of 2xx.
    Delivered,
    /// It was given up, after the last attempt or before it.
    Failed,
}

/// An attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct DeliveryAttempt {
    /// When it was made.
    pub at: Timestamp,
    /// The status of the answer; null when none came.
    #[oai(validator(minimum(value = "100"), maximum(value = "999")))]
    pub status_code: Option<u16>,
    /// Why there is no answer, or why it does not count; null when its status says all.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    #[oai(validator(minimum(value = "0")))]
    pub duration_ms: i64,
    /// The beginning of the answer, at most 8 KiB; null when it has no body.
    pub response_excerpt: Option<String>,
}

impl Example for DeliveryAttempt {
    fn example() -> Self {
        Self {
            at: Timestamp::example(),
            status_code: Some(503),
            error: None,
            duration_ms: 84,
            response_excerpt: Some("try again later".to_owned()),
        }
    }
}

/// A message to a webhook about one event, and the attempts to deliver it.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Delivery {
    /// The id of the delivery.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The event, and the `webhook-id` of the message: the same in every attempt, and when it is delivered again.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// What became of it.
    pub status: DeliveryStatus,
    /// The attempts so far, the oldest first. A delivery may fail without one: when the webhook was disabled meanwhile,
    /// or its owner may not see the event any more.
    pub attempts: Vec<DeliveryAttempt>,
    /// When the next attempt is due; null when there is none to come.
    pub next_attempt_at: Option<Timestamp>,
    /// When the delivery was made.
    pub created_at: Timestamp,
}

impl Example for Delivery {
    fn example() -> Self {
        Self {
            id: DeliveryId::example(),
            webhook_id: WebhookId::example(),
            event_id: EventId::example(),
            event_type: EventType::TaskUpdated,
            status: DeliveryStatus::Pending,
            attempts: vec![DeliveryAttempt::example()],
            next_attempt_at: Some(Timestamp::example()),
            created_at: Timestamp::example(),
        }
    }
}

impl Delivery {
    /// An example of one that tries a webhook out.
    #[must_use]
    pub fn example_of_test() -> Self {
        Self { event_type: EventType::WebhookTest, attempts: Vec::new(), ..Self::example() }
    }

    /// An example of one that delivers the event of another again.
    #[must_use]
    pub fn example_of_redelivery() -> Self {
        let id = DeliveryId::parse("01936f62-9600-77b6-aac1-d617c8093522").unwrap_or_else(DeliveryId::example);
        Self { id, attempts: Vec::new(), ..Self::example() }
    }
}

list_type! {
    /// A page of deliveries.
    DeliveryList of Delivery
}

/// What deliveries can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DeliverySort {
    /// By the time the delivery was made.
    CreatedAt,
}

impl SortField for DeliverySort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt => Direction::Desc,
        }
    }
}

/// Which deliveries to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct DeliveryQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "DeliverySort::default_field")]
    pub sort: Option<DeliverySort>,
    /// The direction of the sort.
    #[oai(default = "newest_first")]
    pub dir: Option<Direction>,
    /// Only deliveries with this status.
    pub status: Option<DeliveryStatus>,
    /// Only deliveries of events of this type.
    pub event_type: Option<EventType>,
}
