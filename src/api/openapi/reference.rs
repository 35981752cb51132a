//! Writes the reference of the README: one block for each operation, with a request and its response.

use std::fmt::Write as _;

use serde_json::Value;

use super::walk::{Object, resolve};

/// Formats all operations of a document as Markdown, by tag.
#[must_use]
pub fn reference(document: &Value) -> String {
    let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten();
    let mut text = String::new();
    for tag in tags {
        let operations: Vec<_> =
            operations(document).filter(|(.., operation)| operation["tags"][0] == tag["name"]).collect();
        if operations.is_empty() {
            continue;
        }
        let _ = writeln!(text, "### {}\n", string(&tag["name"]));
        for (method, path, operation) in operations {
            Block { document, method: &method, path, operation }.write(&mut text);
        }
    }
    text
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &String, &Value)> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (method.to_uppercase(), path, operation))
    })
}

/// The block of an operation.
struct Block<'d> {
    document: &'d Value,
    method: &'d str,
    path: &'d str,
    operation: &'d Value,
}

impl Block<'_> {
    // Writing to a string does not fail.
    fn write(&self, text: &mut String) {
        let summary = string(&self.operation["summary"]);
        let deprecated = if self.operation["deprecated"] == true { " (deprecated)" } else { "" };
        let _ = writeln!(text, "<details>");
        let _ = writeln!(text, "<summary><code>{} {}</code> {summary}{deprecated}</summary>\n", self.method, self.path);
        let _ = writeln!(text, "`{}`\n", string(&self.operation["operationId"]));
        let _ = writeln!(text, "{}\n", in_repository(string(&self.operation["description"])));
        self.write_parameters(text);
        self.write_fields(text);
        let _ = writeln!(text, "```sh\n{}\n```\n", self.curl());
        self.write_success(text);
        let _ = writeln!(text, "Errors: {}.\n", self.errors());
        let _ = writeln!(text, "</details>\n");
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        let parameters = self.operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        parameters.map(|parameter| resolve(self.document, parameter))
    }

    fn write_parameters(&self, text: &mut String) {
        if self.parameters().next().is_none() {
            return;
        }
        text.push_str("| Parameter | In | Type | Description |\n|---|---|---|---|\n");
        for parameter in self.parameters() {
            let kind = self.kind(&parameter["schema"]);
            let required = if parameter["required"] == true { ", required" } else { "" };
            let (name, place) = (string(&parameter["name"]), string(&parameter["in"]));
            let description = cell(string(&parameter["description"]));
            let _ = writeln!(text, "| `{name}` | {place} | {kind}{required} | {description} |");
        }
        text.push('\n');
    }

    fn write_fields(&self, text: &mut String) {
        let Some(schema) = self.operation.pointer("/requestBody/content/application~1json/schema") else { return };
        let mut rows = String::new();
        self.write_members(schema, "", "", &mut rows);
        if !rows.is_empty() {
            let _ = writeln!(text, "| Field of the body | Type | Description |\n|---|---|---|\n{rows}");
        }
    }

    /// Writes a row for each field of an object, of each alternative of a union, and of the items of a list.
    fn write_members(&self, schema: &Value, prefix: &str, alternative: &str, rows: &mut String) {
        let schema = resolve(self.document, schema);
        let tag = schema.pointer("/discriminator/propertyName").and_then(Value::as_str);
        for member in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
            let member = resolve(self.document, member);
            let value = tag.and_then(|tag| member["properties"][tag]["enum"][0].as_str()).unwrap_or_default();
            let alternative = format!("With `{}: {value}`: ", tag.unwrap_or_default());
            self.write_members(member, prefix, &alternative, rows);
        }
        let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let place = format!("{prefix}{name}");
            let mark = if required.iter().any(|other| other == name) { ", required" } else { "" };
            let own = property.get("description").or_else(|| resolve(self.document, property).get("description"));
            let description = cell(own.map(string).unwrap_or_default());
            let _ = writeln!(rows, "| `{place}` | {}{mark} | {alternative}{description} |", self.kind(property));
            let inner = resolve(self.document, property);
            let items = inner.get("items").map(|items| resolve(self.document, items));
            match items {
                Some(items) if items.get("oneOf").is_some() || items.get("properties").is_some() => {
                    self.write_members(items, &format!("{place}[]."), "", rows);
                }
                _ if inner.get("properties").is_some() => self.write_members(inner, &format!("{place}."), "", rows),
                _ => {}
            }
        }
    }

    /// Describes the type of a value with its limits.
    fn kind(&self, schema: &Value) -> String {
        let target = resolve(self.document, schema);
        if let Some([inner, _]) = target.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
            return format!("{} or null", self.kind(inner));
        }
        if target.get("oneOf").is_some() {
            return "object".to_owned();
        }
        let (name, nullable) = match &target["type"] {
            Value::Array(kinds) => (kinds.first().map(string).unwrap_or_default(), " or null"),
            kind => (string(kind), ""),
        };
        let mut text = match target.get("items").map(|items| self.kind(items)) {
            Some(items) if items.contains(", ") => format!("array of ({items})"),
            Some(items) => format!("array of {items}"),
            None => name.to_owned(),
        };
        if let Some(values) = target.get("enum").or_else(|| target.get("x-extensible-enum")).and_then(Value::as_array) {
            let values: Vec<String> = values.iter().map(|value| format!("`{}`", string(value))).collect();
            text = values.join(", ");
        }
        text.push_str(nullable);
        if let Some(format) = target.get("format").and_then(Value::as_str).filter(|format| !format.starts_with("int")) {
            let _ = write!(text, " ({format})");
        }
        for (least, most, unit) in
            [("minLength", "maxLength", " character"), ("minItems", "maxItems", " item"), ("minimum", "maximum", "")]
        {
            let (least, most) = (target.get(least), target.get(most));
            let plural = if unit.is_empty() || most.or(least).is_some_and(|last| *last == 1) { "" } else { "s" };
            let _ = match (least, most) {
                (Some(least), Some(most)) => write!(text, ", {least} to {most}{unit}{plural}"),
                (None, Some(most)) => write!(text, ", at most {most}{unit}{plural}"),
                (Some(least), None) => write!(text, ", at least {least}{unit}{plural}"),
                (None, None) => Ok(()),
            };
        }
        if let Some(most) = target.get("x-max-bytes") {
            let _ = write!(text, ", at most {most} bytes");
        }
        if let Some(default) = schema.get("default").or_else(|| target.get("default")) {
            let _ = write!(text, ", default `{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned));
        }
        text
    }

    /// Returns a request with the documented examples.
    fn curl(&self) -> String {
        let mut path = self.path.to_owned();
        let mut query = Vec::new();
        for parameter in self.parameters().filter(|parameter| parameter.get("example").is_some()) {
            let (name, example) = (string(&parameter["name"]), string(&parameter["example"]));
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), example),
                Some("query") => query.push(format!("{name}={example}")),
                _ => {}
            }
        }
        // Optional filters are not combined: nothing would match all of them.
        let list =
            self.parameters().find(|parameter| parameter["in"] == "query" && parameter["schema"]["type"] == "array");
        if let Some((name, values)) =
            list.and_then(|list| Some((list["name"].as_str()?, list.pointer("/schema/examples/0")?)))
        {
            let values = values.as_array().into_iter().flatten();
            query.extend(values.map(|value| format!("{name}={}", string(value))));
        }
        if !query.is_empty() {
            let _ = write!(path, "?{}", query.join("&"));
        }
        let body = self.operation.pointer("/requestBody/content/application~1json/example");
        let method = match (self.method, body) {
            ("GET", None) | ("POST", Some(_)) => String::new(),
            (method, _) => format!(" -X {method}"),
        };
        let is_stream = self.operation.pointer("/responses/200/content/text~1event-stream").is_some();
        let unbuffered = if is_stream { "N" } else { "" };
        let mut command = format!("curl -s{unbuffered}{method} \"$API{path}\"");
        let schemes = self.operation.get("security").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if schemes.first().and_then(Value::as_object).is_some_and(|scheme| !scheme.is_empty()) {
            command.push_str(" -H \"Authorization: Bearer $TOKEN\"");
        }
        for header in self.parameters().filter(|parameter| parameter["in"] == "header") {
            match header["name"].as_str() {
                Some("Idempotency-Key") => command.push_str(" \\\n  -H \"Idempotency-Key: $KEY\""),
                Some("If-Match") => command.push_str(" -H \"If-Match: $ETAG\""),
                _ => {}
            }
        }
        if let Some(body) = body {
            let _ = write!(command, " \\\n  --json '{}'", body.to_string().replace('\'', r"'\''"));
        }
        command
    }

    fn responses(&self) -> impl Iterator<Item = (&String, &Value)> {
        let responses = self.operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        responses.map(|(status, response)| (status, resolve(self.document, response)))
    }

    fn write_success(&self, text: &mut String) {
        for (status, response) in self.responses().filter(|(status, _)| status.starts_with('2')) {
            let Some(media) = response.pointer("/content/application~1json") else {
                let _ = writeln!(text, "Response `{status}`: {}\n", string(&response["description"]));
                continue;
            };
            let example = media.get("example").or_else(|| {
                let examples = media.get("examples").and_then(Value::as_object);
                examples.and_then(|examples| examples.values().next()).and_then(|example| example.get("value"))
            });
            let _ = writeln!(text, "Response `{status}`:\n\n```json\n{:#}\n```\n", example.unwrap_or_default());
        }
    }

    /// Lists the error codes of the operation by status.
    fn errors(&self) -> String {
        let failures = self.responses().filter(|(status, _)| status.starts_with(['4', '5']));
        let lists = failures.map(|(status, response)| {
            let examples = response.pointer("/content/application~1json/examples").and_then(Value::as_object);
            let mut codes: Vec<String> = examples
                .into_iter()
                .flat_map(Object::values)
                .map(|one| format!("`{}`", string(&one["value"]["error"])))
                .collect();
            codes.dedup();
            format!("{status} {}", codes.join(", "))
        });
        lists.collect::<Vec<_>>().join("; ")
    }
}

