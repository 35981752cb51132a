//! Typed ids: one type per resource, so that a task's id cannot be passed where a project's is meant.
//!
//! All are UUIDv7 (RFC 9562), so ids of one process ascend in the order of their creation.

use std::borrow::Cow;
use std::fmt;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use serde_json::Value;
use uuid::Uuid;

/// Makes the next UUID, for whatever needs one.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where ids are made")]
pub fn new_uuid() -> Uuid {
    Uuid::now_v7()
}

/// Reads the one spelling of a UUID that the API knows: 36 characters with hyphens, in any case.
fn parse_hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident, $example:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes the next id.
            #[must_use]
            pub fn generate() -> Self {
                Self(new_uuid())
            }

            /// Reads an id in its published spelling.
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

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                "string_uuid".into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    example: Some($example.into()),
                    ..MetaSchema::new_with_format("string", "uuid")
                }))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                value.as_ref().and_then(Value::as_str).and_then(Self::parse).ok_or_else(ParseError::expected_input)
            }
        }

        impl ParseFromParameter for $name {
            /// Never fails: a path id that is not a UUID names nothing, which the look-up finds out by itself. The nil
            /// UUID stands for it, which is never given to anything.
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Ok(Self::parse(value).unwrap_or(Self(Uuid::nil())))
            }

            /// Never fails either: a path id whose escapes are no UTF-8 does not arrive here at all.
            fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(iter: I) -> ParseResult<Self> {
                Self::parse_from_parameter(iter.into_iter().next().as_ref().map_or("", AsRef::as_ref))
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.to_string()))
            }
        }
    )*};
}

id_types! {
    /// The id of a user.
    UserId, "01936f4e-7b20-7c3a-9f10-2b6c1d5e8a01";
    /// The id of a session, the `sid` of its access tokens.
    SessionId, "01936f4e-7b21-7d4b-8a20-3c7d2e6f9b02";
    /// The id of a project.
    ProjectId, "01936f50-1c80-7e5c-b130-4d8e3f70ac03";
    /// The id of a task.
    TaskId, "01936f52-9d40-7f6d-a240-5e9f4081bd04";
    /// The id of an API token.
    ApiTokenId, "01936f54-2e60-707e-9350-6fa05192ce05";
    /// The id of an invitation.
    InvitationId, "01936f56-3f70-718f-8460-70b162a3df06";
    /// The id of a comment.
    CommentId, "01936f58-4080-7290-b570-81c273b4e007";
    /// The id of an event, and of every message that tells of it.
    EventId, "01936f5a-5190-73a1-8680-92d384c5f108";
    /// The id of a webhook.
    WebhookId, "01936f5c-62a0-74b2-9790-a3e495d60209";
    /// The id of a delivery.
    DeliveryId, "01936f5e-73b0-75c3-a8a0-b4f5a6e7130a";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_spelling_is_an_id() {
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
