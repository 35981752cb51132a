//! Points in time as the API speaks of them: UTC, whole milliseconds, RFC 3339 with `Z`.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time now, by the clock of this machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock of the machine is read")]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// Reads RFC 3339 with any offset; parts of a millisecond are cut off.
    ///
    /// `None` also for a time whose year in UTC is not one of 0000 to 9999: RFC 3339 could not write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        let millis = time.timestamp_millis();
        (Self::FIRST.0..=Self::LAST.0).contains(&millis).then_some(Self(millis))
    }

    /// Whole seconds since 1970, as tokens carry them.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// 0000-01-01T00:00:00.000Z
    const FIRST: Self = Self(-62_167_219_200_000);
    /// 9999-12-31T23:59:59.999Z
    const LAST: Self = Self(253_402_300_799_999);
}

/// Saturates at the limits of `i64`.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Saturates at the limits of `i64`.
impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Example for Timestamp {
    /// 2026-01-31T09:00:00.000Z
    fn example() -> Self {
        Self(1_769_850_000_000)
    }
}

impl Type for Timestamp {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            example: Some(Self::example().to_string().into()),
            ..MetaSchema::new_with_format("string", "date-time")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.as_ref().and_then(Value::as_str).and_then(Self::parse).ok_or_else(ParseError::expected_input)
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        for (input, output) in [
            ("2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00.000Z"),
            ("2026-01-31T09:00:00.1239Z", "2026-01-31T09:00:00.123Z"),
            ("2026-01-31t09:00:00z", "2026-01-31T09:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::parse(input).map(|time| time.to_string()).as_deref(), Some(output), "{input}");
        }
    }

    #[test]
    fn the_example_is_as_documented() {
        assert_eq!(Timestamp::example().to_string(), "2026-01-31T09:00:00.000Z");
    }

    #[test]
    fn times_that_cannot_be_written_back_are_refused() {
        for input in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01", "2026-01-31", "tomorrow", ""] {
            assert_eq!(Timestamp::parse(input), None, "{input}");
        }
    }
}
