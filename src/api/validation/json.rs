//! A strict JSON parser.
//!
//! Accepts UTF-8 without a byte order mark, exactly one value, no duplicate keys, no number outside the range of a double,
//! and at most [`MAX_DEPTH`] levels. Error messages repeat nothing of the input.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};
use std::{cell::Cell, fmt};

/// Maximum depth of nested lists and objects.
const MAX_DEPTH: usize = 64;

/// Error of a body that is not strict JSON, with a message for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The request body {} (line {line}, column {column}).", .kind.message())]
pub struct MalformedJson {
    kind: JsonErrorKind,
    line: usize,
    column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonErrorKind {
    Empty,
    Bom,
    NotUtf8,
    DuplicateKey,
    TooDeep,
    UnexpectedEof,
    Syntax,
    Trailing,
}

impl JsonErrorKind {
    const fn message(self) -> &'static str {
        match self {
            Self::Empty => "is empty where JSON is expected",
            Self::Bom => "begins with a byte order mark, which JSON does not allow",
            Self::NotUtf8 => "is not UTF-8",
            Self::DuplicateKey => "has a duplicate key in an object",
            Self::TooDeep => "is nested more than 64 levels deep",
            Self::UnexpectedEof => "ends in the middle of its JSON",
            Self::Syntax => "is not valid JSON",
            Self::Trailing => "continues after the end of its JSON",
        }
    }
}

/// Parses a body.
///
/// # Errors
/// If the body is not exactly one value of strict JSON.
pub fn parse_json(bytes: &[u8]) -> Result<Value, MalformedJson> {
    let start = |kind| MalformedJson { kind, line: 1, column: 1 };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n');
        let column = line.clone().next_back().map_or(0, <[u8]>::len) + 1;
        MalformedJson { kind: JsonErrorKind::NotUtf8, line: line.count(), column }
    })?;
    if text.starts_with('\u{feff}') {
        return Err(start(JsonErrorKind::Bom));
    }
    if text.bytes().all(|byte| b" \t\r\n".contains(&byte)) {
        return Err(start(JsonErrorKind::Empty));
    }
    let kind = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0, kind: &kind }.deserialize(&mut reader).map_err(|error| {
        let kind = kind.get().unwrap_or(if error.classify() == Category::Eof {
            JsonErrorKind::UnexpectedEof
        } else {
            JsonErrorKind::Syntax
        });
        MalformedJson { kind, line: error.line().max(1), column: error.column().max(1) }
    })?;
    let trailing = |error: serde_json::Error| MalformedJson {
        kind: JsonErrorKind::Trailing,
        line: error.line(),
        column: error.column().max(1),
    };
    reader.end().map_err(trailing)?;
    Ok(value)
}

/// Builds a value, and remembers its own error next to the one of the library.
#[derive(Clone, Copy)]
struct Strict<'c> {
    depth: usize,
    kind: &'c Cell<Option<JsonErrorKind>>,
}

impl Strict<'_> {
    fn refuse<E: Error>(self, kind: JsonErrorKind) -> E {
        self.kind.set(Some(kind));
        E::custom("refused")
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.refuse(JsonErrorKind::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.refuse(JsonErrorKind::DuplicateKey));
            }
            object.insert(key, members.next_value_seed(seed)?);
        }
        Ok(Value::Object(object))
    }
}
