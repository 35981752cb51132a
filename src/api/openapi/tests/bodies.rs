//! The schemas of requests and responses, their examples, and the parameters.

use serde_json::{Value, json};

use super::{super::resolve, keys, postprocessed, postprocessed_schema};
use crate::contract::error::ErrorCode;
use crate::contract::strings::TRIMMED_PATTERNS;

#[test]
fn nullable_references_become_any_of() {
    let reference = json!({ "$ref": "#/components/schemas/Other" });
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "description": "A.", "nullable": true, "allOf": [reference, { "description": "A.", "nullable": true }] },
    } });
    assert_eq!(
        postprocessed_schema("request", &schema)["properties"]["a"],
        json!({ "anyOf": [reference, { "type": "null" }], "description": "A." })
    );
}

#[test]
fn nullable_types_and_enums_admit_null() {
    let schema = json!({ "type": "string", "nullable": true, "enum": ["a"] });
    assert_eq!(postprocessed_schema("request", &schema), json!({ "type": ["string", "null"], "enum": ["a", null] }));
}

#[test]
fn repeated_siblings_of_a_reference_stand_once() {
    let schema =
        json!({ "description": "A.", "allOf": [{ "$ref": "#/components/schemas/Other" }, { "description": "A." }] });
    let expected = json!({ "$ref": "#/components/schemas/Other", "description": "A." });
    assert_eq!(postprocessed_schema("request", &schema), expected);
}

#[test]
fn bounds_are_whole_numbers_and_take_the_place_of_formats() {
    let bounded = json!({ "type": "integer", "format": "int32", "minimum": 0.0, "maximum": 100.0 });
    assert_eq!(postprocessed_schema("request", &bounded), json!({ "type": "integer", "minimum": 0, "maximum": 100 }));
    let half = json!({ "type": "integer", "format": "int64", "minimum": 1.0 });
    assert_eq!(postprocessed_schema("request", &half), json!({ "type": "integer", "format": "int64", "minimum": 1 }));
    let unsigned = json!({ "type": "integer", "format": "uint32" });
    assert_eq!(postprocessed_schema("request", &unsigned), json!({ "type": "integer", "minimum": 0 }));
    let exclusive = json!({ "type": "number", "minimum": 0.5, "exclusiveMinimum": true });
    assert_eq!(postprocessed_schema("request", &exclusive), json!({ "type": "number", "exclusiveMinimum": 0.5 }));
}

#[test]
fn a_property_may_be_named_like_a_keyword() {
    let schema = json!({ "type": "object", "required": ["example"], "properties": {
        "example": { "type": "string", "example": "" }, "description": { "type": "string", "nullable": false },
    } });
    let properties = postprocessed_schema("request", &schema)["properties"].clone();
    assert_eq!(
        properties,
        json!({ "example": { "type": "string", "examples": [""] }, "description": { "type": "string" } })
    );
}

#[test]
fn requests_are_strict_and_responses_complete() {
    let document = postprocessed();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["CreateTask"]["additionalProperties"], json!(false));
    assert_eq!(schemas["CreateTask"]["required"], json!(["title", "secret"]));
    assert_eq!(schemas["CreateTask"]["properties"]["description"], json!({ "type": "string" }));
    assert_eq!(schemas["TaskPatch"]["properties"]["description"]["type"], json!(["string", "null"]));
    assert_eq!(schemas["Task"].get("additionalProperties"), None);
    assert_eq!(schemas["Task"]["required"].as_array().unwrap().len(), 8);
    assert_eq!(schemas["Task"]["properties"]["due_at"]["type"], json!(["string", "null"]));
    assert_eq!(schemas["Task"]["properties"]["priority"]["anyOf"][1], json!({ "type": "null" }));
}

#[test]
fn optional_fields_of_an_error_are_absent_instead_of_null() {
    let error = postprocessed()["components"]["schemas"]["ApiError"].clone();
    assert_eq!(error["required"], json!(["error", "message", "request_id"]));
    assert_eq!(error["properties"]["field"]["type"], "string");
    assert_eq!(error["properties"]["details"]["type"], "array");
}

