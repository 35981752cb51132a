//! Reads the schemas of requests before they are compiled, and refuses what nobody would check.
//!
//! JSON Schema ignores keywords it does not know, so a typing error or a keyword of another draft would silently
//! validate nothing. Guarantees: after a schema has passed, every keyword in it is enforced, mapped to a code, or a mere
//! annotation; every `$ref` leads somewhere and none in a circle.

use super::document::{Document, Part};
use super::formats;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Keywords that are enforced and have no schema below them.
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

/// Keywords that only tell a reader something.
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

/// Reads a schema and all that it refers to.
#[derive(Debug)]
pub(super) struct SchemaLint<'a> {
    document: Document<'a>,
    /// Pointers of the references that are being followed.
    open: Vec<String>,
    /// The greatest `maxItems` that was found.
    pub(super) longest_list: usize,
    /// Where a list without `maxItems` was found.
    pub(super) endless_list: Option<String>,
}

impl<'a> SchemaLint<'a> {
    pub(super) const fn new(document: Document<'a>) -> Self {
        Self { document, open: Vec::new(), longest_list: 0, endless_list: None }
    }

    /// Reads one schema.
    pub(super) fn read(&mut self, schema: &Part<'a>) -> Result<()> {
        if jsonschema::draft202012::meta::validate(schema.value).is_err() {
            bail!("{}: this is no schema of JSON Schema 2020-12", schema.pointer);
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
            self.endless_list = Some(schema.pointer.clone());
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

/// The two fields of `not: {required: [a, b]}`, the one form of `not` with a meaning here: they exclude each other.
pub(super) fn exclusion(schema: &Value) -> Option<(&str, &str)> {
    let schema = schema.as_object().filter(|schema| schema.len() == 1)?;
    match schema.get("required")?.as_array()?.as_slice() {
        [Value::String(one), Value::String(other)] => Some((one, other)),
        _ => None,
    }
}
