use super::violation::MAX_DETAILS;
use super::*;
use crate::contract::error::{Detail, ErrorLocation};
use crate::contract::strings::ASSIGNEE_PATTERN;
use serde_json::json;

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "security": [{ "bearer": [] }],
        "paths": {
            "/": { "get": { "operationId": "root", "security": [], "responses": { "302": {} } } },
            "/v1/projects/{project_id}/tasks": {
                "parameters": [
                    { "name": "project_id", "in": "path", "required": true, "schema": { "type": "string" } },
                    { "$ref": "#/components/parameters/Limit" },
                ],
                "get": {
                    "operationId": "listTasks",
                    "parameters": [
                        { "name": "X-Request-Id", "in": "header", "schema": { "type": "string" } },
                        { "name": "page", "in": "query", "schema": { "type": "integer", "minimum": 1 } },
                        { "name": "offset", "in": "query", "schema": { "type": "integer", "minimum": 0, "maximum": i64::MAX } },
                        { "name": "sort", "in": "query", "schema": { "$ref": "#/components/schemas/Sort", "default": "title" } },
                        { "name": "status", "in": "query", "style": "form",
                          "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Status" }, "uniqueItems": true } },
                        { "name": "deleted", "in": "query", "schema": { "type": "boolean" } },
                        { "name": "q", "in": "query", "schema": { "type": "string", "maxLength": 5, "x-trimmed": true } },
                        { "name": "assignee_id", "in": "query", "schema": { "type": "string", "pattern": ASSIGNEE_PATTERN } },
                        { "name": "due_before", "in": "query", "schema": { "type": "string", "format": "date-time" } },
                    ],
                    "responses": { "200": { "content": { "application/json; charset=utf-8": { "schema": {} } } } },
                },
                "post": {
                    "operationId": "createTask",
                    "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/CreateTask" } } } },
                    "responses": { "201": { "$ref": "#/components/responses/Task" } },
                },
            },
            "/v1/projects/mine/tasks/batch": {
                "post": {
                    "operationId": "batchTasks",
                    "parameters": [{ "name": "dry", "in": "query", "required": true, "schema": { "type": "boolean" } }],
                    "requestBody": { "content": {
                        "application/json": { "schema": { "$ref": "#/components/schemas/Batch" } },
                        "application/merge-patch+json": { "schema": { "$ref": "#/components/schemas/Batch" } } } },
                    "responses": { "204": {} },
                },
            },
        },
        "components": {
            "parameters": { "Limit": { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 100 } } },
            "responses": { "Task": { "content": { "application/json": { "schema": {} } } } },
            "schemas": {
                "Status": { "type": "string", "enum": ["todo", "in_progress", "done"], "x-open": true },
                "Sort": { "type": "string", "enum": ["created_at", "title"] },
                "Label": { "type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[^,\\p{Cc}]*$", "x-trimmed": true },
                "Title": { "type": "string", "minLength": 1, "maxLength": 10, "pattern": "^\\P{Cc}*$", "x-trimmed": true },
                "ErrorLocation": { "type": "object", "required": ["lat"], "additionalProperties": false,
                           "properties": { "lat": { "type": "integer", "minimum": -90, "maximum": 90 }, "name": { "$ref": "#/components/schemas/Title" } } },
                "CreateTask": {
                    "type": "object",
                    "required": ["title", "password"],
                    "additionalProperties": false,
                    "x-exclusive": ["before_id", "after_id"],
                    "properties": {
                        "password": { "type": "string", "minLength": 8, "x-max-bytes": 12 },
                        "title": { "$ref": "#/components/schemas/Title", "description": "The name." },
                        "note": { "type": ["string", "null"], "maxLength": 3, "x-trimmed": true },
                        "status": { "$ref": "#/components/schemas/Status", "description": "The state." },
                        "labels": { "type": "array", "maxItems": 3, "minItems": 1, "uniqueItems": true, "items": { "$ref": "#/components/schemas/Label" } },
                        "due_at": { "type": ["string", "null"], "format": "date-time" },
                        "place": { "anyOf": [{ "$ref": "#/components/schemas/ErrorLocation" }, { "type": "null" }] },
                        "email": { "type": "string", "format": "email" },
                        "timezone": { "type": "string", "format": "iana-time-zone" },
                        "before_id": { "type": "string", "format": "uuid" },
                        "after_id": { "type": "string", "format": "uuid" },
                        "count": { "type": "integer", "maximum": 9 },
                        "color": { "type": "string", "pattern": "^#[0-9a-f]{6}$" },
                    },
                },
                "Batch": {
                    "type": "object",
                    "required": ["operations"],
                    "additionalProperties": false,
                    "properties": { "operations": { "type": "array", "maxItems": 100, "items": {
                        "oneOf": [{ "$ref": "#/components/schemas/Create" }, { "$ref": "#/components/schemas/Delete" }],
                        "discriminator": { "propertyName": "op" } } } },
                },
                "Create": { "type": "object", "required": ["op", "title"], "additionalProperties": false,
                            "properties": { "op": { "type": "string", "enum": ["create"] }, "title": { "$ref": "#/components/schemas/Title" },
                                            "status": { "$ref": "#/components/schemas/Status" } } },
                "Delete": { "type": "object", "required": ["op", "task_id"], "additionalProperties": false,
                            "properties": { "op": { "type": "string", "enum": ["delete"] }, "task_id": { "type": "string", "format": "uuid" } } },
            },
        },
    })
}

