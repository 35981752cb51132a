//! Brings a value into the form in which the rules are meant, before they are applied.
//!
//! Texts under `x-trimmed: true` lose the blanks around them, and `3.0` becomes `3` where a whole number is asked for
//! (JSON Schema says that they are the same). Guarantees: nothing else is changed, and a value of the wrong type is left
//! for the rules to refuse. Where a schema has alternatives, a text is trimmed if any of them says so.

use super::document::{Document, Part};
use anyhow::Result;
use serde_json::Value;

/// The parts of a schema that normalisation acts on.
#[derive(Debug, Default)]
pub(super) struct Normalizer {
    trimmed: bool,
    whole: bool,
    fields: Vec<(String, Normalizer)>,
    items: Option<Box<Normalizer>>,
}

impl Normalizer {
    /// Finds them in a schema that [`SchemaLint`](super::schema_lint::SchemaLint) has passed.
    pub(super) fn from_schema<'a>(document: Document<'a>, schema: &Part<'a>) -> Result<Self> {
        let mut shape = Self { trimmed: schema.is_true("x-trimmed"), ..Self::default() };
        shape.whole = match schema.value.get("type") {
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
        if shape.is_idle() {
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
            Value::String(text) if self.trimmed => {
                let trimmed = text.trim();
                if trimmed.len() != text.len() {
                    *text = trimmed.to_owned();
                }
            }
            Value::Number(number) if self.whole && number.is_f64() => {
                // Only a whole double prints without a fraction or an exponent; beyond the range the rules decide.
                if let Some(Ok(whole)) = number.as_f64().map(|double| format!("{double}").parse::<i64>()) {
                    *value = whole.into();
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
            None if shape.is_idle() => {}
            None => self.items = Some(Box::new(shape)),
        }
    }

    fn absorb(&mut self, other: Self) {
        self.trimmed |= other.trimmed;
        self.whole |= other.whole;
        for (name, shape) in other.fields {
            self.absorb_field(name, shape);
        }
        if let Some(items) = other.items {
            self.absorb_items(*items);
        }
    }

    fn is_idle(&self) -> bool {
        !self.trimmed && !self.whole && self.fields.is_empty() && self.items.is_none()
    }
}
