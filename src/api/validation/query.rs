//! Validation of query strings.
//!
//! Rejects unknown, duplicate and malformed parameters. Violations are in the order of the query string, at most one per
//! parameter.

use super::check::Violations;
use super::schema::{Schema, resolve};
use super::violation::{MAX_DETAILS, Violation, sanitized};
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Parameters that exclude each other.
const EXCLUSIVE: [&str; 2] = ["page", "offset"];

/// The parameters of one operation.
#[derive(Debug)]
pub(super) struct Query(Vec<Parameter>);

#[derive(Debug)]
struct Parameter {
    name: String,
    schema: Schema,
    is_required: bool,
}

/// The name of a given parameter, with its values.
type Given<'q> = (Cow<'q, str>, Vec<&'q str>);

/// The name of a given parameter, with its violation.
type Outcome<'q> = (Cow<'q, str>, Option<Violation>);

impl Query {
    /// Compiles the parameters of an operation and of its path item.
    pub(super) fn compile(document: &Value, item: &Value, operation: &Value) -> Result<Self> {
        let mut parameters: Vec<Parameter> = Vec::new();
        // Parameters of the operation override those of the path.
        for parameter in [operation, item].iter().filter_map(|part| part.get("parameters")?.as_array()).flatten() {
            let parameter = resolve(document, parameter)?;
            let name = parameter["name"].as_str().context("a parameter without a name")?;
            if parameter["in"] == "query" && parameters.iter().all(|known| known.name != name) {
                parameters.push(Parameter::compile(document, name, parameter).with_context(|| name.to_owned())?);
            }
        }
        Ok(Self(parameters))
    }

    /// Parses and validates a query string, and appends its violations to `details`.
    pub(super) fn check(&self, query: &str, details: &mut Vec<Detail>) -> Value {
        let mut given: Vec<Given<'_>> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or(Cow::Borrowed(name));
            // Bounded: a request may contain thousands of unknown parameters.
            let has_room = given.len() < MAX_DETAILS + self.0.len();
            match given.iter_mut().find(|(known, _)| *known == name) {
                Some((_, texts)) => texts.push(text),
                None if has_room || self.find(&name).is_some() => given.push((name, vec![text])),
                None => {}
            }
        }
        let mut values = Map::new();
        let mut outcomes: Vec<Outcome<'_>> = Vec::new();
        for (name, texts) in given {
            let read = if let Some(parameter) = self.find(&name) {
                parameter.read(&texts)
            } else {
                let known = self.0.iter().map(|parameter| &parameter.name);
                Err(Violation::unknown_parameter(&name, known))
            };
            let read = read.map(|value| values.insert(name.to_string(), value));
            outcomes.push((name, read.err()));
        }
        mark_exclusive(&mut outcomes);
        let missing = self
            .0
            .iter()
            .filter(|parameter| parameter.is_required && outcomes.iter().all(|(name, _)| *name != parameter.name));
        let missing: Vec<Outcome<'_>> =
            missing.map(|parameter| (Cow::from(parameter.name.as_str()), Some(Violation::required()))).collect();
        details.extend(
            outcomes
                .into_iter()
                .chain(missing)
                .filter_map(|(name, violation)| Some(violation?.about(ErrorLocation::Query, &sanitized(&name)))),
        );
        Value::Object(values)
    }

    fn find(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|parameter| parameter.name == name)
    }
}

impl Parameter {
    fn compile(document: &Value, name: &str, parameter: &Value) -> Result<Self> {
        let schema = Schema::compile(document, parameter.get("schema").context("no schema")?)?;
        ensure!(schema.types.len() == 1, "a parameter has one type");
        let is_form = parameter.get("style").is_none_or(|style| style == "form");
        let is_repeated = parameter.get("explode").is_none_or(|explode| explode == true);
        ensure!(is_form && is_repeated, "a parameter must have `style: form` and `explode: true`, the defaults");
        Ok(Self { name: name.to_owned(), schema, is_required: parameter["required"] == true })
    }

    /// Parses and checks the values of a parameter, and returns the value or its first violation.
    ///
    /// The items of a list are separated by commas or repeat the parameter.
    fn read(&self, texts: &[&str]) -> Result<Value, Violation> {
        if texts.len() > 1 && self.schema.items.is_none() {
            return Err(Violation::new(DetailCode::DuplicateParameter, "must be given only once"));
        }
        let texts: Option<Vec<_>> = texts.iter().map(|text| decode(text)).collect();
        let texts = texts.ok_or_else(|| Violation::new(DetailCode::Format, "must be percent-encoded UTF-8"))?;
        let mut value = parse(&self.schema, &texts.join(","))?;
        let mut found = Violations::default();
        self.schema.check(&mut value, "", &mut found);
        match found.0.into_iter().next() {
            None => Ok(value),
            Some((_, violation)) if violation.code == DetailCode::Duplicate => {
                Err(Violation { message: "must not name anything twice".to_owned(), ..violation })
            }
            Some((_, violation)) => Err(violation),
        }
    }
}

fn parse(schema: &Schema, text: &str) -> Result<Value, Violation> {
    let value = match (schema.types.first().map_or("", String::as_str), text) {
        // Split after decoding, because browsers encode the comma (`status=todo%2Cdone`).
        ("array", _) => {
            let items = schema.items.iter().flat_map(|item| text.split(',').map(|text| parse(item, text)));
            return items.collect();
        }
        ("boolean", "true") => Some(Value::Bool(true)),
        ("boolean", "false") => Some(Value::Bool(false)),
        ("boolean", _) => None,
        ("integer", _) => parse_integer(text),
        _ => Some(Value::from(text)),
    };
    value.ok_or_else(|| Violation::types(&schema.types, &Value::from(text)))
}

/// Parses an integer. One beyond 64 bits becomes a double, which is beyond the limits of every parameter as well.
fn parse_integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let double = || Some(Value::from(text.parse::<f64>().ok()?.clamp(f64::MIN, f64::MAX)));
    text.parse::<i64>().map(Value::from).ok().or_else(double)
}

/// Records a conflict at the later one of two exclusive parameters, unless it is malformed or unknown.
fn mark_exclusive(outcomes: &mut [Outcome<'_>]) {
    let mut exclusive = outcomes.iter_mut().filter(|(name, violation)| {
        let is_unknown = violation.as_ref().is_some_and(|known| known.code == DetailCode::UnknownParameter);
        EXCLUSIVE.contains(&name.as_ref()) && !is_unknown
    });
    if let (Some((earlier, _)), Some((_, violation))) = (exclusive.next(), exclusive.next())
        && violation.as_ref().is_none_or(|known| known.code == DetailCode::Minimum || known.code == DetailCode::Maximum)
    {
        *violation = Some(Violation::conflict(earlier));
    }
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
