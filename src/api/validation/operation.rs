//! One operation of the document: what it takes, and the check of a request against it.
//!
//! Guarantees: query and body are checked together, so that a caller learns everything at once; what passes is
//! normalised. Must not know how a body was read, who calls, or what the operation does.

use super::document::Part;
use super::messages::Violation;
use super::query::Query;
use super::schema_validator::{Compiler, SchemaValidator};
use crate::contract::error::{Detail, ErrorLocation};
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use serde_json::Value;

/// An operation of the published document.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that stand side by side in the document, not states")]
pub struct Operation {
    /// The `operationId`.
    pub id: String,
    /// The template of its path, such as `/v1/tasks/{task_id}`.
    pub path: String,
    /// Its method; HEAD requests lead to the operation of GET.
    pub method: Method,
    /// Whether it cannot be called without a token.
    pub needs_token: bool,
    /// Whether it takes an `Idempotency-Key`.
    pub takes_key: bool,
    /// Whether it has a successor.
    pub deprecated: bool,
    /// Whether it takes a body at all.
    pub takes_body: bool,
    /// Whether it cannot be called without a body.
    pub needs_body: bool,
    /// The media types of the body, in lower case and without parameters.
    pub media_types: Vec<String>,
    /// The media type of a success, if it has a body.
    pub answers: Option<String>,
    query: Query,
    body: Option<SchemaValidator>,
}

/// A request that keeps to the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The parameters that were given, as typed values of an object.
    pub query: Value,
    /// The body, with the texts trimmed that the document wants trimmed; nothing where the operation takes none.
    pub body: Option<Value>,
}

impl Operation {
    pub(super) fn compile<'a>(
        compiler: &Compiler<'a>,
        path: &str,
        method: Method,
        item: &Part<'a>,
        part: &Part<'a>,
    ) -> Result<Self> {
        let id = part.text("operationId").context("the operation has no operationId")?.to_owned();
        let mut operation = Self {
            id,
            path: path.to_owned(),
            method,
            needs_token: needs_token(part.get("security").or_else(|| compiler.document.root().get("security"))),
            takes_key: takes_key(compiler, part)?,
            deprecated: part.is_true("deprecated"),
            takes_body: false,
            needs_body: false,
            media_types: Vec::new(),
            answers: answers(compiler, part)?,
            query: Query::compile(compiler, item, part)?,
            body: None,
        };
        if let Some(body) = part.get("requestBody") {
            let body = compiler.document.resolve(body)?;
            operation.takes_body = true;
            operation.needs_body = body.is_true("required");
            operation.add_content(compiler, &body)?;
        }
        Ok(operation)
    }

    /// Checks the query string (without its `?`) and the body of a request.
    ///
    /// A body that the operation does not take is dropped unread.
    ///
    /// # Errors
    /// Everything that is wrong, first of the query and then of the body, each in the order of the request.
    pub fn check(&self, query: &str, body: Option<Value>) -> Result<Checked, Vec<Detail>> {
        let mut details = Vec::new();
        let query = self.query.check(query, &mut details);
        let body = self.check_body(body, &mut details);
        details.truncate(super::MAX_DETAILS);
        if details.is_empty() { Ok(Checked { query, body }) } else { Err(details) }
    }

    fn check_body(&self, body: Option<Value>, details: &mut Vec<Detail>) -> Option<Value> {
        let rules = self.body.as_ref()?;
        let Some(mut body) = body else {
            if self.needs_body {
                details.push(Violation::required().about(ErrorLocation::Body, ""));
            }
            return None;
        };
        rules.normalize(&mut body);
        if let Some(failures) = rules.failures(&body) {
            failures.list(&body, details);
        }
        Some(body)
    }

    fn add_content<'a>(&mut self, compiler: &Compiler<'a>, body: &Part<'a>) -> Result<()> {
        let mut known: Option<Part<'a>> = None;
        for (name, media) in body.get("content").iter().flat_map(Part::entries) {
            let name = media_type(name);
            ensure!(is_json(&name), "{}: only JSON is understood", media.pointer);
            let schema = media.get("schema").with_context(|| format!("{}: no schema", media.pointer))?;
            let is_same = known.as_ref().is_none_or(|known| known.value == schema.value);
            ensure!(is_same, "{}: another schema than the other media types", media.pointer);
            self.media_types.push(name);
            known = Some(schema);
        }
        let schema = known.with_context(|| format!("{}: a body without a media type", body.pointer))?;
        self.body = Some(compiler.schema(&schema)?);
        Ok(())
    }
}

/// Whether none of the alternatives of a `security` is to go without.
fn needs_token(security: Option<Part<'_>>) -> bool {
    let alternatives = security.and_then(|security| security.value.as_array());
    let is_empty = |alternative: &Value| alternative.as_object().is_none_or(serde_json::Map::is_empty);
    alternatives.is_some_and(|list| !list.is_empty() && !list.iter().any(is_empty))
}

/// Whether one of its parameters is the header `Idempotency-Key`.
fn takes_key<'a>(compiler: &Compiler<'a>, operation: &Part<'a>) -> Result<bool> {
    for parameter in operation.get("parameters").iter().flat_map(Part::items) {
        let parameter = compiler.document.resolve(parameter)?;
        let is_key = parameter.text("name").is_some_and(|name| name.eq_ignore_ascii_case("Idempotency-Key"));
        if is_key && parameter.text("in") == Some("header") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn answers<'a>(compiler: &Compiler<'a>, operation: &Part<'a>) -> Result<Option<String>> {
    for (status, response) in operation.get("responses").iter().flat_map(Part::entries) {
        let response = compiler.document.resolve(response)?;
        let mut contents = response.get("content").into_iter().filter_map(|part| part.value.as_object());
        let name = contents.find_map(|content| content.keys().next());
        if let Some(name) = name.filter(|_| status.starts_with('2')) {
            return Ok(Some(media_type(name)));
        }
    }
    Ok(None)
}

fn media_type(name: &str) -> String {
    name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.starts_with("application/") && media_type.ends_with("+json")
}