fn contract() -> OpenApiValidator {
    OpenApiValidator::compile(&document()).expect("the sample compiles")
}

fn operation<'c>(contract: &'c OpenApiValidator, id: &str) -> &'c Operation {
    contract.operations().find(|operation| operation.id == id).expect("the operation is in the sample")
}

fn messages_of(result: Result<Checked, Vec<Detail>>) -> Vec<String> {
    let code =
        |detail: &Detail| serde_json::to_value(poem_openapi::types::ToJSON::to_json(&detail.code)).expect("a code");
    let line = |detail: &Detail| format!("{}: {}", code(detail).as_str().expect("a word"), detail.message);
    result.err().unwrap_or_default().iter().map(line).collect()
}

fn body_messages(id: &str, body: Value) -> Vec<String> {
    let query = if id == "batchTasks" { "dry=true" } else { "" };
    messages_of(operation(&contract(), id).check(query, Some(body)))
}

fn query_messages(query: &str) -> Vec<String> {
    messages_of(operation(&contract(), "listTasks").check(query, None))
}

/// Returns a valid body with these fields replaced.
fn task(fields: &Value) -> Value {
    let mut body = json!({ "title": "Tea", "password": "sesame!!" });
    let object = body.as_object_mut().expect("an object");
    object.extend(fields.as_object().expect("an object").clone());
    body
}

#[test]
fn requirements_of_an_operation_come_from_the_document() {
    let contract = contract();
    let list = operation(&contract, "listTasks");
    assert_eq!((list.has_body, list.is_body_required), (false, false));
    assert_eq!(list.response_type.as_deref(), Some("application/json"));
    let create = operation(&contract, "createTask");
    assert_eq!((create.has_body, create.is_body_required), (true, true));
    assert_eq!(create.response_type.as_deref(), Some("application/json"));
    assert_eq!(create.media_types, ["application/json"]);
    let batch = operation(&contract, "batchTasks");
    assert_eq!((batch.is_body_required, batch.response_type.as_deref()), (false, None));
    assert_eq!(batch.media_types, ["application/json", "application/merge-patch+json"]);
    assert_eq!(batch.path, "/v1/projects/mine/tasks/batch");
}

#[test]
fn a_path_is_routed_to_its_operation() {
    let contract = contract();
    for (method, path, expected) in [
        (Method::GET, "/", "root"),
        (Method::GET, "/v1/projects/1/tasks", "listTasks"),
        (Method::HEAD, "/v1/projects/1/tasks", "listTasks"),
        (Method::POST, "/v1/projects/a%2Fb/tasks", "createTask"),
        (Method::POST, "/v1/projects/mine/tasks/batch", "batchTasks"),
        (Method::GET, "/v1/projects/mine/tasks", "listTasks"),
        (Method::DELETE, "/v1/projects/1/tasks", "GET, HEAD, POST, OPTIONS"),
        (Method::OPTIONS, "/v1/projects/mine/tasks/batch", "POST, OPTIONS"),
        (Method::HEAD, "/v1/projects/mine/tasks/batch", "POST, OPTIONS"),
        (Method::GET, "/v1/projects/1/tasks/", "-"),
        (Method::GET, "/v1/projects//tasks", "-"),
        (Method::GET, "//v1/projects/1/tasks", "-"),
        (Method::GET, "/v1/projects/1", "-"),
        (Method::GET, "/v1/projects/1/Tasks", "-"),
        (Method::GET, "/v1/projects/1/%74asks", "-"),
        (Method::GET, "/v1/projects/1/tasks/batch", "-"),
        (Method::GET, "v1/projects/1/tasks", "-"),
        (Method::GET, "", "-"),
        (Method::GET, "*", "-"),
    ] {
        let found = match contract.route(&method, path) {
            Route::Found(operation) => operation.id.as_str(),
            Route::WrongMethod { allow } => allow,
            Route::Unknown => "-",
        };
        assert_eq!(found, expected, "{method} {path}");
    }
}

