//! Compiles the schemas of requests: a subset of JSON Schema 2020-12.
//!
//! JSON Schema ignores unknown keywords, so a typo would silently validate nothing. Here every keyword is enforced, or a
//! known annotation, or does not compile.

use super::formats::{self, Format};
use super::violation::type_words;
use crate::contract::strings::pattern_description;
use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Keywords that validate nothing.
const ANNOTATIONS: [&str; 6] = ["title", "description", "default", "examples", "deprecated", "discriminator"];

/// Maximum depth of schemas; only one that contains itself is deeper.
const MAX_DEPTH: usize = 32;

/// A compiled schema.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) types: Vec<String>,
    pub(super) is_trimmed: bool,
    pub(super) options: Option<Vec<Value>>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) max_bytes: Option<usize>,
    pub(super) format: Option<&'static Format>,
    /// The pattern, and the rest of a sentence about a string that does not match it.
    pub(super) pattern: Option<(Regex, &'static str)>,
    pub(super) minimum: Option<Value>,
    pub(super) maximum: Option<Value>,
    pub(super) items: Option<Box<Schema>>,
    pub(super) min_items: Option<usize>,
    pub(super) max_items: Option<usize>,
    pub(super) has_unique_items: bool,
    pub(super) properties: HashMap<String, Schema>,
    pub(super) required: Vec<String>,
    pub(super) is_closed: bool,
    /// Two fields that exclude each other.
    pub(super) exclusive: Vec<String>,
    pub(super) union: Option<Union>,
}

/// Alternatives of which the value of a field, the tag, selects one.
#[derive(Debug)]
pub(super) struct Union {
    pub(super) tag: String,
    pub(super) members: Vec<Schema>,
}

impl Union {
    /// The values of the tag, each with its alternative.
    pub(super) fn options(&self) -> impl Iterator<Item = (&Value, &Schema)> {
        self.members.iter().flat_map(|member| {
            let options = member.properties.get(&self.tag).and_then(|tag| tag.options.as_ref());
            options.into_iter().flatten().map(move |option| (option, member))
        })
    }
}

impl Schema {
    /// Compiles a schema of the document.
    pub(super) fn compile(document: &Value, schema: &Value) -> Result<Self> {
        Self::compile_within(document, schema, MAX_DEPTH)
    }

    fn compile_within(document: &Value, schema: &Value, depth: usize) -> Result<Self> {
        let depth = depth.checked_sub(1).context("the schema contains itself")?;
        let compile = |inner: &Value| Self::compile_within(document, inner, depth);
        let members = schema.as_object().context("a schema of `true` or `false` says nothing")?;
        if members.contains_key("$ref") {
            members.keys().filter(|keyword| *keyword != "$ref").try_for_each(|keyword| annotation(keyword))?;
            return compile(resolve(document, schema)?).with_context(|| schema["$ref"].to_string());
        }
        if let Some(alternatives) = members.get("anyOf") {
            members.keys().filter(|keyword| *keyword != "anyOf").try_for_each(|keyword| annotation(keyword))?;
            let [inner, null] = list(alternatives)? else { bail!("`anyOf` may only add null to a schema") };
            ensure!(null["type"] == "null", "`anyOf` may only add null to a schema");
            let mut nullable = compile(inner)?;
            nullable.types.push("null".to_owned());
            return Ok(nullable);
        }
        let mut compiled = Self::default();
        for (keyword, value) in members {
            compiled.add(members, keyword, value, compile).with_context(|| keyword.clone())?;
        }
        Ok(compiled)
    }

