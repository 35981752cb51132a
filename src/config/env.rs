//! Reads environment variables one by one and collects the errors.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::misspellings::{Misspelling, misspellings};

/// Errors in the settings, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

pub(super) struct EnvReader {
    variables: HashMap<String, String>,
    errors: Vec<String>,
    /// Names of all settings, in the order in which they were read, and whether each is set.
    settings: Vec<(String, bool)>,
}

impl EnvReader {
    pub(super) fn new(source: config::Environment) -> Result<Self, ConfigErrors> {
        // Values stay strings: type guessing would turn a secret of digits into a number.
        let variables = config::Config::builder()
            .add_source(source)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|_| ConfigErrors(vec!["The environment variables could not be read.".to_owned()]))?;
        Ok(Self { variables, errors: Vec::new(), settings: Vec::new() })
    }

    /// Returns the errors, and the variables that are probably misspelt, after all settings were read.
    pub(super) fn finish(self) -> (Vec<String>, Vec<Misspelling>) {
        let names: Vec<String> = self.variables.keys().map(|name| name.to_uppercase()).collect();
        (self.errors, misspellings(&names, &self.settings))
    }

    /// Returns the names of all settings, after they were read.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&str> {
        self.settings.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns a value without surrounding blanks, such as the newline at the end of a file in a secret store.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.variables.remove(&name.to_lowercase());
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        self.settings.push((name.to_owned(), text.is_some()));
        text
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, default: T, what: &str) -> T {
        match self.text(name).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.push_error(name, what);
                default
            }
        }
    }

    /// Parses a comma-separated list; empty if the variable is unset.
    pub(super) fn list<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.text(name).unwrap_or_default();
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let values: Vec<T> = parts.iter().filter_map(|part| parse(part)).collect();
        // A value of commas only is a mistake, not an empty list.
        if values.len() < parts.len() || (parts.is_empty() && !text.is_empty()) {
            self.push_error(name, what);
        }
        values
    }

    pub(super) fn push_error(&mut self, name: &str, what: &str) {
        self.errors.push(format!("{name} must be {what}."));
    }

    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.push_error(name, &what);
                default
            }
        }
    }

    pub(super) fn seconds(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        self.duration(name, 1, default, range)
    }

    /// Parses a duration in units of `unit` seconds.
    pub(super) fn duration(&mut self, name: &str, unit: u64, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(unit * self.number(name, default, range))
    }

    pub(super) fn bool(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, default, "true or false")
    }
}
