//! Checks values against their schemas, after normalizing them.
//!
//! Strings are converted to Normalization Form C, those under `x-trimmed: true` are trimmed, and `3.0` becomes `3` where an integer is expected, which JSON Schema
//! treats as equal. Violations are in the order of the request, at most one per place (the most basic one), and missing
//! fields come first.

use super::schema::Schema;
use super::violation::{MAX_DETAILS, Violation, count, sanitized, word};
use crate::contract::error::DetailCode as Code;
use crate::contract::unicode;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The first violations of a value, each with its place, such as `labels[1]`.
#[derive(Debug, Default)]
pub(super) struct Violations(pub(super) Vec<(String, Violation)>);

impl Violations {
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_DETAILS
    }

    pub(super) fn push(&mut self, path: &str, violation: Violation) {
        if !self.is_full() {
            self.0.push((path.to_owned(), violation));
        }
    }
}

impl Schema {
    /// Normalizes and checks the value at a path.
    pub(super) fn check(&self, value: &mut Value, path: &str, found: &mut Violations) {
        self.normalize(value);
        if value.is_null() && self.has_type("null") {
            return;
        }
        if let Some(violation) = self.own_violation(value) {
            found.push(path, violation);
        }
        match value {
            Value::Object(members) => self.check_members(members, path, found),
            Value::Array(items) => self.check_items(items, path, found),
            _ => {}
        }
    }

    fn normalize(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.normalize_text(std::mem::take(text)),
            Value::Number(number) if self.has_type("integer") && number.is_f64() => {
                // Only a whole double prints without a fraction or an exponent.
                if let Some(Ok(integer)) = number.as_f64().map(|double| format!("{double}").parse::<i64>()) {
                    *value = integer.into();
                }
            }
            _ => {}
        }
    }

    fn normalize_text(&self, text: String) -> String {
        let text = unicode::normalize(text);
        if let Some(normalize) = self.format.and_then(|format| format.normalize) {
            return normalize(&text);
        }
        match self.is_trimmed {
            true if unicode::is_invisible(&text) => String::new(),
            true => text.trim().to_owned(),
            false => text,
        }
    }

    fn has_type(&self, name: &str) -> bool {
        self.types.iter().any(|known| known == name)
    }

    fn own_violation(&self, value: &Value) -> Option<Violation> {
        let name = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.as_f64().is_some_and(|double| double.fract() == 0.0) => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !self.types.is_empty() && !self.has_type(name) {
            return Some(Violation::types(&self.types, value));
        }
        if let Some(options) = self.options.as_ref().filter(|options| !options.contains(value)) {
            return Some(Violation::options(options));
        }
        match value {
            Value::String(text) => self.text_violation(text),
            Value::Number(_) => self.number_violation(value.as_f64()),
            Value::Array(items) => self.length_violation(items.len()),
            _ => None,
        }
    }

    fn text_violation(&self, text: &str) -> Option<Violation> {
        let length = text.chars().count();
        if let Some(least) = self.min_length.filter(|least| length < *least) {
            let at_least = format!("must be at least {} long", count(least, "character"));
            return Some(Violation::new(
                Code::TooShort,
                if least == 1 { "must not be empty".to_owned() } else { at_least },
            ));
        }
        if let Some(most) = self.max_length.filter(|most| length > *most) {
            return Some(Violation::new(Code::TooLong, format!("must be at most {} long", count(most, "character"))));
        }
        if let Some(most) = self.max_bytes.filter(|most| text.len() > *most) {
            return Some(Violation::new(Code::TooLong, format!("must be at most {} long", count(most, "byte"))));
        }
        if let Some(Err(message)) = self.format.map(|format| (format.check)(text)) {
            return Some(Violation::new(Code::Format, message));
        }
        let (_, message) = self.pattern.as_ref().filter(|(pattern, _)| !pattern.is_match(text))?;
        // Invisible characters are harder to find.
        let has_control = text.chars().any(|c| c.is_control() || unicode::is_direction_control(c));
        Some(Violation::new(Code::Pattern, if has_control { "must not contain control characters" } else { message }))
    }

    fn number_violation(&self, number: Option<f64>) -> Option<Violation> {
        if let Some(least) = self.minimum.as_ref().filter(|least| number < least.as_f64()) {
            return Some(Violation::new(Code::Minimum, format!("must be at least {}", word(least))));
        }
        let most = self.maximum.as_ref().filter(|most| number > most.as_f64())?;
        Some(Violation::new(Code::Maximum, format!("must be at most {}", word(most))))
    }

    fn length_violation(&self, length: usize) -> Option<Violation> {
        if let Some(least) = self.min_items.filter(|least| length < *least) {
            return Some(Violation::new(Code::TooFew, format!("must have at least {}", count(least, "item"))));
        }
        let most = self.max_items.filter(|most| length > *most)?;
        Some(Violation::new(Code::TooMany, format!("must have at most {}", count(most, "item"))))
    }

    fn check_members(&self, members: &mut Map<String, Value>, path: &str, found: &mut Violations) {
        if let Some(union) = &self.union {
            let Some(tag) = members.get(&union.tag) else {
                return found.push(&member_path(path, &union.tag), Violation::required());
            };
            return match union.options().find(|(option, _)| *option == tag) {
                Some((_, member)) => member.check_members(members, path, found),
                None => found.push(
                    &member_path(path, &union.tag),
                    Violation::options(union.options().map(|(option, _)| option)),
                ),
            };
        }
        for name in self.required.iter().filter(|name| !members.contains_key(*name)) {
            found.push(&member_path(path, name), Violation::required());
        }
        let mut exclusive: Option<&String> = None;
        for (name, member) in members {
            if found.is_full() {
                return;
            }
            let path = member_path(path, name);
            if self.exclusive.contains(name) {
                if let Some(earlier) = exclusive {
                    found.push(&path, Violation::conflict(earlier));
                    continue;
                }
                exclusive = Some(name);
            }
            match self.properties.get(name) {
                Some(schema) => schema.check(member, &path, found),
                None if self.is_closed => {
                    found.push(&path, Violation::unknown_field(name, self.properties.keys()));
                }
                None => {}
            }
        }
    }

    fn check_items(&self, items: &mut [Value], path: &str, found: &mut Violations) {
        let Some(schema) = &self.items else { return };
        let mut known = HashSet::new();
        for (index, item) in items.iter_mut().enumerate() {
            if found.is_full() {
                return;
            }
            let path = format!("{path}[{index}]");
            let before = found.0.len();
            schema.check(item, &path, found);
            if self.has_unique_items && !known.insert(item.to_string()) && found.0.len() == before {
                found.push(&path, Violation::new(Code::Duplicate, "is in the list twice"));
            }
        }
    }
}

fn member_path(path: &str, name: &str) -> String {
    let separator = if path.is_empty() { "" } else { "." };
    format!("{path}{separator}{}", sanitized(name))
}
