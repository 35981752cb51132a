//! Normalization of values before validation.
//!
//! Strings under `x-trimmed: true` are trimmed, also if only one of several alternatives has it. `3.0` becomes `3` where
//! an integer is expected, which JSON Schema treats as equal. Nothing else changes.

use super::document::{Document, Part};
use anyhow::Result;
use serde_json::Value;

/// The parts of a schema that need normalization.
#[derive(Debug, Default)]
pub(super) struct Normalizer {
    is_trimmed: bool,
    is_integer: bool,
    fields: Vec<(String, Normalizer)>,
    items: Option<Box<Normalizer>>,
}

impl Normalizer {
    pub(super) fn from_schema<'a>(document: Document<'a>, schema: &Part<'a>) -> Result<Self> {
        let mut shape = Self { is_trimmed: schema.is_true("x-trimmed"), ..Self::default() };
        shape.is_integer = match schema.value.get("type") {
            Some(Value::Array(types)) => types.iter().any(|kind| kind == "integer"),
            kind => kind.is_some_and(|kind| kind == "integer"),
        };
        if let Some(target) = document.target(schema)? {
            shape.absorb(Self::from_schema(document, &target)?);
        }
        for word in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.get(word).iter().flat_map(Part::items) {
                shape.absorb(Self::from_schema(document, &branch)?);
            }
        }
        for (name, field) in schema.get("properties").iter().flat_map(Part::entries) {
            shape.absorb_field(name.to_owned(), Self::from_schema(document, &field)?);
        }
        if let Some(items) = schema.get("items") {
            shape.absorb_items(Self::from_schema(document, &items)?);
        }
        Ok(shape)
    }

    pub(super) fn absorb_field(&mut self, name: String, shape: Self) {
        if shape.is_empty() {
            return;
        }
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.absorb(shape),
            None => self.fields.push((name, shape)),
        }
    }

    /// Changes a value in place.
    pub(super) fn apply(&self, value: &mut Value) {
        match value {
            Value::String(text) if self.is_trimmed => {
                let trimmed = text.trim();
                if trimmed.len() != text.len() {
                    *text = trimmed.to_owned();
                }
            }
            Value::Number(number) if self.is_integer && number.is_f64() => {
                // Only a whole double prints without a fraction or an exponent.
                if let Some(Ok(integer)) = number.as_f64().map(|double| format!("{double}").parse::<i64>()) {
                    *value = integer.into();
                }
            }
            Value::Object(members) => {
                for (name, shape) in &self.fields {
                    if let Some(member) = members.get_mut(name) {
                        shape.apply(member);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(shape) = &self.items {
                    for item in items {
                        shape.apply(item);
                    }
                }
            }
            _ => {}
        }
    }

    fn absorb_items(&mut self, shape: Self) {
        match &mut self.items {
            Some(known) => known.absorb(shape),
            None if shape.is_empty() => {}
            None => self.items = Some(Box::new(shape)),
        }
    }

    fn absorb(&mut self, other: Self) {
        self.is_trimmed |= other.is_trimmed;
        self.is_integer |= other.is_integer;
        for (name, shape) in other.fields {
            self.absorb_field(name, shape);
        }
        if let Some(items) = other.items {
            self.absorb_items(*items);
        }
    }

    fn is_empty(&self) -> bool {
        !self.is_trimmed && !self.is_integer && self.fields.is_empty() && self.items.is_none()
    }
}
