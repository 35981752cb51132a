//! The query string: which parameters there are, and all that can be wrong with them.
//!
//! Guarantees: a parameter that the document does not have, that is there twice, or that cannot be read is refused;
//! failures come in the order of the query string, at most one a parameter. Must not know what a parameter means, nor
//! fill in defaults.

use super::MAX_DETAILS;
use super::document::Part;
use super::messages::{Violation, sanitized};
use super::param_type::{ParamType, decode};
use super::schema_validator::{Compiler, SchemaValidator};
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::HashSet};

/// Two ways to say where a page begins, of which a request uses one.
const EXCLUSIVE: [&str; 2] = ["page", "offset"];

/// The parameters of one operation.
#[derive(Debug)]
pub(super) struct Query {
    parameters: Vec<(String, ParamType)>,
    rules: SchemaValidator,
}

/// One query string, as far as it was read.
#[derive(Default)]
struct ParsedQuery<'q> {
    /// Every name once, in the order in which they first occur, and what is wrong with it.
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
        // Those of the operation come first, because they override those of the path.
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

    /// Reads and checks a query string; what is wrong with it is added to the details.
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
            // Bounded, because whoever sends thousands of them need not be told of each.
            if reading.unknown.len() < MAX_DETAILS && reading.unknown.insert(name.to_string()) {
                let failure = Violation::new(DetailCode::UnknownParameter, "is not a parameter of this operation");
                reading.names.push((name, Some(failure)));
            }
            return;
        };
        if let Some((_, failure)) = reading.names.iter_mut().find(|(known, _)| *known == name) {
            *failure = Some(Violation::new(DetailCode::DuplicateParameter, "must be given only once"));
            return;
        }
        let badly_encoded = || Violation::new(DetailCode::Format, "must be percent-encoded UTF-8");
        let failure = match decode(text).ok_or_else(badly_encoded).and_then(|text| kind.parse(&text)) {
            Ok((value, failure)) => {
                reading.values.insert(name.to_string(), value);
                failure
            }
            Err(failure) => Some(failure),
        };
        reading.names.push((name, failure));
    }

    /// Adds what is wrong with the parameters, and then those that are missing.
    fn report(&self, names: &[(Cow<'_, str>, Option<Violation>)], values: &Value, details: &mut Vec<Detail>) {
        let failures = self.rules.failures(values);
        if failures.is_none() && names.iter().all(|(_, failure)| failure.is_none()) {
            return;
        }
        let mut failures = failures.unwrap_or_default();
        for (name, known) in names {
            // On a tie the rule of the schema is told: its limit is narrower than that of 64 bits.
            let ruled = failures.take(name);
            let failure = ruled.into_iter().chain(known.clone()).min_by_key(Violation::precedence);
            details.extend(failure.map(|failure| failure.about(ErrorLocation::Query, &sanitized(name))));
        }
        let missing = failures.missing().iter().filter(|name| names.iter().all(|(given, _)| given != *name));
        details.extend(missing.map(|name| Violation::required().about(ErrorLocation::Query, name)));
    }
}

/// Notes at the later one of two parameters that they exclude each other.
fn mark_exclusive(names: &mut [(Cow<'_, str>, Option<Violation>)]) {
    let is_exclusive = |failure: &Option<Violation>| {
        // A name that the operation does not have excludes nothing.
        failure.as_ref().is_none_or(|failure| failure.code != DetailCode::UnknownParameter)
    };
    let mut given =
        names.iter_mut().filter(|(name, failure)| EXCLUSIVE.contains(&name.as_ref()) && is_exclusive(failure));
    if let (Some((earlier, _)), Some((_, failure))) = (given.next(), given.next()) {
        let conflict = Violation::conflict(earlier);
        if failure.as_ref().is_none_or(|known| conflict.precedence() < known.precedence()) {
            *failure = Some(conflict);
        }
    }
}
