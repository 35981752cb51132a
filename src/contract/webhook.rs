//! Webhooks: addresses that are told of every change.

use poem_openapi::Object;
use poem_openapi::types::Example;

use super::text::{WebhookDescription, WebhookEventName, WebhookUrl};
use super::{ProjectId, Timestamp, WebhookId};

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
    /// The types of events that are sent, or `*` for all.
    pub events: Vec<WebhookEventName>,
    /// What it is for.
    pub description: Option<WebhookDescription>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why events are no longer sent, when it was not you who switched it off; else null.
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
            events: vec![WebhookEventName::example()],
            description: Some(WebhookDescription::example()),
            enabled: true,
            disabled_reason: None,
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}
