//! Compiled schemas.
//!
//! A valid value costs one pass and no list of errors; the cost of an invalid one is bounded by its size.

use super::collect;
use super::document::{Document, Part};
use super::error_tree::{ErrorTree, MAX_DETAILS};
use super::formats;
use super::normalize::Normalizer;
use super::schema_lint::SchemaLint;
use anyhow::{Result, anyhow, bail};
use jsonschema::{PatternOptions, Registry, Validator};
use serde_json::{Map, Value, json};

/// The URI of the document in references; it is never fetched.
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
    normalizer: Normalizer,
    /// Length to which lists are cut before errors are collected.
    max_items: usize,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(document: Document<'a>) -> Result<Self> {
        let registry = Registry::new().draft(jsonschema::Draft::Draft202012).add(DOCUMENT, document.value());
        let registry = registry.and_then(jsonschema::RegistryBuilder::prepare);
        let registry = registry.map_err(|error| anyhow!("the schemas of the document cannot be read: {error}"))?;
        Ok(Self { document, registry })
    }

    /// Compiles a schema of the document.
    pub(super) fn schema(&self, schema: &Part<'a>) -> Result<SchemaValidator> {
        let mut lint = SchemaLint::new(self.document);
        lint.read(schema)?;
        // Bounds the cost of collecting errors; a query string is short anyway.
        if let Some(pointer) = &lint.unbounded_list {
            bail!("{pointer}: a list of a body needs `maxItems`");
        }
        let normalizer = Normalizer::from_schema(self.document, schema)?;
        self.compile(&reference(schema), normalizer, &lint)
    }

    /// Compiles a closed object from the names and schemas of its fields, and whether each is required.
    pub(super) fn object(&self, fields: &[(&str, Part<'a>, bool)]) -> Result<SchemaValidator> {
        let mut lint = SchemaLint::new(self.document);
        let mut normalizer = Normalizer::default();
        let mut properties = Map::new();
        for (name, schema, _) in fields {
            lint.read(schema)?;
            normalizer.absorb_field((*name).to_owned(), Normalizer::from_schema(self.document, schema)?);
            properties.insert((*name).to_owned(), reference(schema));
        }
        let required: Vec<&str> = fields.iter().filter(|field| field.2).map(|field| field.0).collect();
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        self.compile(&schema, normalizer, &lint)
    }

    fn compile(&self, schema: &Value, normalizer: Normalizer, lint: &SchemaLint<'a>) -> Result<SchemaValidator> {
        // Without backtracking: the cost of a pattern must not depend on the input.
        let options = jsonschema::draft202012::options()
            .with_registry(&self.registry)
            .with_pattern_options(PatternOptions::regex())
            .offline();
        let validator = formats::register(options).build(schema);
        let validator = validator.map_err(|error| anyhow!("the schema does not compile: {error}"))?;
        let max_items = lint.longest_list.max(MAX_DETAILS).saturating_add(1);
        Ok(SchemaValidator { validator, normalizer, max_items })
    }
}

fn reference(schema: &Part<'_>) -> Value {
    json!({ "$ref": format!("{DOCUMENT}#{}", schema.fragment()) })
}

impl SchemaValidator {
    /// Normalizes a value in place.
    pub(super) fn normalize(&self, value: &mut Value) {
        self.normalizer.apply(value);
    }

    /// Returns the violations of a value, or `None` if it is valid.
    pub(super) fn violations(&self, value: &Value) -> Option<ErrorTree> {
        if self.validator.is_valid(value) {
            return None;
        }
        // Otherwise a megabyte of `[0,0,0,...]` would collect half a million errors.
        let mut violations = self.collect(&truncated(value, self.max_items));
        if violations.is_empty() {
            violations = self.collect(value);
        }
        Some(violations)
    }

    fn collect(&self, value: &Value) -> ErrorTree {
        let mut violations = ErrorTree::default();
        self.validator.iter_errors(value).for_each(|error| collect::add(&mut violations, &error));
        violations
    }
}

/// Returns a copy with every list cut to `length`.
fn truncated(value: &Value, length: usize) -> Value {
    match value {
        Value::Array(items) => items.iter().take(length).map(|item| truncated(item, length)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), truncated(member, length))).collect())
        }
        other => other.clone(),
    }
}
