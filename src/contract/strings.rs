//! The kinds of text that the API knows, each with its limits, so that a field's rules stand in its type.
//!
//! The limits are part of the published schemas and are enforced there, before a value of these types is made; the
//! types themselves only carry the text, trimmed where a name is meant.

use std::borrow::Cow;
use std::ops::Deref;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// What a name looks like: no control characters, and something to see. Texts of this pattern are trimmed before they
/// are checked.
pub const NAME_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// A label is a name without a comma, which separates labels in filters.
const LABEL_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f,]*[^\s\x00-\x1f\x7f-\x9f,][^\x00-\x1f\x7f-\x9f,]*$";

/// Text of several lines: of the control characters only newline and tab.
const MULTI_LINE_PATTERN: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// The same with something to see.
const NON_BLANK_MULTI_LINE_PATTERN: &str =
    r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// Text of one line: anything but control characters.
const SINGLE_LINE_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// A colour as style sheets write it.
const COLOR_PATTERN: &str = "^#[0-9a-fA-F]{6}$";

/// Whose tasks: an id, or one of two words.
pub(super) const ASSIGNEE_PATTERN: &str =
    "^(me|none|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$";

/// The patterns whose texts are trimmed before anything else is checked.
pub const TRIMMED_PATTERNS: [&str; 2] = [NAME_PATTERN, LABEL_PATTERN];

/// What a text must do to keep a pattern, for people; as the rest of a sentence that begins with the field.
#[must_use]
pub fn pattern_description(pattern: &str) -> &'static str {
    match pattern {
        LABEL_PATTERN => "must not contain a comma",
        COLOR_PATTERN => "must be a colour like #3b82f6",
        ASSIGNEE_PATTERN => "must be the id of a user, me or none",
        NON_BLANK_MULTI_LINE_PATTERN => "must have something to see, and no control characters",
        NAME_PATTERN | SINGLE_LINE_PATTERN | MULTI_LINE_PATTERN => "must not contain control characters",
        _ => "has a form that is not allowed; see its pattern in the documentation",
    }
}

