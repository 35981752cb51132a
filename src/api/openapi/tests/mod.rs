//! Tests of the post-processing, on a sample API and on small hand-written documents.

mod bodies;
mod document;
mod responses;
mod sample;

use serde_json::{Value, json};

use super::{Story, postprocess};

/// The sample shows the examples of its schemas.
const NO_STORY: Story = Story { response: |_| None, current: |_| None };

fn postprocessed() -> Value {
    postprocess(sample::raw(), sample::POLICIES, &NO_STORY)
}

/// Returns the postprocessed form of a schema of a request or a response.
fn postprocessed_schema(place: &str, schema: &Value) -> Value {
    let media = json!({ "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Subject" } } } });
    let operation = match place {
        "request" => json!({ "requestBody": media, "responses": {} }),
        _ => json!({ "responses": { "200": media } }),
    };
    let other = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let document = json!({
        "openapi": "3.0.0",
        "paths": { "/v1/subjects": { "post": operation } },
        "components": { "schemas": { "Subject": schema, "Other": other } },
    });
    let mut schema = postprocess(document, &[], &NO_STORY)["components"]["schemas"]["Subject"].clone();
    assert_eq!(schema.as_object_mut().unwrap().shift_remove("title"), Some(json!("Subject")));
    schema
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
