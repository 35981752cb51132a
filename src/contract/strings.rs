//! String types with their limits.
//!
//! The limits are published in the schemas, and the request validator enforces them before a value of these types is
//! created, and trims names. The types only carry the string.

use std::fmt;
use std::ops::Deref;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde_json::Value;

use super::macros::json_type;

/// Pattern of names: no control characters, no controls of the text direction (UAX #9), which would reorder the text
/// around the name, and at least one visible character. Trimmed before validation.
pub const NAME_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*[^\s\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069][^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$";

/// Pattern of labels: a name without commas, which separate labels in filters.
const LABEL_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069,]*[^\s\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069,][^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069,]*$";

/// Pattern of multi-line text: newline and tab are the only control characters.
const MULTI_LINE_PATTERN: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// Pattern of multi-line text with at least one visible character.
const NON_BLANK_MULTI_LINE_PATTERN: &str =
    r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// Pattern of single-line text: no control characters.
const SINGLE_LINE_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// Pattern of CSS hex colors.
const COLOR_PATTERN: &str = "^#[0-9a-fA-F]{6}$";

/// Pattern of the assignee filter: a user id, `me` or `none`.
pub const ASSIGNEE_PATTERN: &str =
    "^(me|none|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$";

/// Patterns of the strings that are trimmed before validation.
pub const TRIMMED_PATTERNS: [&str; 2] = [NAME_PATTERN, LABEL_PATTERN];

/// Describes a pattern, as the predicate of a sentence about the field.
#[must_use]
pub fn pattern_description(pattern: &str) -> &'static str {
    match pattern {
        LABEL_PATTERN => "must not contain a comma",
        COLOR_PATTERN => "must be a color like #3b82f6",
        ASSIGNEE_PATTERN => "must be a user id, me or none",
        NON_BLANK_MULTI_LINE_PATTERN => "must contain a visible character and no control characters",
        NAME_PATTERN | SINGLE_LINE_PATTERN | MULTI_LINE_PATTERN => "must not contain control characters",
        _ => "does not match the required pattern; see the documentation",
    }
}