#[test]
fn parameters_become_typed_values() {
    let contract = contract();
    let list = operation(&contract, "listTasks");
    for (query, expected) in [
        ("", json!({})),
        ("&&", json!({})),
        ("limit=100&page=1", json!({ "limit": 100, "page": 1 })),
        ("limit=007", json!({ "limit": 7 })),
        ("offset=9223372036854775807", json!({ "offset": i64::MAX })),
        ("deleted=true", json!({ "deleted": true })),
        ("status=todo,done", json!({ "status": ["todo", "done"] })),
        ("status=todo%2Cdone", json!({ "status": ["todo", "done"] })),
        ("q=+a%26b+", json!({ "q": "a&b" })),
        ("%71=%C3%A4", json!({ "q": "ä" })),
        ("q=a=b", json!({ "q": "a=b" })),
        ("q", json!({ "q": "" })),
        ("assignee_id=me", json!({ "assignee_id": "me" })),
        ("sort=title", json!({ "sort": "title" })),
    ] {
        assert_eq!(list.check(query, None).map(|checked| checked.query), Ok(expected), "{query}");
    }
}

#[test]
fn every_invalid_parameter_is_reported() {
    for (query, expected) in [
        ("limit=0", &["minimum: limit must be at least 1."][..]),
        ("limit=101", &["maximum: limit must be at most 100."]),
        ("limit=99999999999999999999", &["maximum: limit must be at most 100."]),
        ("limit=-99999999999999999999", &["minimum: limit must be at least 1."]),
        ("offset=99999999999999999999", &["maximum: offset must be at most 9223372036854775807."]),
        ("offset=-1", &["minimum: offset must be at least 0."]),
        ("limit=", &["type: limit must be a whole number."]),
        ("limit=+5", &["type: limit must be a whole number."]),
        ("limit=%2B5", &["type: limit must be a whole number."]),
        ("limit=1.0", &["type: limit must be a whole number."]),
        ("limit=1e1", &["type: limit must be a whole number."]),
        ("limit=-", &["type: limit must be a whole number."]),
        ("limit=%D9%A3", &["type: limit must be a whole number."]),
        ("deleted=TRUE", &["type: deleted must be true or false."]),
        ("deleted", &["type: deleted must be true or false."]),
        ("limit=1&limit=1&limit=1", &["duplicate_parameter: limit must be given only once."]),
        ("foo=1&foo=2", &["unknown_parameter: foo is not a parameter of this operation."]),
        ("project_id=1", &["unknown_parameter: project_id is not a parameter of this operation."]),
        ("Limit=1", &["unknown_parameter: Limit is not a parameter of this operation. Did you mean limit?"]),
        ("=1", &["unknown_parameter: A parameter without a name is not a parameter of this operation."]),
        ("%ff=1", &["unknown_parameter: %ff is not a parameter of this operation."]),
        ("a%0Ab=1", &["unknown_parameter: a\u{fffd}b is not a parameter of this operation."]),
        ("offset=0&page=1", &["conflict: page and offset exclude each other."]),
        ("page=1&offset=0", &["conflict: offset and page exclude each other."]),
        ("page=1&offset=x", &["type: offset must be a whole number."]),
        ("page=1&offset=-1", &["conflict: offset and page exclude each other."]),
        ("q=%", &["format: q must be percent-encoded UTF-8."]),
        ("q=%4", &["format: q must be percent-encoded UTF-8."]),
        ("q=%zz", &["format: q must be percent-encoded UTF-8."]),
        ("q=%+1", &["format: q must be percent-encoded UTF-8."]),
        ("q=%ff", &["format: q must be percent-encoded UTF-8."]),
        ("q=%ed%a0%80", &["format: q must be percent-encoded UTF-8."]),
        ("q=abcdef", &["too_long: q must be at most 5 characters long."]),
        ("status=", &["enum: status must be one of todo, in_progress, done."]),
        ("status=todo,", &["enum: status must be one of todo, in_progress, done."]),
        ("status=todo,secret", &["enum: status must be one of todo, in_progress, done."]),
        ("status=todo,todo", &["duplicate: status must not name anything twice."]),
        ("sort=id", &["enum: sort must be one of created_at, title."]),
        ("assignee_id=you", &["pattern: assignee_id must be a user id, me or none."]),
        (
            "due_before=2026-01-31T09:00:00+00:00",
            &["format: due_before must be a time like 2026-01-31T09:00:00Z (in a query, write + as %2B)."],
        ),
        (
            "zzz=1&sort=x&limit=0&aaa=1&deleted=1",
            &[
                "unknown_parameter: zzz is not a parameter of this operation.",
                "enum: sort must be one of created_at, title.",
                "minimum: limit must be at least 1.",
                "unknown_parameter: aaa is not a parameter of this operation.",
                "type: deleted must be true or false.",
            ],
        ),
    ] {
        assert_eq!(query_messages(query), expected, "{query}");
    }
}

