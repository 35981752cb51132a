//! Types of query parameters, and their parsing.

use super::document::{Document, Part};
use super::messages::Violation;
use crate::contract::error::DetailCode;
use anyhow::{Context, Result, bail, ensure};
use jsonschema::JsonType;
use serde_json::Value;
use std::borrow::Cow;

/// Type of a query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ParamType {
    /// A string.
    Text,
    /// An integer of 64 bits.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Items separated by commas.
    List(Box<ParamType>),
}

impl ParamType {
    pub(super) fn from_schema<'a>(document: Document<'a>, schema: &Part<'a>) -> Result<Self> {
        let kind = Self::find(document, schema, 0)?;
        kind.with_context(|| format!("{}: a parameter needs a type", schema.pointer))
    }

    /// Parses a parameter. An integer beyond 64 bits becomes the nearest one, with a violation.
    pub(super) fn parse(&self, text: &str) -> Result<(Value, Option<Violation>), Violation> {
        match self {
            Self::Text => Ok((Value::from(text), None)),
            Self::Integer => parse_integer(text),
            Self::Boolean => match text {
                "true" => Ok((Value::Bool(true), None)),
                "false" => Ok((Value::Bool(false), None)),
                _ => Err(Violation::types(&[JsonType::Boolean], &Value::from(text))),
            },
            Self::List(item) => {
                let mut beyond = None;
                let mut values = Vec::new();
                // After decoding, because browsers encode the comma (`status=todo%2Cdone`).
                for text in text.split(',') {
                    let (value, violation) = item.parse(text)?;
                    values.push(value);
                    beyond = beyond.or(violation);
                }
                Ok((Value::Array(values), beyond))
            }
        }
    }

    fn find<'a>(document: Document<'a>, schema: &Part<'a>, depth: usize) -> Result<Option<Self>> {
        ensure!(depth < 16, "{}: the schema contains itself", schema.pointer);
        let mut kinds = Vec::new();
        let types = schema.value.get("type");
        for name in
            types.into_iter().flat_map(|types| types.as_array().map_or_else(|| vec![types], |t| t.iter().collect()))
        {
            kinds.push(match name.as_str().unwrap_or_default() {
                "null" => continue,
                "string" => Self::Text,
                "integer" => Self::Integer,
                "boolean" => Self::Boolean,
                "array" => {
                    let items = schema.get("items").with_context(|| format!("{}: no `items`", schema.pointer))?;
                    Self::List(Box::new(Self::from_schema(document, &items)?))
                }
                other => bail!("{}: a parameter of type {other} is not understood", schema.pointer),
            });
        }
        let branches = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word));
        let branches: Vec<Part<'a>> = branches.flat_map(|list| list.items().collect::<Vec<_>>()).collect();
        for part in document.target(schema)?.iter().chain(&branches) {
            kinds.extend(Self::find(document, part, depth + 1)?);
        }
        kinds.dedup();
        ensure!(kinds.len() < 2, "{}: a parameter has one type", schema.pointer);
        Ok(kinds.pop())
    }
}

fn parse_integer(text: &str) -> Result<(Value, Option<Violation>), Violation> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Violation::types(&[JsonType::Integer], &Value::from(text)));
    }
    Ok(match text.parse::<i64>() {
        Ok(number) => (number.into(), None),
        Err(_) if text.starts_with('-') => beyond(i64::MIN, DetailCode::Minimum, "must be at least"),
        Err(_) => beyond(i64::MAX, DetailCode::Maximum, "must be at most"),
    })
}

fn beyond(limit: i64, code: DetailCode, words: &str) -> (Value, Option<Violation>) {
    (limit.into(), Some(Violation::new(code, format!("{words} {limit}"))))
}

/// Decodes `application/x-www-form-urlencoded` text; `None` if it is malformed.
pub(in crate::api) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? << 4 | digit()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
