//! What a change has replaced: some fields, or nothing where there was nothing before.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::{Map, Value, json};

/// The fields that a change has changed, with their values before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousFields(pub Map<String, Value>);

impl Type for PreviousFields {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "object_previous".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
            example: Some(json!({"status": "todo", "completed_at": null})),
            ..MetaSchema::new("object")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for PreviousFields {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(ParseError::expected_input()),
        }
    }
}

impl ToJSON for PreviousFields {
    fn to_json(&self) -> Option<Value> {
        Some(Value::Object(self.0.clone()))
    }
}

impl From<Value> for PreviousFields {
    /// What is no object names no field.
    fn from(fields: Value) -> Self {
        match fields {
            Value::Object(fields) => Self(fields),
            _ => Self(Map::new()),
        }
    }
}

/// What was before something came to be: always null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlwaysNull;

impl Type for AlwaysNull {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "null".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("null")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for AlwaysNull {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            None | Some(Value::Null) => Ok(Self),
            Some(_) => Err(ParseError::expected_input()),
        }
    }
}

impl ToJSON for AlwaysNull {
    fn to_json(&self) -> Option<Value> {
        Some(Value::Null)
    }
}

impl From<Value> for AlwaysNull {
    fn from(_: Value) -> Self {
        Self
    }
}