#[test]
fn names_are_marked_as_trimmed() {
    for pattern in TRIMMED_PATTERNS {
        let name = json!({ "type": "string", "pattern": pattern });
        assert_eq!(postprocessed_schema("request", &name)["x-trimmed"], json!(true));
    }
    let other = json!({ "type": "string", "pattern": "^a" });
    assert_eq!(postprocessed_schema("request", &other).get("x-trimmed"), None);
}

#[test]
fn passwords_in_requests_are_limited_in_bytes() {
    let password = json!({ "type": "string", "format": "password" });
    assert_eq!(postprocessed_schema("request", &password)["x-max-bytes"], json!(72));
    assert_eq!(postprocessed_schema("response", &password).get("x-max-bytes"), None);
}

#[test]
fn enums_that_may_grow_are_open() {
    let document = postprocessed();
    let schemas = &document["components"]["schemas"];
    let code = &schemas["ErrorCode"];
    assert_eq!(code.get("enum"), None);
    assert_eq!(code["x-extensible-enum"].as_array().unwrap().len(), ErrorCode::ALL.len());
    assert!(code["description"].as_str().unwrap().ends_with("must tolerate unknown values."));
    assert_eq!(schemas["Priority"]["enum"], json!(["low", "high"]));
}

#[test]
fn members_of_a_tagged_union_are_whole_strict_objects() {
    let member = postprocessed()["components"]["schemas"]["Operation_Removal"].clone();
    assert_eq!(keys(&member["properties"]), ["op", "task_id"]);
    assert_eq!(member["required"], json!(["op", "task_id"]));
    assert_eq!(member["additionalProperties"], json!(false));
    assert_eq!(member["properties"]["op"]["enum"], json!(["delete"]));
}

#[test]
fn a_query_object_becomes_parameters() {
    let document = postprocessed();
    let operation = &document["paths"]["/v1/tasks"]["get"];
    assert_eq!(operation.get("requestBody"), None);
    assert_eq!(document["components"]["schemas"].get("Filter"), None);
    // Only what is required has an example beside the schema: forms are filled in with it.
    let expected = json!([
        { "name": "limit", "in": "query", "description": "Maximum number of items.",
          "schema": { "type": "integer", "default": 20, "minimum": 1, "maximum": 100 } },
        { "name": "priority", "in": "query", "description": "Any of these. Several values: repeat the \
          parameter (`priority=low&priority=high`) or separate them by commas (`priority=low,high`).",
          "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Priority" }, "examples": [["low", "high"]] } },
        { "name": "sort", "in": "query", "description": "The order.",
          "schema": { "$ref": "#/components/schemas/Sort" } },
        { "name": "q", "in": "query", "description": "Words to look for.", "required": true,
          "schema": { "type": "string" }, "example": "example" },
    ]);
    assert_eq!(operation["parameters"], expected);
}

#[test]
fn ids_of_the_path_are_described() {
    let document = postprocessed();
    let parameters = document["paths"]["/v1/tasks/{task_id}"]["get"]["parameters"].as_array().unwrap().clone();
    assert_eq!(parameters[0]["description"], "ID of the task.");
    assert_eq!(parameters[0]["required"], json!(true));
    assert!(parameters[0]["example"].is_string());
    assert_eq!(parameters[1], json!({ "$ref": "#/components/parameters/If-None-Match" }));
    let header = resolve(&document, &parameters[1]);
    assert_eq!((&header["name"], &header["in"]), (&json!("If-None-Match"), &json!("header")));
    assert_eq!(header["schema"]["type"], "string");
}

#[test]
fn bodies_have_examples_without_nulls_that_are_not_allowed() {
    let document = postprocessed();
    let example = |path: &str, method: &str| {
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"].clone()
    };
    assert_eq!(example("/v1/tasks", "post"), json!({ "title": "name", "secret": "12345678" }));
    assert_eq!(
        example("/v1/tasks/batch", "post"),
        json!({ "operations": [{ "op": "update", "title": "example", "description": "example", "priority": "low" }] })
    );
    let listed = &document["paths"]["/v1/tasks"]["get"]["responses"]["200"]["content"]["application/json"]["example"];
    assert_eq!(listed[0]["version"], json!(1));
    assert_ne!(listed[0]["due_at"], Value::Null);
    assert_eq!(listed[0]["deleted_at"], Value::Null);
}
