//! Webhooks: endpoints that receive events.

use poem_openapi::Object;
use poem_openapi::types::{Example, MaybeUndefined};

use crate::contract::event::WebhookEventName;
use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::{EventName, WebhookDescription, WebhookSecret, WebhookUrl};
use crate::contract::{ProjectId, Timestamp, WebhookId, world};

pub mod delivery;
pub mod test_event;

/// Webhook: an endpoint that receives events.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Webhook {
    /// Webhook id.
    pub id: WebhookId,
    /// URL of the endpoint.
    pub url: WebhookUrl,
    /// Project whose events are sent; null for all your current and future projects.
    pub project_id: Option<ProjectId>,
    /// Subscribed event types, or `*` for all types that this document lists.
    pub events: Vec<EventName>,
    /// Description of the webhook.
    pub description: Option<WebhookDescription>,
    /// True if events are sent.
    pub enabled: bool,
    /// Reason why the service disabled the webhook.
    /// Null if the webhook is enabled or you disabled it yourself. The service disables a webhook if its endpoint keeps
    /// failing or responds with 410, if the password of the account is reset or changed with `revoke_all`, and if the API
    /// token that created or enabled it, or last changed its `url`, is revoked or expires.
    pub disabled_reason: Option<String>,
    /// Version number, starting at 1. Every change increments it.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

example!(Webhook {
    id,
    url,
    project_id: Some(ProjectId::example()),
    events: vec![EventName::example()],
    description: Some(WebhookDescription::example()),
    enabled: true,
    disabled_reason: None,
    version: 1,
    created_at: world::january(14, 8, 10),
    updated_at: world::january(14, 8, 10)
});

/// Webhook with its signing secret, which is shown only on creation and rotation.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct WebhookWithSecret {
    /// Webhook without its secret.
    #[oai(flatten)]
    pub webhook: Webhook,
    /// Signing secret (Standard Webhooks): `whsec_` followed by the key in base64.
    /// Store it: it cannot be retrieved later.
    pub secret: WebhookSecret,
}

example!(WebhookWithSecret { webhook, secret });

/// Parameters for creating a webhook.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateWebhook {
    /// URL of the endpoint: an absolute `https` URL with a public address.
    /// It must not contain credentials or a fragment, and its port must be 443 or 8443. Other URLs are rejected with 422 `WEBHOOK_URL_FORBIDDEN`,
    /// unless the operator allows `http`, the port or the address. You can have one webhook per URL and project; a second
    /// one is rejected with 409 `LIMIT_REACHED`. Host names are resolved at delivery time: a name that
    /// resolves to a non-public address is accepted here, but every delivery fails.
    pub url: WebhookUrl,
    /// Project whose events are sent. You must be a member of it.
    /// If null or absent, events of all your current and future projects are sent.
    #[oai(nullable)]
    pub project_id: Option<ProjectId>,
    /// Event types without duplicates, or only `*` for all types that this document lists.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    pub events: Vec<WebhookEventName>,
    /// Description of the webhook.
    #[oai(nullable)]
    pub description: Option<WebhookDescription>,
    /// False to create the webhook disabled.
    #[oai(default = "default_enabled")]
    pub enabled: bool,
}

const fn default_enabled() -> bool {
    true
}

example!(CreateWebhook {
    url,
    project_id: Some(ProjectId::example()),
    events: vec![WebhookEventName::TaskUpdated],
    description: Some(WebhookDescription::example()),
    enabled: true
});

/// Changes to a webhook. Absent fields keep their value; `null` clears a field.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateWebhook {
    /// URL of the endpoint, with the same rules as for a new webhook. A change that would make the webhook the second one
    /// for its URL and project is rejected with 409 `LIMIT_REACHED`.
    pub url: Option<WebhookUrl>,
    /// Project whose events are sent. You must be a member of it. The change applies to all events that were not sent yet.
    /// If null, events of all your current and future projects are sent.
    #[oai(nullable)]
    pub project_id: MaybeUndefined<ProjectId>,
    /// Event types without duplicates, or only `*` for all types that this document lists.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    pub events: Option<Vec<WebhookEventName>>,
    /// Description of the webhook.
    #[oai(nullable)]
    pub description: MaybeUndefined<WebhookDescription>,
    /// `false` disables the webhook and cancels its pending deliveries. Events that happen in the meantime are not sent.
    /// `true` enables it and clears `disabled_reason`; only later events are sent.
    pub enabled: Option<bool>,
}

example!(UpdateWebhook {
    url: None,
    project_id: MaybeUndefined::Null,
    events: Some(vec![WebhookEventName::TaskCreated, WebhookEventName::TaskUpdated]),
    description: MaybeUndefined::Undefined,
    enabled: None
});

/// Parameters for rotating the signing secret of a webhook.
#[derive(Debug, Clone, Copy, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RotateSecret {
    /// Number of seconds for which messages are also signed with the previous secret.
    /// 0 invalidates all previous secrets immediately.
    #[oai(default = "default_overlap_seconds", validator(minimum(value = "0"), maximum(value = "604800")))]
    pub overlap_seconds: u32,
}

const fn default_overlap_seconds() -> u32 {
    86_400
}

impl Default for RotateSecret {
    fn default() -> Self {
        Self { overlap_seconds: default_overlap_seconds() }
    }
}

impl Example for RotateSecret {
    fn example() -> Self {
        Self::default()
    }
}

collection! {
    /// Page of webhooks.
    WebhookList of Webhook;

    /// Sort field of webhooks.
    WebhookSort {
        /// Time of creation.
        CreatedAt: Desc,
    }

    /// Query parameters for listing webhooks.
    WebhookQuery {
        /// Sort direction.
        #[oai(default = "crate::contract::page::newest_first")]
        dir,
        /// Filters by whether the webhook is enabled.
        enabled: Option<bool>,
        /// Filters by project; webhooks for all projects are excluded.
        /// Responds with 400 if the project does not exist and 403 if you are not a member.
        project_id: Option<ProjectId>,
    }
}