#[test]
fn an_operation_without_the_other_parameter_has_no_conflict_of_pages() {
    let contract = contract();
    let details = operation(&contract, "batchTasks").check("page=1&offset=2", None).expect_err("unknown");
    assert!(details.iter().take(2).all(|detail| detail.code == crate::contract::error::DetailCode::UnknownParameter));
    assert_eq!(details.last().map(|detail| detail.message.as_str()), Some("dry is required."));
}

#[test]
fn a_valid_body_is_returned_with_its_names_trimmed() {
    let contract = contract();
    let body = task(&json!({
        "title": "\u{2003}Tea \n", "note": " a ", "labels": [" x ", "y"], "place": { "lat": 1, "name": " Ulm " },
        "count": 3.0, "password": " sesame! ", "due_at": null,
    }));
    let expected = task(&json!({
        "title": "Tea", "note": "a", "labels": ["x", "y"], "place": { "lat": 1, "name": "Ulm" },
        "count": 3, "password": " sesame! ", "due_at": null,
    }));
    let checked = operation(&contract, "createTask").check("", Some(body)).expect("valid");
    assert_eq!(checked.body, Some(expected));
    let batch = json!({ "operations": [{ "op": "create", "title": " a " }, { "op": "delete", "task_id": "0199F5E0-0000-7000-8000-000000000000" }] });
    let checked = operation(&contract, "batchTasks").check("dry=false", Some(batch)).expect("valid");
    assert_eq!(checked.body.expect("a body")["operations"][0]["title"], "a");
}

