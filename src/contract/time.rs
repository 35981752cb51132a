//! Points in time: UTC, whole milliseconds, published in RFC 3339 with `Z`.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use poem_openapi::registry::MetaSchema;
use poem_openapi::types::Example;
use serde::{Serialize, Serializer};

use super::macros::{json_string, json_type};

/// Point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// 0000-01-01T00:00:00.000Z
    const MIN: Self = Self(-62_167_219_200_000);
    /// 9999-12-31T23:59:59.999Z
    const MAX: Self = Self(253_402_300_799_999);

    /// Returns the current time of the system clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place where the system clock is read")]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// Parses RFC 3339 with any offset and truncates to milliseconds.
    ///
    /// Returns `None` if the year in UTC is outside 0000 to 9999, which RFC 3339 cannot express.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        (Self::MIN.0..=Self::MAX.0).contains(&millis).then_some(Self(millis))
    }

    /// Returns the whole seconds since 1970.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the time until a later moment; zero if it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        let millis = later.0.saturating_sub(self.0);
        Duration::from_millis(if millis > 0 { millis.unsigned_abs() } else { 0 })
    }
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
        // Each task has three times, and the formatter of `chrono` takes ten times as long.
        let digits = |number: u32, place: u32| b'0' + u8::try_from(number / place % 10).unwrap_or_default();
        let (year, month, day) = (time.year().unsigned_abs(), time.month(), time.day());
        let (hour, minute, second, milli) = (time.hour(), time.minute(), time.second(), time.timestamp_subsec_millis());
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (number, length, start) in
            [(year, 4, 0), (month, 2, 5), (day, 2, 8), (hour, 2, 11), (minute, 2, 14), (second, 2, 17), (milli, 3, 20)]
        {
            let mut place = 1;
            for digit in text[start..start + length].iter_mut().rev() {
                *digit = digits(number, place);
                place *= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Example for Timestamp {
    /// 2026-01-31T09:00:00.000Z
    fn example() -> Self {
        Self(1_769_850_000_000)
    }
}

json_type!(
    Timestamp,
    "string_date-time",
    MetaSchema {
        example: Some(Self::example().to_string().into()),
        ..MetaSchema::new_with_format("string", "date-time")
    }
);
json_string!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_formatted_in_utc_with_milliseconds() {
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
    fn the_example_is_the_documented_time() {
        assert_eq!(Timestamp::example().to_string(), "2026-01-31T09:00:00.000Z");
    }

    #[test]
    fn times_outside_rfc_3339_are_rejected() {
        for input in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01", "2026-01-31", "tomorrow", ""] {
            assert_eq!(Timestamp::parse(input), None, "{input}");
        }
    }
}