/// Makes links to guides lead to their files.
fn in_repository(text: &str) -> String {
    let mut parts = text.split("](/guides/");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (path, rest) = part.split_once(')').unwrap_or((part, ""));
        let (name, heading) = path.split_once('#').map_or((path, String::new()), |(name, id)| (name, format!("#{id}")));
        format!("{text}](docs/guides/{name}.md{heading}){rest}")
    })
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Formats text for a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_block_has_the_request_the_response_and_the_errors() {
        let document = json!({
            "tags": [{ "name": "Tasks" }, { "name": "Unused" }],
            "paths": { "/v1/tasks/{task_id}": { "patch": {
                "tags": ["Tasks"], "operationId": "updateTask", "summary": "Update a task", "description": "Changes it.",
                "security": [{ "bearer": [] }],
                "parameters": [{ "name": "task_id", "in": "path", "required": true, "description": "Its\nid.",
                    "schema": { "type": "string", "format": "uuid" }, "example": "01" }],
                "requestBody": { "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/UpdateTask" }, "example": { "title": "it's" },
                } } },
                "responses": {
                    "200": { "content": { "application/json": { "example": { "id": "01" } } } },
                    "404": { "content": { "application/json": { "examples": { "A": { "value": { "error": "NOT_FOUND" } } } } } },
                },
            } } },
            "components": { "schemas": { "UpdateTask": { "required": ["title"], "properties": {
                "title": { "type": ["string", "null"], "minLength": 1, "maxLength": 9, "description": "a | b" },
            } } } },
        });
        let text = reference(&document);
        for part in [
            "### Tasks\n",
            "<summary><code>PATCH /v1/tasks/{task_id}</code> Update a task</summary>",
            "| `task_id` | path | string (uuid), required | Its id. |",
            "| `title` | string or null, 1 to 9 characters, required | a \\| b |",
            "curl -s -X PATCH \"$API/v1/tasks/01\" -H \"Authorization: Bearer $TOKEN\" \\\n  --json '{\"title\":\"it'\\''s\"}'",
            "Response `200`:\n\n```json\n{\n  \"id\": \"01\"\n}\n```",
            "Errors: 404 `NOT_FOUND`.",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("Unused"), "{text}");
    }
}