#[test]
fn every_invalid_field_is_reported() {
    const TITLE: &str = "too_short: title must not be empty.";
    for (fields, expected) in [
        (json!({ "title": "" }), &[TITLE][..]),
        (json!({ "title": " \u{a0}\t" }), &[TITLE]),
        (json!({ "title": null }), &["null: title cannot be null."]),
        (json!({ "title": 5 }), &["type: title must be a string."]),
        (json!({ "title": "ääääääääää" }), &[]),
        (json!({ "title": "ääääääääääo" }), &["too_long: title must be at most 10 characters long."]),
        (json!({ "title": "a\u{0}b" }), &["pattern: title must not contain control characters."]),
        (json!({ "title": "a\u{0}b0123456789" }), &["too_long: title must be at most 10 characters long."]),
        (json!({ "color": "red" }), &["pattern: color does not match the required pattern; see the documentation."]),
        (json!({ "color": "#aabbcc\n" }), &["pattern: color must not contain control characters."]),
        (json!({ "note": 1 }), &["type: note must be a string or null."]),
        (json!({ "password": "short" }), &["too_short: password must be at least 8 characters long."]),
        (json!({ "password": "ääääääää" }), &["too_long: password must be at most 12 bytes long."]),
        (json!({ "status": "secret" }), &["enum: status must be one of todo, in_progress, done."]),
        (json!({ "status": null }), &["null: status cannot be null."]),
        (json!({ "status": 1 }), &["type: status must be a string."]),
        (
            json!({ "colour": "x", "id": 1 }),
            &[
                "unknown_field: colour is not a field of this request. Did you mean color?",
                "unknown_field: id is not a field of this request.",
            ],
        ),
        (json!({ "a\u{7}b": 1 }), &["unknown_field: a\u{fffd}b is not a field of this request."]),
        (json!({ "labels": [] }), &["too_few: labels must have at least 1 item."]),
        (json!({ "labels": ["a", "b", "c", "d"] }), &["too_many: labels must have at most 3 items."]),
        (
            json!({ "labels": ["a", " a", "a "] }),
            &["duplicate: labels[1] is in the list twice.", "duplicate: labels[2] is in the list twice."],
        ),
        (
            json!({ "labels": ["a", " ", 1] }),
            &["too_short: labels[1] must not be empty.", "type: labels[2] must be a string."],
        ),
        (
            json!({ "labels": ["a,b"] }),
            &["pattern: labels[0] does not match the required pattern; see the documentation."],
        ),
        (json!({ "labels": "a" }), &["type: labels must be a list."]),
        (
            json!({ "due_at": "tomorrow" }),
            &["format: due_at must be a time like 2026-01-31T09:00:00Z (in a query, write + as %2B)."],
        ),
        (json!({ "due_at": 1 }), &["type: due_at must be a string or null."]),
        (json!({ "place": {} }), &["required: place.lat is required."]),
        (json!({ "place": null }), &[]),
        (json!({ "place": [] }), &["type: place must be an object or null."]),
        (
            json!({ "place": { "x": 1, "name": "", "lat": -91 } }),
            &[
                "unknown_field: place.x is not a field of this request.",
                "too_short: place.name must not be empty.",
                "minimum: place.lat must be at least -90.",
            ],
        ),
        (json!({ "place": { "lat": 91 } }), &["maximum: place.lat must be at most 90."]),
        (json!({ "count": 3.5 }), &["type: count must be a whole number."]),
        (json!({ "count": "3" }), &["type: count must be a whole number."]),
        (json!({ "count": 1e30 }), &["maximum: count must be at most 9."]),
        (
            json!({ "after_id": "0199f5e0-0000-7000-8000-000000000000", "before_id": "0199f5e0-0000-7000-8000-000000000000" }),
            &["conflict: before_id and after_id exclude each other."],
        ),
        (
            json!({ "email": "Ada <a@b.de>", "timezone": "Mars" }),
            &[
                "format: email must be an e-mail address like ada@example.com.",
                "format: timezone must be the IANA name of a time zone, like Europe/Berlin.",
            ],
        ),
    ] {
        assert_eq!(body_messages("createTask", task(&fields)), expected, "{fields}");
    }
}

#[test]
fn missing_fields_come_first_and_the_rest_in_the_order_of_the_body() {
    let body = json!({ "zzz": 1, "labels": [1], "status": "x", "aaa": 1, "place": { "foo": 1 }, "note": 7 });
    let expected = [
        "required: title is required.",
        "required: password is required.",
        "unknown_field: zzz is not a field of this request.",
        "type: labels[0] must be a string.",
        "enum: status must be one of todo, in_progress, done.",
        "unknown_field: aaa is not a field of this request.",
        "required: place.lat is required.",
        "unknown_field: place.foo is not a field of this request.",
        "type: note must be a string or null.",
    ];
    assert_eq!(body_messages("createTask", body), expected);
}

#[test]
fn a_body_that_is_not_an_object_has_one_violation() {
    for (body, expected) in [
        (json!([]), "type: The request body must be an object."),
        (json!("x"), "type: The request body must be an object."),
        (json!(null), "null: The request body cannot be null."),
    ] {
        assert_eq!(body_messages("createTask", body), [expected]);
    }
    let details = operation(&contract(), "createTask").check("", None).expect_err("missing");
    assert_eq!((details[0].field.as_str(), details[0].location), ("", ErrorLocation::Body));
    assert_eq!(details[0].message, "The request body is required.");
    assert!(operation(&contract(), "batchTasks").check("dry=true", None).is_ok());
    assert_eq!(operation(&contract(), "listTasks").check("", Some(json!(7))).map(|checked| checked.body), Ok(None));
}

#[test]
fn violations_are_those_of_the_tagged_alternative() {
    for (operation, expected) in [
        (json!({ "op": "create" }), &["required: operations[1].title is required."][..]),
        (json!({ "op": "create", "title": "" }), &["too_short: operations[1].title must not be empty."]),
        (
            json!({ "op": "create", "title": "a", "status": "x" }),
            &["enum: operations[1].status must be one of todo, in_progress, done."],
        ),
        (
            json!({ "op": "delete", "title": "a", "task_id": "x" }),
            &[
                "unknown_field: operations[1].title is not a field of this request.",
                "format: operations[1].task_id must be a UUID.",
            ],
        ),
        (json!({ "op": "destroy", "title": "a" }), &["enum: operations[1].op must be one of create, delete."]),
        (json!({ "op": 7 }), &["enum: operations[1].op must be one of create, delete."]),
        (json!({ "title": "a" }), &["required: operations[1].op is required."]),
        (json!({}), &["required: operations[1].op is required."]),
        (json!(7), &["type: operations[1] must be an object."]),
        (json!(null), &["null: operations[1] cannot be null."]),
    ] {
        let body = json!({ "operations": [{ "op": "create", "title": "a" }, operation] });
        assert_eq!(body_messages("batchTasks", body), expected, "{operation}");
    }
}

