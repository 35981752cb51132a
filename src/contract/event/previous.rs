//! The `previous` field of events.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde_json::{Map, Value, json};

use crate::contract::macros::json_type;

/// Changed fields with their previous values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousFields(pub Map<String, Value>);

json_type!(
    @ PreviousFields,
    "PreviousFields".into(),
    MetaSchemaRef::Reference("PreviousFields".to_owned()),
    |registry| registry.create_schema::<PreviousFields, _>("PreviousFields".to_owned(), |_| MetaSchema {
        description: Some("Changed fields of a resource with their previous values."),
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
        example: Some(json!({"status": "todo", "completed_at": null})),
        ..MetaSchema::new("object")
    })
);

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
    /// Treats a value that is not an object as empty.
    fn from(fields: Value) -> Self {
        match fields {
            Value::Object(fields) => Self(fields),
            _ => Self(Map::new()),
        }
    }
}

/// Previous fields of a resource that did not exist before: always null.
///
/// Published as an object or null, because client generators stumble over a field that can only be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlwaysNull;

json_type!(AlwaysNull, "object_null", MetaSchema { nullable: true, ..MetaSchema::new("object") });

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
