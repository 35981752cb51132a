//! Webhooks: addresses that are told of every change.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Enum, Object};

use crate::contract::event::WebhookEventName;
use crate::contract::page::{Direction, Paging, SortField, list_type, newest_first};
use crate::contract::strings::{EventName, WebhookDescription, WebhookSecret, WebhookUrl};
use crate::contract::{ProjectId, Timestamp, WebhookId};

pub mod delivery;
pub mod test_event;

/// An address that is told of changes.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Webhook {
    /// The id of the webhook.
    pub id: WebhookId,
    /// Where the events are sent to.
    pub url: WebhookUrl,
    /// The project whose events are sent; null for all projects of which you are a member, now or later.
    pub project_id: Option<ProjectId>,
    /// The types of the events that are sent, or `*` for all that there are and will be. New types may come.
    pub events: Vec<EventName>,
    /// What it is for.
    pub description: Option<WebhookDescription>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why events are no longer sent, if the service disabled the webhook: its receiver failed or answered 410, or the
    /// password of the account was reset, or changed with `revoke_all`. Null if it is enabled or you disabled it
    /// yourself.
    pub disabled_reason: Option<String>,
    /// Counts the changes of this resource, from 1.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the webhook was created.
    pub created_at: Timestamp,
    /// When the webhook was last changed.
    pub updated_at: Timestamp,
}

impl Example for Webhook {
    fn example() -> Self {
        Self {
            id: WebhookId::example(),
            url: WebhookUrl::example(),
            project_id: Some(ProjectId::example()),
            events: vec![EventName::example()],
            description: Some(WebhookDescription::example()),
            enabled: true,
            disabled_reason: None,
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

/// A webhook with its secret, which is shown only when it is made or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct WebhookWithSecret {
    /// What is known about the webhook.
    #[oai(flatten)]
    pub webhook: Webhook,
    /// With what its messages are signed, as Standard Webhooks has it: `whsec_` and the key in base64. Keep it: it
    /// cannot be shown again.
    pub secret: WebhookSecret,
}

impl Example for WebhookWithSecret {
    fn example() -> Self {
        Self { webhook: Webhook::example(), secret: WebhookSecret::example() }
    }
}

/// What it takes to make a webhook.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewWebhook {
    /// Where to send the events: an absolute `https` URL of a public address, without a user and password, a fragment
    /// and the port 0. Anything else is a 422 `WEBHOOK_URL_FORBIDDEN`, unless the operator allows `http` or the address;
    /// a text that is empty, too long or has control characters is a 400. A name is looked up for each attempt, not
    /// now: one that leads to an address that is not public is taken here, and every attempt fails.
    pub url: WebhookUrl,
    /// The project whose events are sent, of which you must be a member; null or absent: all projects of which you are
    /// a member, now or later.
    #[oai(nullable)]
    pub project_id: Option<ProjectId>,
    /// The types of events to send, each once, or `*` alone for all that there are and will be.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    pub events: Vec<WebhookEventName>,
    /// What it is for.
    #[oai(nullable)]
    pub description: Option<WebhookDescription>,
    /// Whether to send events.
    #[oai(default = "enabled")]
    pub enabled: bool,
}

const fn enabled() -> bool {
    true
}

impl Example for NewWebhook {
    fn example() -> Self {
        Self {
            url: WebhookUrl::example(),
            project_id: None,
            events: vec![WebhookEventName::TaskUpdated],
            description: Some(WebhookDescription::example()),
            enabled: true,
        }
    }
}

/// What changes about a webhook: what is absent stays, `null` clears.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateWebhook {
    /// Where to send the events; the same rules as for a new webhook.
    pub url: Option<WebhookUrl>,
    /// The project whose events are sent, of which you must be a member; null: all projects of which you are a member,
    /// now or later.
    #[oai(nullable)]
    pub project_id: MaybeUndefined<ProjectId>,
    /// The types of events to send, each once, or `*` alone for all that there are and will be.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    pub events: Option<Vec<WebhookEventName>>,
    /// What it is for.
    #[oai(nullable)]
    pub description: MaybeUndefined<WebhookDescription>,
    /// Whether to send events. `false` gives up the deliveries that are pending; `true` forgets why the webhook was
    /// disabled, and sends what happens from now on.
    pub enabled: Option<bool>,
}

impl Example for UpdateWebhook {
    fn example() -> Self {
        Self {
            url: Some(WebhookUrl::example()),
            project_id: MaybeUndefined::Null,
            events: Some(vec![WebhookEventName::TaskUpdated]),
            description: MaybeUndefined::Value(WebhookDescription::example()),
            enabled: Some(true),
        }
    }
}

/// How to replace the secret of a webhook.
#[derive(Debug, Clone, Copy, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RotateSecret {
    /// For how many seconds messages are also signed with the previous secret. 0 invalidates all old secrets
    /// immediately.
    #[oai(default = "a_day", validator(minimum(value = "0"), maximum(value = "604800")))]
    pub overlap_seconds: u32,
}

const fn a_day() -> u32 {
    86_400
}

impl Default for RotateSecret {
    fn default() -> Self {
        Self { overlap_seconds: a_day() }
    }
}

impl Example for RotateSecret {
    fn example() -> Self {
        Self::default()
    }
}

list_type! {
    /// A page of webhooks.
    WebhookList of Webhook
}

/// What webhooks can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum WebhookSort {
    /// By the time the webhook was created.
    CreatedAt,
}

impl SortField for WebhookSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt => Direction::Desc,
        }
    }
}

/// Which webhooks to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct WebhookQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "WebhookSort::default_field")]
    pub sort: Option<WebhookSort>,
    /// The direction of the sort.
    #[oai(default = "newest_first")]
    pub dir: Option<Direction>,
    /// Only webhooks that are enabled, or only those that are not.
    pub enabled: Option<bool>,
    /// Only webhooks of this one project, not those of all projects. One that does not exist is a 400, one of which you
    /// are no member a 403.
    pub project_id: Option<ProjectId>,
}
