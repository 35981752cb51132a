//! Rejects schemas with anything that would not be validated.
//!
//! JSON Schema ignores unknown keywords, so a typo or a keyword of another draft would silently validate nothing. Every
//! keyword of an accepted schema is enforced or a known annotation, and every `$ref` has a target and no cycle.

use super::document::{Document, Part};
use super::formats;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Enforced keywords without a schema below them.
const ASSERTIONS: &[&str] = &[
    "type",
    "enum",
    "const",
    "required",
    "minProperties",
    "maxProperties",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

/// Keywords that validate nothing.
const ANNOTATIONS: &[&str] = &[
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "externalDocs",
    "discriminator",
    "$comment",
];

/// Checks a schema and the schemas it refers to.
#[derive(Debug)]
pub(super) struct SchemaLint<'a> {
    document: Document<'a>,
    /// Pointers of the references being followed.
    open: Vec<String>,
    /// The largest `maxItems` found.
    pub(super) longest_list: usize,
    /// Pointer of a list without `maxItems`.
    pub(super) unbounded_list: Option<String>,
}

impl<'a> SchemaLint<'a> {
    pub(super) const fn new(document: Document<'a>) -> Self {
        Self { document, open: Vec::new(), longest_list: 0, unbounded_list: None }
    }

    pub(super) fn read(&mut self, schema: &Part<'a>) -> Result<()> {
        if jsonschema::draft202012::meta::validate(schema.value).is_err() {
            bail!("{}: not a valid schema of JSON Schema 2020-12", schema.pointer);
        }
        self.walk(schema)
    }

    fn walk(&mut self, schema: &Part<'a>) -> Result<()> {
        ensure!(schema.value.is_object(), "{}: a schema of `true` or `false` says nothing", schema.pointer);
        if let Some(target) = self.document.target(schema)? {
            ensure!(!self.open.contains(&target.pointer), "{}: the schema contains itself", schema.pointer);
            self.open.push(target.pointer.clone());
            self.read(&target)?;
            self.open.pop();
        }
        if schema.get("items").is_some() && schema.get("maxItems").is_none() {
            self.unbounded_list = Some(schema.pointer.clone());
        }
        for (keyword, part) in schema.entries() {
            self.keyword(keyword, &part)?;
        }
        Ok(())
    }

    fn keyword(&mut self, keyword: &str, part: &Part<'a>) -> Result<()> {
        let pointer = &part.pointer;
        match keyword {
            "properties" => part.entries().try_for_each(|(_, property)| self.walk(&property))?,
            "items" => self.walk(part)?,
            "allOf" | "anyOf" | "oneOf" => part.items().try_for_each(|branch| self.walk(&branch))?,
            "additionalProperties" => {
                ensure!(part.value.is_boolean(), "{pointer}: only `true` or `false` is understood");
            }
            "not" => drop(exclusion(part.value).with_context(|| format!("{pointer}: only two `required` fields"))?),
            "format" => {
                let format = part.value.as_str().unwrap_or_default();
                ensure!(formats::is_known(format), "{pointer}: the format `{format}` is not understood");
            }
            "readOnly" => ensure!(part.value == &Value::Bool(false), "{pointer}: a request has no read-only fields"),
            "x-trimmed" => ensure!(part.value.is_boolean(), "{pointer}: must be `true` or `false`"),
            _ => {
                let is_known = ASSERTIONS.contains(&keyword) || ANNOTATIONS.contains(&keyword);
                let is_known = is_known || keyword == "$ref" || keyword.starts_with("x-");
                ensure!(is_known, "{pointer}: the keyword `{keyword}` is not understood");
            }
        }
        if keyword == "maxItems" {
            let length = part.value.as_u64().and_then(|length| usize::try_from(length).ok());
            self.longest_list = self.longest_list.max(length.unwrap_or(usize::MAX));
        }
        Ok(())
    }
}

/// Returns the two exclusive fields of `not: {required: [a, b]}`, the only supported form of `not`.
pub(super) fn exclusion(schema: &Value) -> Option<(&str, &str)> {
    let schema = schema.as_object().filter(|schema| schema.len() == 1)?;
    match schema.get("required")?.as_array()?.as_slice() {
        [Value::String(one), Value::String(other)] => Some((one, other)),
        _ => None,
    }
}