    fn add(
        &mut self,
        members: &Map<String, Value>,
        keyword: &str,
        value: &Value,
        compile: impl Fn(&Value) -> Result<Self>,
    ) -> Result<()> {
        match keyword {
            "type" => self.types = types(value)?,
            "x-trimmed" => self.is_trimmed = boolean(value)?,
            "enum" => self.options = Some(list(value)?.to_vec()),
            "minLength" => self.min_length = Some(length(value)?),
            "maxLength" => self.max_length = Some(length(value)?),
            "x-max-bytes" => self.max_bytes = Some(length(value)?),
            "format" => {
                let name = value.as_str().unwrap_or_default();
                self.format = Some(formats::find(name).with_context(|| format!("{value} is not understood"))?);
            }
            "pattern" => {
                let pattern = value.as_str().context("must be a string")?;
                self.pattern = Some((regex(pattern)?, pattern_description(pattern)));
            }
            "minimum" => self.minimum = Some(number(value)?),
            "maximum" => self.maximum = Some(number(value)?),
            "items" => self.items = Some(Box::new(compile(value)?)),
            "minItems" => self.min_items = Some(length(value)?),
            "maxItems" => self.max_items = Some(length(value)?),
            "uniqueItems" => self.has_unique_items = boolean(value)?,
            "properties" => {
                for (name, property) in value.as_object().context("must be an object")? {
                    self.properties.insert(name.clone(), compile(property).with_context(|| name.clone())?);
                }
            }
            "required" => self.required = strings(value)?,
            "additionalProperties" => self.is_closed = !boolean(value)?,
            "x-exclusive" => {
                self.exclusive = strings(value)?;
                ensure!(self.exclusive.len() == 2, "must name two fields");
            }
            "oneOf" => {
                let tag = members.get("discriminator").and_then(|union| union["propertyName"].as_str());
                let tag = tag.context("needs a discriminator")?.to_owned();
                let union = Union { tag, members: list(value)?.iter().map(compile).collect::<Result<_>>()? };
                ensure!(union.options().count() >= union.members.len(), "an alternative has no `enum` of its tag");
                self.union = Some(union);
                self.types = vec!["object".to_owned()];
            }
            _ => annotation(keyword)?,
        }
        Ok(())
    }
}

/// Compiles a pattern once: that takes a while, and many fields have the same one.
fn regex(pattern: &str) -> Result<Regex> {
    static COMPILED: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = compiled.get(pattern) {
        return Ok(regex.clone());
    }
    // White space of ECMA-262 includes the byte order mark. `regex` never backtracks.
    let regex = Regex::new(&pattern.replace(r"\s", r"\s\u{feff}")).context("the pattern does not compile")?;
    compiled.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

fn annotation(keyword: &str) -> Result<()> {
    ensure!(ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-"), "the keyword `{keyword}` is not understood");
    Ok(())
}

fn types(value: &Value) -> Result<Vec<String>> {
    let mut types = value.as_str().map_or_else(|| strings(value), |name| Ok(vec![name.to_owned()]))?;
    ensure!(types.iter().all(|name| type_words(name).is_some()), "the type {value} is not understood");
    // `null` reads best at the end.
    types.sort_by_key(|name| name == "null");
    Ok(types)
}

fn boolean(value: &Value) -> Result<bool> {
    value.as_bool().context("must be `true` or `false`")
}

fn length(value: &Value) -> Result<usize> {
    let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
    length.context("must be a whole number")
}

fn number(value: &Value) -> Result<Value> {
    ensure!(value.is_number(), "must be a number");
    Ok(value.clone())
}

fn list(value: &Value) -> Result<&[Value]> {
    value.as_array().map(Vec::as_slice).context("must be a list")
}

fn strings(value: &Value) -> Result<Vec<String>> {
    let strings = list(value)?.iter().map(|item| item.as_str().map(str::to_owned));
    strings.collect::<Option<_>>().context("must be a list of strings")
}

/// Returns the target of the `$ref` of a part of the document, or the part itself.
pub(super) fn resolve<'a>(document: &'a Value, part: &'a Value) -> Result<&'a Value> {
    let Some(reference) = part.get("$ref") else { return Ok(part) };
    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
    let target = pointer.and_then(|pointer| document.pointer(pointer));
    target.with_context(|| format!("{reference} has no target in this document"))
}