macro_rules! string_types {
    ($($(#[$doc:meta])* $name:ident { trim: $trim:literal, $($rule:ident: $value:expr),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a text that is known to keep the rules: one that was stored, or that this program made.
            #[must_use]
            pub fn new_unchecked(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl Example for $name {
            fn example() -> Self {
                let schema = Self::schema_ref();
                Self(schema.unwrap_inline().example.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                concat!("string_", stringify!($name)).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    $($rule: Some($value.into()),)*
                    ..MetaSchema::new("string")
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
                match value {
                    Some(Value::String(text)) if $trim && text.trim().len() < text.len() => {
                        Ok(Self(text.trim().to_owned()))
                    }
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
    )*};
}

/// Shows that there is a text, and never the text: personal data and passwords must not reach a log by `{:?}`.
macro_rules! debug_without_text {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

string_types! {
    /// The name of a person.
    PersonName { trim: true, min_length: 1_usize, max_length: 100_usize, pattern: NAME_PATTERN, example: "Ada Lovelace" }
    /// The name of a project.
    ProjectName { trim: true, min_length: 1_usize, max_length: 100_usize, pattern: NAME_PATTERN, example: "Kitchen renovation" }
    /// What a project is about.
    ProjectDescription { trim: false, max_length: 2_000_usize, pattern: MULTI_LINE_PATTERN, example: "Everything from the floor to the lamps." }
    /// The colour of a project.
    Color { trim: false, pattern: COLOR_PATTERN, example: "#3b82f6" }
    /// The title of a task.
    TaskTitle { trim: true, min_length: 1_usize, max_length: 200_usize, pattern: NAME_PATTERN, example: "Choose the tiles" }
    /// The details of a task.
    TaskDescription { trim: false, max_length: 10_000_usize, pattern: MULTI_LINE_PATTERN, example: "Matte, 20 x 20 cm.\nAsk for a sample first." }
    /// What a comment says.
    CommentBody { trim: false, min_length: 1_usize, max_length: 10_000_usize, pattern: NON_BLANK_MULTI_LINE_PATTERN, example: "The matte ones are back in stock.\nShall I order them?" }
    /// A label on a task.
    Label { trim: true, min_length: 1_usize, max_length: 50_usize, pattern: LABEL_PATTERN, example: "shopping" }
    /// An e-mail address (addr-spec of RFC 5322 without comments and quoted strings); compared and stored in lower
    /// case.
    Email { trim: false, format: "email", max_length: 254_usize, example: "ada@example.com" }
    /// A new password: at least 8 characters and at most 72 bytes of UTF-8, all that bcrypt reads.
    Password { trim: false, format: "password", min_length: 8_usize, max_length: 72_usize, pattern: SINGLE_LINE_PATTERN, example: "correct horse battery" }
    /// A password to compare with the one that was set.
    PasswordAttempt { trim: false, format: "password", min_length: 1_usize, max_length: 72_usize, pattern: SINGLE_LINE_PATTERN, example: "correct horse battery" }
    /// A refresh token as it was given out.
    RefreshToken { trim: false, min_length: 1_usize, max_length: 512_usize, pattern: SINGLE_LINE_PATTERN, example: "rt_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// The name of an API token, for its owner.
    ApiTokenName { trim: true, min_length: 1_usize, max_length: 100_usize, pattern: NAME_PATTERN, example: "Backup script" }
    /// An API token as it was given out.
    ApiTokenSecret { trim: false, example: "pt_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// A token that was sent by mail.
    MailToken { trim: false, min_length: 1_usize, max_length: 512_usize, pattern: SINGLE_LINE_PATTERN, example: "mt_wJp0c2lnbmF0dXJlIG9mIG5vdGhpbmcgYXQgYWxsIQ" }
    /// A signed JSON Web Token (RFC 7519).
    AccessToken { trim: false, example: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTkzNmY0ZSJ9.c2lnbmF0dXJl" }
    /// What a client says it is (RFC 9110, section 10.1.5).
    UserAgent { trim: false, example: "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0" }
    /// Where a task stands in its project; compared byte by byte.
    OrderKey { trim: false, example: "a4" }
    /// Where a list goes on: opaque, and good for this list with these filters and this sort only.
    Cursor { trim: false, example: "AQAAAZwTkz6QAZNvUp1Af22iQF6fQIG9BGJ0aGUgbWFj" }
    /// The name of a time zone in the IANA database.
    TimeZone { trim: false, format: "iana-time-zone", max_length: 64_usize, example: "Europe/Berlin" }
    /// Where events are sent to: an absolute URL, https unless the operator allows http.
    WebhookUrl { trim: false, min_length: 1_usize, max_length: 2_048_usize, pattern: SINGLE_LINE_PATTERN, example: "https://example.com/hooks/pocket-tasks" }
    /// What a webhook is for.
    WebhookDescription { trim: false, max_length: 500_usize, pattern: MULTI_LINE_PATTERN, example: "Tells the chat of what is new." }
    /// The type of an event, or `*` for all that there are and will be. New types may come.
    EventName { trim: false, example: "task.updated" }
    /// The secret of a webhook as it is given out.
    WebhookSecret { trim: false, example: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfkxYyfYyA=" }
    /// Words to search for: all of them must occur.
    SearchText { trim: false, max_length: 200_usize, pattern: SINGLE_LINE_PATTERN, example: "tiles" }
}

debug_without_text!(
    AccessToken,
    ApiTokenName,
    ApiTokenSecret,
    MailToken,
    UserAgent,
    Cursor,
    OrderKey,
    PersonName,
    ProjectName,
    ProjectDescription,
    Color,
    CommentBody,
    TaskTitle,
    TaskDescription,
    Label,
    Email,
    Password,
    PasswordAttempt,
    RefreshToken,
    TimeZone,
    WebhookUrl,
    WebhookDescription,
    EventName,
    WebhookSecret,
    SearchText
);
