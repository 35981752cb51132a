//! Webhooks: addresses that are told of every change.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Enum, Object};

use super::list::{Direction, Paging, SortField};
use super::text::{WebhookDescription, WebhookEventName, WebhookSecret, WebhookUrl};
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

/// A webhook with its secret, which is shown only when it is made or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct IssuedWebhook {
    /// What is known about the webhook.
    #[oai(flatten)]
    pub webhook: Webhook,
    /// With what its messages are signed, as Standard Webhooks has it: `whsec_` and the key in base64. Keep it: it
    /// cannot be shown again.
    pub secret: WebhookSecret,
}

/// What it takes to make a webhook.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewWebhook {
    /// Where to send the events: `https`, to an address that anybody can reach, without a user and password in it. What
    /// the operator does not allow is a 422 `WEBHOOK_URL_FORBIDDEN`.
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
            events: vec![WebhookEventName::example()],
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
            events: Some(vec![WebhookEventName::example()]),
            description: MaybeUndefined::Value(WebhookDescription::example()),
            enabled: Some(true),
        }
    }
}

/// How to replace the secret of a webhook.
#[derive(Debug, Clone, Copy, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RotateSecret {
    /// For how many seconds messages are signed with the secret before too. With 0 it is good for nothing at once.
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

/// What webhooks can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum WebhookSort {
    /// By the time the webhook was created.
    CreatedAt,
}

impl SortField for WebhookSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn usual_direction(self) -> Direction {
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
    /// What to sort by. Default: `created_at`.
    pub sort: Option<WebhookSort>,
    /// The direction of the sort. Default: `desc`.
    pub dir: Option<Direction>,
    /// Only webhooks that are enabled, or only those that are not.
    pub enabled: Option<bool>,
    /// Only webhooks of this one project, not those of all projects. One that does not exist is a 400, one of which you
    /// are no member a 403.
    pub project_id: Option<ProjectId>,
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Type as _;

    use super::*;
    use crate::contract::event::EventType;

    #[test]
    fn the_names_that_a_webhook_takes_are_the_types_that_there_are() {
        let schema = WebhookEventName::schema_ref();
        let pattern = schema.unwrap_inline().pattern.as_deref().unwrap();
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for kind in EventType::FEED {
            let (resource, what) = kind.as_str().split_once('.').unwrap();
            match groups.iter_mut().find(|(known, _)| *known == resource) {
                Some((_, all)) => all.push(what),
                None => groups.push((resource, vec![what])),
            }
        }
        let groups: Vec<_> = groups.iter().map(|(resource, all)| format!(r"{resource}\.({})", all.join("|"))).collect();
        assert_eq!(pattern, format!(r"^(\*|{}|webhook\.test)$", groups.join("|")));
    }
}