#[test]
fn violations_of_the_query_precede_those_of_the_body() {
    let details = operation(&contract(), "batchTasks").check("x=1", Some(json!({}))).expect_err("wrong");
    let fields: Vec<_> = details.iter().map(|detail| (detail.location, detail.field.as_str())).collect();
    assert_eq!(
        fields,
        [(ErrorLocation::Query, "x"), (ErrorLocation::Query, "dry"), (ErrorLocation::Body, "operations")]
    );
}

#[test]
fn values_of_a_request_are_never_repeated() {
    let secret = "hunter2-hunter2";
    let body = json!({
        "title": [secret], "password": secret, "status": secret, "labels": { secret: 1, "x": secret }, "due_at": secret,
        "email": secret, "color": secret, "count": secret, "place": { "lat": secret },
    });
    let text = body_messages("createTask", body).join("\n");
    assert_eq!(text.lines().count(), 9);
    assert!(!text.contains("hunter2"), "{text}");
    let text = query_messages("status=hunter2&limit=hunter2&sort=hunter2&q=hunter2&deleted=hunter2").join("\n");
    assert_eq!(text.lines().count(), 5);
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn hostile_requests_have_short_and_fast_responses() {
    let zeros = Value::Array(vec![json!(0); 300_000]);
    let fields: serde_json::Map<String, Value> = (0..50_000).map(|n| (format!("f{n}"), json!(0))).collect();
    let start = std::time::Instant::now();
    let messages = body_messages("createTask", task(&json!({ "labels": zeros.clone() })));
    assert_eq!((messages.len(), messages[0].as_str()), (MAX_DETAILS, "too_many: labels must have at most 3 items."));
    assert_eq!(body_messages("createTask", Value::Object(fields)).len(), MAX_DETAILS);
    assert_eq!(
        body_messages("batchTasks", json!({ "operations": zeros }))[0],
        "too_many: operations must have at most 100 items."
    );
    let query = (0..100_000).fold(String::new(), |query, n| query + &format!("&p{n}"));
    assert_eq!(query_messages(&query).len(), MAX_DETAILS);
    assert_eq!(query_messages(&"&limit=1".repeat(100_000)).len(), 1);
    let name = "n".repeat(100_000);
    let cut = &body_messages("createTask", task(&json!({ name: 1 })))[0];
    assert_eq!(cut.len(), "unknown_field:  is not a field of this request.".len() + 100);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn keys_that_look_like_pointers_or_indexes_keep_their_names() {
    let body = task(&json!({ "": 1, "a/b": 1, "~1": 1, "007": 1, "a.b[0]": 1 }));
    let fields: Vec<_> = operation(&contract(), "createTask")
        .check("", Some(body))
        .expect_err("unknown")
        .into_iter()
        .map(|d| d.field)
        .collect();
    assert_eq!(fields, ["", "a/b", "~1", "007", "a.b[0]"]);
}

#[test]
fn formats_are_strict() {
    let long = format!("{}@{}.de", "a".repeat(64), "b".repeat(63));
    let longer = format!("{}@b.de", "a".repeat(65));
    let longest = format!("a@{}.de", ["b".repeat(63), "c".repeat(63), "d".repeat(63), "e".repeat(63)].join("."));
    for (field, text, is_valid) in [
        ("email", "ada@example.com", true),
        ("email", "o'hara+x_{}|~@sub.example.co", true),
        ("email", long.as_str(), true),
        ("email", longer.as_str(), false),
        ("email", longest.as_str(), false),
        ("email", "a@localhost", false),
        ("email", "a@b..de", false),
        ("email", "a@-b.de", false),
        ("email", "a@b-.de", false),
        ("email", "a@b.de.", false),
        ("email", ".a@b.de", false),
        ("email", "a.@b.de", false),
        ("email", "a..b@b.de", false),
        ("email", "a b@b.de", false),
        ("email", "\"a\"@b.de", false),
        ("email", "a@b@c.de", false),
        ("email", "a@[1.2.3.4]", false),
        ("email", "a(x)@b.de", false),
        ("email", "ä@b.de", false),
        ("email", "a@ä.de", true),
        ("email", "a@b.de\n", true),
        ("email", "a\r\nbcc:x@b.de", false),
        ("email", "@b.de", false),
        ("email", "", false),
        ("due_at", "2026-01-31T09:00:00Z", true),
        ("due_at", "2026-01-31t09:00:00.123456789123z", true),
        ("due_at", "2026-01-31T09:00:00+14:00", true),
        ("due_at", "0000-01-01T00:00:00Z", true),
        ("due_at", "9999-12-31T23:59:59.999Z", true),
        ("due_at", "0000-01-01T00:00:00+00:01", false),
        ("due_at", "9999-12-31T23:59:59-00:01", false),
        ("due_at", "9999-12-31T23:59:60Z", false),
        ("due_at", "10000-01-01T00:00:00Z", false),
        ("due_at", "2026-02-29T09:00:00Z", false),
        ("due_at", "2026-01-31 09:00:00Z", false),
        ("due_at", "2026-01-31T09:00:00", false),
        ("due_at", "2026-01-31T09:00:00\u{2212}01:00", false),
        ("due_at", "2026-01-31T24:00:00Z", false),
        ("due_at", "2026-01-31", false),
        ("due_at", "2026-01-31T09:00:0é", false),
        ("before_id", "0199f5e0-0000-7000-8000-00000000000A", true),
        ("before_id", "0199f5e000007000800000000000000a", false),
        ("before_id", "{0199f5e0-0000-7000-8000-00000000000a}", false),
        ("before_id", "urn:uuid:0199f5e0-0000-7000-8000-00000000000a", false),
        ("before_id", "0199f5e0-0000-7000-8000-00000000000g", false),
        ("before_id", "0199f5e0-0000-7000-8000-0000000000é", false),
        ("timezone", "Europe/Berlin", true),
        ("timezone", "UTC", true),
        ("timezone", "Europe/berlin", false),
        ("timezone", "+01:00", false),
        ("timezone", "", false),
    ] {
        assert_eq!(body_messages("createTask", task(&json!({ field: text }))).is_empty(), is_valid, "{field} {text:?}");
    }
}

#[test]
fn json_is_parsed_strictly() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for valid in
        ["{}", " [1, -2, 3.5, \"\\u00e4\", null, true] \n", "{\"a\":{\"a\":1},\"b\":{\"a\":1}}", "18446744073709551615"]
    {
        assert_eq!(parse_json(valid.as_bytes()).ok(), serde_json::from_str(valid).ok(), "{valid}");
    }
    assert!(parse_json(nested(64).as_bytes()).is_ok());
    for (text, expected) in [
        ("", "The request body is empty where JSON is expected (line 1, column 1)."),
        (" \n ", "The request body is empty where JSON is expected (line 1, column 1)."),
        ("\u{feff}", "The request body is empty where JSON is expected (line 1, column 1)."),
        ("{\"a\":1,\n\"a\":2}", "The request body has a duplicate key in an object (line 2, column 3)."),
        ("[{\"x\":{\"a\":1,\"\\u0061\":2}}]", "The request body has a duplicate key in an object (line 1, column 21)."),
        ("{} x", "The request body continues after the end of its JSON (line 1, column 4)."),
        ("{}{}", "The request body continues after the end of its JSON (line 1, column 3)."),
        ("{\"a\":", "The request body ends in the middle of its JSON (line 1, column 5)."),
        ("{\"hunter2", "The request body ends in the middle of its JSON (line 1, column 9)."),
        ("NaN", "The request body is not valid JSON (line 1, column 1)."),
        ("[1e400]", "The request body is not valid JSON (line 1, column 6)."),
        ("{'a':1}", "The request body is not valid JSON (line 1, column 2)."),
        ("[1,]", "The request body is not valid JSON (line 1, column 4)."),
        ("[01]", "The request body is not valid JSON (line 1, column 3)."),
        ("\"\\ud800\"", "The request body is not valid JSON (line 1, column 8)."),
        ("\"a\nb\"", "The request body is not valid JSON (line 2, column 1)."),
        (&nested(65), "The request body is nested more than 64 levels deep (line 1, column 66)."),
    ] {
        assert_eq!(parse_json(text.as_bytes()).expect_err(text).to_string(), expected, "{text}");
    }
    let error = parse_json(b"{\n\"a\": \"\xff\"}").expect_err("not UTF-8");
    assert_eq!(error.to_string(), "The request body is not UTF-8 (line 2, column 7).");
    assert!(parse_json("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn an_unsupported_document_does_not_compile() {
    let body = "/paths/~1v1~1projects~1{project_id}~1tasks/post/requestBody/content/application~1json/schema";
    let list = "/paths/~1v1~1projects~1{project_id}~1tasks/get/parameters/1/schema";
    for (pointer, schema, expected) in [
        ("/components/schemas/Title", json!({ "type": "string", "maxLenght": 1 }), "maxLenght"),
        ("/components/schemas/Title", json!({ "type": "string", "nullable": true }), "nullable"),
        ("/components/schemas/Title", json!({ "type": "string", "format": "colour" }), "colour"),
        ("/components/schemas/Title", json!({ "type": "text" }), "text"),
        ("/components/schemas/Title", json!({ "type": "number" }), "number"),
        ("/components/schemas/Title", json!({ "type": "string", "maxLength": "many" }), "maxLength"),
        ("/components/schemas/Title", json!({ "type": "integer", "exclusiveMinimum": 0 }), "exclusiveMinimum"),
        ("/components/schemas/Title", json!({ "type": "array", "contains": {} }), "contains"),
        ("/components/schemas/Title", json!({ "const": "a" }), "const"),
        ("/components/schemas/Title", json!({ "allOf": [{ "type": "string" }] }), "allOf"),
        ("/components/schemas/Title", json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), "anyOf"),
        ("/components/schemas/Title", json!({ "oneOf": [{ "type": "string" }] }), "discriminator"),
        ("/components/schemas/Title", json!({ "$ref": "#/components/schemas/Label", "maxLength": 5 }), "maxLength"),
        ("/components/schemas/Title", json!({ "type": "string", "readOnly": true }), "readOnly"),
        ("/components/schemas/Title", json!({ "type": "string", "pattern": "(?=a)b" }), "compile"),
        ("/components/schemas/Title", json!({ "type": "string", "x-max-bytes": "many" }), "x-max-bytes"),
        ("/components/schemas/Title", json!({ "type": "string", "x-trimmed": "yes" }), "x-trimmed"),
        ("/components/schemas/Title", json!({ "not": { "type": "null" } }), "not"),
        ("/components/schemas/Title", json!({ "type": "object", "x-exclusive": ["a"] }), "x-exclusive"),
        ("/components/schemas/Title", json!({ "$ref": "#/components/schemas/Nothing" }), "Nothing"),
        ("/components/schemas/Title", json!({ "$ref": "https://example.com/schema" }), "no target"),
        ("/components/schemas/Title", json!({ "$ref": "#/components/schemas/CreateTask" }), "itself"),
        ("/components/schemas/Title", json!(true), "says nothing"),
        (body, json!({ "type": "object", "unevaluatedProperties": false }), "unevaluatedProperties"),
        (body, json!({ "type": "object", "additionalProperties": { "type": "string" } }), "additionalProperties"),
        (list, json!({ "type": "number" }), "number"),
        (list, json!({ "type": ["string", "integer"] }), "one type"),
        (list, json!({}), "one type"),
        (
            "/paths/~1v1~1projects~1{project_id}~1tasks/get/parameters/1",
            json!({ "name": "a", "in": "query", "explode": false, "schema": { "type": "string" } }),
            "explode",
        ),
        ("/openapi", json!("3.0.3"), "3.1"),
        ("/paths", json!({ "/a.{b}": { "get": { "operationId": "a" } } }), "segment"),
        (
            "/paths",
            json!({ "/{a}": { "get": { "operationId": "a" } }, "/{b}": { "get": { "operationId": "b" } } }),
            "twice",
        ),
        ("/paths", json!({ "/a": { "get": {} } }), "operationId"),
        ("/components/parameters/Limit", json!({ "name": "limit", "in": "query", "content": {} }), "no schema"),
        (
            "/paths/~1v1~1projects~1mine~1tasks~1batch/post/requestBody/content/application~1json",
            json!({ "schema": { "type": "object" } }),
            "another schema",
        ),
        (
            "/paths/~1v1~1projects~1{project_id}~1tasks/post/requestBody/content",
            json!({ "text/plain": { "schema": { "type": "string" } } }),
            "only JSON",
        ),
    ] {
        let mut document = document();
        *document.pointer_mut(pointer).expect("the pointer is right") = schema.clone();
        let error = format!("{:#}", OpenApiValidator::compile(&document).expect_err(&schema.to_string()));
        assert!(error.contains(expected), "{schema}: {error}");
    }
}
