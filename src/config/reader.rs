//! Reads variables one by one and remembers what is wrong with each.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::Problems;

pub(super) struct Reader {
    variables: HashMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(source: config::Environment) -> Result<Self, Problems> {
        // Values stay texts: guessing at types would turn a secret of digits into a number.
        let variables = config::Config::builder()
            .add_source(source)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|_| Problems(vec!["the environment cannot be read".to_owned()]))?;
        Ok(Self { variables, problems: Vec::new() })
    }

    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.variables.remove(&name.to_lowercase())
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, default: T, what: &str) -> T {
        match self.text(name).map(|text| text.trim().parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.complain(name, what);
                default
            }
        }
    }

    /// What stands between commas; nothing at all without the variable.
    pub(super) fn list<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.text(name).unwrap_or_default();
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let values: Vec<T> = parts.iter().filter_map(|part| parse(part)).collect();
        // Commas with nothing between them were meant to be something.
        if values.len() < parts.len() || (parts.is_empty() && !text.is_empty()) {
            self.complain(name, what);
        }
        values
    }

    pub(super) fn complain(&mut self, name: &str, what: &str) {
        self.problems.push(format!("{name}: it must be {what}"));
    }

    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(text) = self.text(name) else { return default };
        match text.trim().parse() {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.complain(name, &what);
                default
            }
        }
    }

    pub(super) fn seconds(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        self.seconds_of(name, 1, default, range)
    }

    /// A duration in units of so many seconds.
    pub(super) fn seconds_of(&mut self, name: &str, unit: u64, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(unit * self.number(name, default, range))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, default, "true or false")
    }

    pub(super) fn word<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = self.text(name) else { return default };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.trim()) {
            return *value;
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.complain(name, &words.join(" or "));
        default
    }
}
