//! An operation of the document, and the validation of a request against it.

use super::check::Violations;
use super::query::Query;
use super::schema::{Schema, resolve};
use super::violation::{MAX_DETAILS, Violation};
use crate::api::media_types::MERGE_PATCH;
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
    body: Option<Schema>,
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
    pub(super) fn compile(
        document: &Value,
        path: &str,
        method: Method,
        item: &Value,
        operation: &Value,
    ) -> Result<Self> {
        let body = operation.get("requestBody").map(|body| resolve(document, body)).transpose()?;
        let content: Vec<_> = body.and_then(|body| body["content"].as_object()).into_iter().flatten().collect();
        let schemas: Vec<_> = content.iter().map(|(_, media)| media.get("schema").unwrap_or_default()).collect();
        let mut media_types: Vec<String> = content.iter().map(|(name, _)| media_type(name)).collect();
        ensure!(media_types.iter().all(|name| name.ends_with("json")), "only JSON is understood");
        ensure!(schemas.windows(2).all(|pair| pair[0] == pair[1]), "the media types have another schema each");
        ensure!(body.is_some() != schemas.is_empty(), "a body without a media type");
        // Accepted, and not published: generated clients would have to choose.
        if method == Method::PATCH {
            media_types.push(MERGE_PATCH.to_owned());
        }
        let body_schema = schemas.first().map(|schema| Schema::compile(document, schema).context("the body"));
        Ok(Self {
            id: operation["operationId"].as_str().context("the operation has no operationId")?.to_owned(),
            path: path.to_owned(),
            method,
            deprecated: operation["deprecated"] == true,
            has_body: body.is_some(),
            is_body_required: body.is_some_and(|body| body["required"] == true),
            media_types,
            response_type: response_type(document, operation)?,
            query: Query::compile(document, item, operation)?,
            body: body_schema.transpose()?,
        })
    }

    /// Validates the query string (without its `?`) and the body of a request. An unexpected body is ignored.
    ///
    /// # Errors
    /// All violations of the query and then of the body, each in the order of the request.
    pub fn check(&self, query: &str, body: Option<Value>) -> Result<Checked, Vec<Detail>> {
        let mut details = Vec::new();
        let query = self.query.check(query, &mut details);
        let mut body = body.filter(|_| self.has_body);
        let mut found = Violations::default();
        match (&self.body, &mut body) {
            (Some(schema), Some(body)) => schema.check(body, "", &mut found),
            (Some(_), None) if self.is_body_required => found.push("", Violation::required()),
            _ => {}
        }
        details.extend(found.0.into_iter().map(|(field, violation)| violation.about(ErrorLocation::Body, &field)));
        details.truncate(MAX_DETAILS);
        if details.is_empty() { Ok(Checked { query, body }) } else { Err(details) }
    }
}

fn response_type(document: &Value, operation: &Value) -> Result<Option<String>> {
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = resolve(document, response)?.get("content").and_then(Value::as_object);
        if let Some(name) = content.and_then(|content| content.keys().next()).filter(|_| status.starts_with('2')) {
            return Ok(Some(media_type(name)));
        }
    }
    Ok(None)
}

fn media_type(name: &str) -> String {
    name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