/// Declares string types whose schema is a component of the document, so that clients have a type for them.
macro_rules! named_string_types {
    ($($(#[doc = $doc:literal])+ $name:ident { $($rule:ident: $value:expr),* $(,)? })*) => {$(
        string_type!($(#[doc = $doc])+ $name { $($rule: $value),* });

        json_type!(
            @ $name,
            stringify!($name).into(),
            MetaSchemaRef::Reference(stringify!($name).to_owned()),
            |registry| registry.create_schema::<$name, _>(stringify!($name).to_owned(), |_| MetaSchema {
                description: Some(concat!($($doc),+).trim()),
                ..$name::meta_schema()
            })
        );
    )*};
}

/// Declares string types with an inline schema.
macro_rules! string_types {
    ($($(#[doc = $doc:literal])+ $name:ident { $($rule:ident: $value:expr),* $(,)? })*) => {$(
        string_type!($(#[doc = $doc])+ $name { $($rule: $value),* });

        json_type!($name, concat!("string_", stringify!($name)), $name::meta_schema());
    )*};
}

macro_rules! string_type {
    ($(#[doc = $doc:literal])+ $name:ident { $($rule:ident: $value:expr),* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a string without validation: a stored or generated one.
            #[must_use]
            pub fn new_unchecked(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Returns the inner string.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }

            fn meta_schema() -> MetaSchema {
                MetaSchema { $($rule: Some($value.into()),)* ..MetaSchema::new("string") }
            }
        }

        impl Example for $name {
            fn example() -> Self {
                Self(Self::meta_schema().example.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
            }
        }

        /// Hides the value, so that personal data and passwords do not reach the log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(text)) => Ok(Self(text)),
                    _ => Err(ParseError::expected_input()),
                }
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.0.clone()))
            }
        }
    };
}

named_string_types! {
    /// Name of a person.
    PersonName { min_length: 1_usize, max_length: 100_usize, pattern: NAME_PATTERN, example: "Ada Lovelace" }
    /// Name of a project.
    ProjectName { min_length: 1_usize, max_length: 100_usize, pattern: NAME_PATTERN, example: "Kitchen renovation" }
    /// Title of a task.
    TaskTitle { min_length: 1_usize, max_length: 200_usize, pattern: NAME_PATTERN, example: "Choose the tiles" }
    /// Label of a task. It contains no comma, which separates labels in filters.
    Label { min_length: 1_usize, max_length: 50_usize, pattern: LABEL_PATTERN, example: "shopping" }
}

string_types! {
    /// Description of a project.
    ProjectDescription { max_length: 2_000_usize, pattern: MULTI_LINE_PATTERN, example: "Everything from the floor to the lamps." }
    /// Color of a project.
    Color { pattern: COLOR_PATTERN, example: "#3b82f6" }
    /// Description of a task.
    TaskDescription { max_length: 10_000_usize, pattern: MULTI_LINE_PATTERN, example: "Matte, 20 x 20 cm.\nAsk for a sample first." }
    /// Text of a comment.
    CommentBody { min_length: 1_usize, max_length: 10_000_usize, pattern: NON_BLANK_MULTI_LINE_PATTERN, example: "The matte ones are back in stock.\nShall I order them?" }
    /// E-mail address: addr-spec of RFC 5322 without comments and quoted strings.
    ///
    /// Stored and compared in lower case, without surrounding blanks, and with the ASCII form of an internationalized domain.
    Email { format: "email", max_length: 254_usize, example: "ada@example.com" }
    /// New password: at least 8 characters and at most 72 bytes of UTF-8 (the limit of bcrypt).
    Password { format: "password", min_length: 8_usize, max_length: 72_usize, pattern: SINGLE_LINE_PATTERN, example: "correct horse battery" }
    /// Password to verify against the stored hash.
    PasswordAttempt { format: "password", min_length: 1_usize, max_length: 72_usize, pattern: SINGLE_LINE_PATTERN, example: "correct horse battery" }
    /// Refresh token in plain text.
    RefreshToken { min_length: 1_usize, max_length: 512_usize, pattern: SINGLE_LINE_PATTERN, example: "rt_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// Name of an API token.
    ApiTokenName { min_length: 1_usize, max_length: 100_usize, pattern: NAME_PATTERN, example: "Backup script" }
    /// API token in plain text.
    ApiTokenSecret { example: "pt_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// Token sent by e-mail.
    EmailToken { min_length: 1_usize, max_length: 512_usize, pattern: SINGLE_LINE_PATTERN, example: "mt_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// Ticket for an event stream in plain text.
    StreamTicketSecret { min_length: 1_usize, max_length: 512_usize, pattern: SINGLE_LINE_PATTERN, example: "st_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// Signed JSON Web Token (RFC 7519).
    AccessToken { example: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTkzNmY0ZSJ9.c2lnbmF0dXJl" }
    /// `User-Agent` of a client (RFC 9110, section 10.1.5).
    UserAgent { example: "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" }
    /// IP address of a client.
    ClientAddress { example: "192.0.2.7" }
    /// Sort key of a task within its project; compared byte by byte.
    OrderKey { example: "a0" }
    /// Opaque cursor; valid only for the list, filters and sort that it was issued for.
    Cursor { example: "AQAAAZwTkz6QAZNvUp1Af22iQF6fQIG9BGJ0aGUgbWFj" }
    /// IANA time zone name.
    TimeZone { format: "iana-time-zone", max_length: 64_usize, example: "Europe/Berlin" }
    /// URL of a webhook endpoint: absolute, `https` unless the operator allows `http`.
    WebhookUrl { format: "url", min_length: 1_usize, max_length: 2_048_usize, pattern: SINGLE_LINE_PATTERN, example: "https://example.com/hooks/pocket-tasks" }
    /// Description of a webhook.
    WebhookDescription { max_length: 500_usize, pattern: MULTI_LINE_PATTERN, example: "Posts changes to the team chat." }
    /// Event type, or `*` for all types that this document lists.
    EventName { example: "task.updated" }
    /// Signing secret of a webhook in plain text.
    WebhookSecret { example: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfkxYyfYyA=" }
    /// Search terms, all of which must match.
    SearchText { max_length: 200_usize, pattern: SINGLE_LINE_PATTERN, example: "tiles" }
}
