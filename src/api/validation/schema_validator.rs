//! One schema of the document, ready to be applied.
//!
//! Guarantees: a valid value costs one pass and no list of errors; an invalid one costs no more than its size, whatever
//! it holds. Must not know whether the value is a body or a query.

use super::document::{Document, Part};
use super::error_tree::ErrorTree;
use super::normalize::Normalizer;
use super::schema_lint::SchemaLint;
use super::{MAX_DETAILS, formats};
use anyhow::{Result, anyhow, bail};
use jsonschema::{PatternOptions, Registry, Validator};
use serde_json::{Map, Value, json};

/// The name under which schemas refer to the document; nothing is ever fetched from there.
const DOCUMENT: &str = "https://openapi.invalid/document";

/// Compiles schemas of one document.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    pub(super) document: Document<'a>,
    registry: Registry<'a>,
}

/// A compiled schema.
#[derive(Debug)]
pub(super) struct SchemaValidator {
    validator: Validator,
    shape: Normalizer,
    /// One more item than any list may have, and more than would be told.
    items_to_check: usize,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(document: Document<'a>) -> Result<Self> {
        let registry = Registry::new().draft(jsonschema::Draft::Draft202012).add(DOCUMENT, document.value());
        let registry = registry.and_then(jsonschema::RegistryBuilder::prepare);
        let registry = registry.map_err(|error| anyhow!("the schemas of the document cannot be read: {error}"))?;
        Ok(Self { document, registry })
    }

    /// Compiles the schema that stands at this part of the document.
    pub(super) fn schema(&self, schema: &Part<'a>) -> Result<SchemaValidator> {
        let mut inspection = SchemaLint::new(self.document);
        inspection.read(schema)?;
        // The cost of telling what is wrong with a body depends on it; a query string is short anyway.
        if let Some(pointer) = &inspection.endless_list {
            bail!("{pointer}: a list of a body needs `maxItems`");
        }
        let shape = Normalizer::from_schema(self.document, schema)?;
        self.compile(&reference(schema), shape, &inspection)
    }

    /// Compiles a closed object with these fields: their names, schemas, and whether they must be there.
    pub(super) fn object(&self, fields: &[(&str, Part<'a>, bool)]) -> Result<SchemaValidator> {
        let mut inspection = SchemaLint::new(self.document);
        let mut shape = Normalizer::default();
        let mut properties = Map::new();
        for (name, schema, _) in fields {
            inspection.read(schema)?;
            shape.absorb_field((*name).to_owned(), Normalizer::from_schema(self.document, schema)?);
            properties.insert((*name).to_owned(), reference(schema));
        }
        let required: Vec<&str> = fields.iter().filter(|field| field.2).map(|field| field.0).collect();
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        self.compile(&schema, shape, &inspection)
    }

    fn compile(&self, schema: &Value, shape: Normalizer, inspection: &SchemaLint<'a>) -> Result<SchemaValidator> {
        // The engine without backtracking: the time a pattern takes must not depend on who writes the text.
        let options = jsonschema::draft202012::options()
            .with_registry(&self.registry)
            .with_pattern_options(PatternOptions::regex())
            .offline();
        let validator = formats::register(options).build(schema);
        let validator = validator.map_err(|error| anyhow!("the schema does not compile: {error}"))?;
        let items_to_check = inspection.longest_list.max(MAX_DETAILS).saturating_add(1);
        Ok(SchemaValidator { validator, shape, items_to_check })
    }
}

fn reference(schema: &Part<'_>) -> Value {
    json!({ "$ref": format!("{DOCUMENT}#{}", schema.fragment()) })
}

impl SchemaValidator {
    /// Trims what the schema wants trimmed.
    pub(super) fn normalize(&self, value: &mut Value) {
        self.shape.apply(value);
    }

    /// Checks a value; nothing where it is valid.
    pub(super) fn failures(&self, value: &Value) -> Option<ErrorTree> {
        if self.validator.is_valid(value) {
            return None;
        }
        // A megabyte of `[0,0,0,...]` would make half a million errors, each with its place, before the first is told.
        let mut failures = self.collect(&shortened(value, self.items_to_check));
        if failures.is_empty() {
            failures = self.collect(value);
        }
        Some(failures)
    }

    fn collect(&self, value: &Value) -> ErrorTree {
        let mut failures = ErrorTree::default();
        self.validator.iter_errors(value).for_each(|error| failures.add(&error));
        failures
    }
}

/// A copy of the value in which every list is cut to this length.
fn shortened(value: &Value, length: usize) -> Value {
    match value {
        Value::Array(items) => items.iter().take(length).map(|item| shortened(item, length)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), shortened(member, length))).collect())
        }
        other => other.clone(),
    }
}
