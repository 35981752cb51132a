//! An operation of the document, and the validation of a request against it.

use super::document::Part;
use super::error_tree::MAX_DETAILS;
use super::messages::Violation;
use super::query::Query;
use super::schema_validator::{Compiler, SchemaValidator};
use crate::contract::error::{Detail, ErrorLocation};
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use serde_json::Value;

/// An operation of the published document.
#[derive(Debug)]
pub struct Operation {
    /// The `operationId`.
    pub id: String,
    /// The path template, such as `/v1/tasks/{task_id}`.
    pub path: String,
    /// The method; HEAD is served by GET.
    pub method: Method,
    /// True if the operation is deprecated.
    pub deprecated: bool,
    /// True if the operation accepts a body.
    pub has_body: bool,
    /// True if the body is required.
    pub is_body_required: bool,
    /// The media types of the body, in lower case and without parameters.
    pub media_types: Vec<String>,
    /// The media type of a successful response, if it has a body.
    pub response_type: Option<String>,
    query: Query,
    body: Option<SchemaValidator>,
}

/// The validated and normalized parts of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The given query parameters, as typed fields of an object.
    pub query: Value,
    /// The body, if the operation accepts one.
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
            deprecated: part.is_true("deprecated"),
            has_body: false,
            is_body_required: false,
            media_types: Vec::new(),
            response_type: response_type(compiler, part)?,
            query: Query::compile(compiler, item, part)?,
            body: None,
        };
        if let Some(body) = part.get("requestBody") {
            let body = compiler.document.resolve(body)?;
            operation.has_body = true;
            operation.is_body_required = body.is_true("required");
            operation.add_content(compiler, &body)?;
        }
        Ok(operation)
    }

    /// Validates the query string (without its `?`) and the body of a request. An unexpected body is ignored.
    ///
    /// # Errors
    /// All violations of the query and then of the body, each in the order of the request.
    pub fn check(&self, query: &str, body: Option<Value>) -> Result<Checked, Vec<Detail>> {
        let mut details = Vec::new();
        let query = self.query.check(query, &mut details);
        let body = self.check_body(body, &mut details);
        details.truncate(MAX_DETAILS);
        if details.is_empty() { Ok(Checked { query, body }) } else { Err(details) }
    }

    fn check_body(&self, body: Option<Value>, details: &mut Vec<Detail>) -> Option<Value> {
        let rules = self.body.as_ref()?;
        let Some(mut body) = body else {
            if self.is_body_required {
                details.push(Violation::required().about(ErrorLocation::Body, ""));
            }
            return None;
        };
        rules.normalize(&mut body);
        if let Some(violations) = rules.violations(&body) {
            violations.list(&body, details);
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

fn response_type<'a>(compiler: &Compiler<'a>, operation: &Part<'a>) -> Result<Option<String>> {
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
