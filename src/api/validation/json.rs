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
#[error("The request body {problem} (line {line}, column {column}).")]
pub struct MalformedJson {
    problem: &'static str,
    line: usize,
    column: usize,
}

/// Parses a body.
///
/// # Errors
/// If the body is not exactly one value of strict JSON.
pub fn parse_json(bytes: &[u8]) -> Result<Value, MalformedJson> {
    let start = |problem| MalformedJson { problem, line: 1, column: 1 };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n');
        let column = line.clone().next_back().map_or(0, <[u8]>::len) + 1;
        MalformedJson { problem: "is not UTF-8", line: line.count(), column }
    })?;
    if text.starts_with('\u{feff}') {
        return Err(start("begins with a byte order mark, which JSON does not allow"));
    }
    if text.bytes().all(|byte| b" \t\r\n".contains(&byte)) {
        return Err(start("is empty where JSON is expected"));
    }
    let at = |error: &serde_json::Error, problem| MalformedJson {
        problem,
        line: error.line().max(1),
        column: error.column().max(1),
    };
    let problem = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0, problem: &problem }.deserialize(&mut reader).map_err(|error| {
        let is_cut = error.classify() == Category::Eof;
        let other = if is_cut { "ends in the middle of its JSON" } else { "is not valid JSON" };
        at(&error, problem.get().unwrap_or(other))
    })?;
    reader.end().map_err(|error| at(&error, "continues after the end of its JSON"))?;
    Ok(value)
}

/// Builds a value, and remembers its own error next to the one of the library.
#[derive(Clone, Copy)]
struct Strict<'c> {
    depth: usize,
    problem: &'c Cell<Option<&'static str>>,
}

impl Strict<'_> {
    fn refuse<E: Error>(self, problem: &'static str) -> E {
        self.problem.set(Some(problem));
        E::custom("refused")
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.refuse("is nested more than 64 levels deep"));
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
                return Err(self.refuse("has a duplicate key in an object"));
            }
            object.insert(key, members.next_value_seed(seed)?);
        }
        Ok(Value::Object(object))
    }
}
