//! Typed ids, one type per resource.
//!
//! All are UUIDv7 (RFC 9562): the ids that one process generates ascend.

use std::fmt;

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{Example, ParseFromParameter, ParseResult};
use uuid::Uuid;

use super::macros::{json_string, json_type};

/// Generates a UUIDv7.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place where ids are generated")]
pub fn new_uuid() -> Uuid {
    Uuid::now_v7()
}

/// Parses the only UUID format that the API accepts: 36 characters with hyphens.
#[must_use]
pub fn parse_hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident, $example:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Generates an id.
            #[must_use]
            pub fn generate() -> Self {
                Self(new_uuid())
            }

            /// Parses an id in its published form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                parse_hyphenated(text).map(Self)
            }
        }

        impl Example for $name {
            fn example() -> Self {
                Self::parse($example).unwrap_or(Self(Uuid::nil()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        json_type!(
            $name,
            "string_uuid",
            MetaSchema { example: Some($example.into()), ..MetaSchema::new_with_format("string", "uuid") }
        );
        json_string!($name);

        impl ParseFromParameter for $name {
            /// Parses a path parameter. An invalid id becomes the nil UUID, which no resource has, so the look-up
            /// responds with 404.
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Ok(Self::parse(value).unwrap_or(Self(Uuid::nil())))
            }

            /// Parses the first value.
            fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(iter: I) -> ParseResult<Self> {
                Self::parse_from_parameter(iter.into_iter().next().as_ref().map_or("", AsRef::as_ref))
            }
        }
    )*};
}

id_types! {
    /// Id of a user.
    UserId, "01936f4e-7b20-7c3a-9f10-2b6c1d5e8a01";
    /// Id of a session: the `sid` claim of its access tokens.
    SessionId, "01936f4e-7b21-7d4b-8a20-3c7d2e6f9b02";
    /// Id of a project.
    ProjectId, "01936f50-1c80-7e5c-b130-4d8e3f70ac03";
    /// Id of a task.
    TaskId, "01936f52-9d40-7f6d-a240-5e9f4081bd04";
    /// Id of an API token.
    ApiTokenId, "01936f54-2e60-707e-9350-6fa05192ce05";
    /// Id of an invitation.
    InvitationId, "01936f56-3f70-718f-8460-70b162a3df06";
    /// Id of a comment.
    CommentId, "01936f58-4080-7290-b570-81c273b4e007";
    /// Id of an event.
    EventId, "01936f5a-5190-73a1-8680-92d384c5f108";
    /// Id of a webhook.
    WebhookId, "01936f5c-62a0-74b2-9790-a3e495d60209";
    /// Id of a delivery.
    DeliveryId, "01936f5e-73b0-75c3-a8a0-b4f5a6e7130a";
    /// Id of an entry of the audit log.
    AuditEntryId, "01936f60-84c0-76d4-b9b0-c506b7f8240b";
    /// Id of an API token, webhook, session, project or user, depending on the type of the audit entry.
    AuditTargetId, "01936f54-2e60-707e-9350-6fa05192ce05";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = TaskId::generate();
        assert_eq!(TaskId::parse(&id.to_string()), Some(id));
        assert_eq!(TaskId::parse(&id.to_string().to_uppercase()), Some(id));
        for other in [id.0.simple().to_string(), id.0.urn().to_string(), id.0.braced().to_string(), String::new()] {
            assert_eq!(TaskId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn ids_ascend_in_the_order_of_their_creation() {
        let ids: Vec<_> = (0..1_000).map(|_| TaskId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
