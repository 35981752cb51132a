//! Validation of query strings.
//!
//! Rejects unknown, duplicate and malformed parameters. Violations are in the order of the query string, at most one per
//! parameter.

use super::document::Part;
use super::error_tree::MAX_DETAILS;
use super::messages::{Violation, sanitized};
use super::param_type::{ParamType, decode};
use super::schema_validator::{Compiler, SchemaValidator};
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::HashSet};

/// Parameters that exclude each other.
const EXCLUSIVE: [&str; 2] = ["page", "offset"];

/// The parameters of one operation.
#[derive(Debug)]
pub(super) struct Query {
    parameters: Vec<(String, ParamType)>,
    rules: SchemaValidator,
}

/// A parsed query string.
#[derive(Default)]
struct ParsedQuery<'q> {
    /// Each name once, in the order of its first occurrence, with its violation.
    names: Vec<(Cow<'q, str>, Option<Violation>)>,
    unknown: HashSet<String>,
    values: Map<String, Value>,
}

impl Query {
    /// Compiles the parameters of an operation and of its path item.
    pub(super) fn compile<'a>(compiler: &Compiler<'a>, item: &Part<'a>, operation: &Part<'a>) -> Result<Self> {
        let mut parameters: Vec<(String, ParamType)> = Vec::new();
        let mut fields = Vec::new();
        let (own, shared) = (operation.get("parameters"), item.get("parameters"));
        // Parameters of the operation override those of the path.
        for part in own.iter().chain(&shared).flat_map(Part::items) {
            let part = compiler.document.resolve(part)?;
            let name = part.text("name").with_context(|| format!("{}: no name", part.pointer))?;
            if part.text("in") != Some("query") || parameters.iter().any(|(known, _)| known == name) {
                continue;
            }
            let schema = part.get("schema").with_context(|| format!("{}: no schema", part.pointer))?;
            let kind = ParamType::from_schema(compiler.document, &schema)?;
            let is_form = part.text("style").is_none_or(|style| style == "form");
            let is_joined = part.value.get("explode") == Some(&Value::Bool(false));
            let is_understood = is_form && (is_joined || !matches!(kind, ParamType::List(_)));
            ensure!(is_understood, "{}: a list must have `style: form` and `explode: false`", part.pointer);
            fields.push((name, schema, part.is_true("required")));
            parameters.push((name.to_owned(), kind));
        }
        Ok(Self { rules: compiler.object(&fields)?, parameters })
    }

    /// Parses and validates a query string, and appends its violations to `details`.
    pub(super) fn check(&self, query: &str, details: &mut Vec<Detail>) -> Value {
        let mut reading = ParsedQuery::default();
        query.split('&').filter(|pair| !pair.is_empty()).for_each(|pair| self.read(pair, &mut reading));
        let ParsedQuery { mut names, values, .. } = reading;
        mark_exclusive(&mut names);
        let mut values = Value::Object(values);
        self.rules.normalize(&mut values);
        self.report(&names, &values, details);
        values
    }

    fn read<'q>(&self, pair: &'q str, reading: &mut ParsedQuery<'q>) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).unwrap_or(Cow::Borrowed(name));
        let Some((_, kind)) = self.parameters.iter().find(|(known, _)| *known == name) else {
            // Bounded: a request may contain thousands of them.
            if reading.unknown.len() < MAX_DETAILS && reading.unknown.insert(name.to_string()) {
                let violation = Violation::new(DetailCode::UnknownParameter, "is not a parameter of this operation");
                reading.names.push((name, Some(violation)));
            }
            return;
        };
        if let Some((_, violation)) = reading.names.iter_mut().find(|(known, _)| *known == name) {
            *violation = Some(Violation::new(DetailCode::DuplicateParameter, "must be given only once"));
            return;
        }
        let badly_encoded = || Violation::new(DetailCode::Format, "must be percent-encoded UTF-8");
        let violation = match decode(text).ok_or_else(badly_encoded).and_then(|text| kind.parse(&text)) {
            Ok((value, violation)) => {
                reading.values.insert(name.to_string(), value);
                violation
            }
            Err(violation) => Some(violation),
        };
        reading.names.push((name, violation));
    }

    /// Appends the violations of the given parameters, and then the missing ones.
    fn report(&self, names: &[(Cow<'_, str>, Option<Violation>)], values: &Value, details: &mut Vec<Detail>) {
        let violations = self.rules.violations(values);
        if violations.is_none() && names.iter().all(|(_, violation)| violation.is_none()) {
            return;
        }
        let mut violations = violations.unwrap_or_default();
        for (name, known) in names {
            // On a tie the schema wins: its limit is narrower than that of 64 bits.
            let ruled = violations.take(name);
            let violation = ruled.into_iter().chain(known.clone()).min_by_key(Violation::precedence);
            details.extend(violation.map(|violation| violation.about(ErrorLocation::Query, &sanitized(name))));
        }
        let missing = violations.missing().iter().filter(|name| names.iter().all(|(given, _)| given != *name));
        details.extend(missing.map(|name| Violation::required().about(ErrorLocation::Query, name)));
    }
}

/// Records a conflict at the later one of two exclusive parameters.
fn mark_exclusive(names: &mut [(Cow<'_, str>, Option<Violation>)]) {
    let is_exclusive = |violation: &Option<Violation>| {
        // Unknown parameters exclude nothing.
        violation.as_ref().is_none_or(|violation| violation.code != DetailCode::UnknownParameter)
    };
    let mut given =
        names.iter_mut().filter(|(name, violation)| EXCLUSIVE.contains(&name.as_ref()) && is_exclusive(violation));
    if let (Some((earlier, _)), Some((_, violation))) = (given.next(), given.next()) {
        let conflict = Violation::conflict(earlier);
        if violation.as_ref().is_none_or(|known| conflict.precedence() < known.precedence()) {
            *violation = Some(conflict);
        }
    }
}
