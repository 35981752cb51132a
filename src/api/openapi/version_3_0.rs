//! Converts the published document to OpenAPI 3.0, for client generators that read nothing newer.
//!
//! Webhook messages are lost: 3.0 cannot describe them.

use serde_json::{Value, json};

use super::key_order;
use super::walk::{self, Object};

/// Converts a document from OpenAPI 3.1 to 3.0.3.
#[must_use]
pub fn downgrade(document: &Value) -> Value {
    let mut document = document.clone();
    let messages = document.as_object_mut().and_then(|members| members.shift_remove("webhooks"));
    drop_tags(&mut document, messages.as_ref());
    document["openapi"] = json!("3.0.3");
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.shift_remove("summary");
        if let Some(license) = walk::object_mut(info, "license")
            && let Some(id) = license.shift_remove("identifier")
        {
            license.insert(
                "url".to_owned(),
                json!(format!("https://spdx.org/licenses/{}.html", id.as_str().unwrap_or_default())),
            );
        }
    }
    let schemas = walk::schemas(&document);
    walk::each_schema(&mut document, &mut |schema| {
        use_first_example(schema);
        use_nullable(schema, &schemas);
        use_boolean_bounds(schema);
        // Older generators would use a set, whose literals are no arrays and which has no order.
        schema.shift_remove("uniqueItems");
        if let Some(value) = schema.shift_remove("const") {
            schema.insert("enum".to_owned(), json!([value]));
        }
        wrap_reference(schema);
    });
    key_order::drop_unused_schemas(&mut document);
    document
}

/// Removes the tags of webhook messages.
fn drop_tags(document: &mut Value, messages: Option<&Value>) {
    let items = messages.and_then(Value::as_object).into_iter().flat_map(Object::values);
    let dropped: Vec<&Value> = items.filter_map(|item| item.pointer("/post/tags/0")).collect();
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.retain(|tag| !dropped.contains(&&tag["name"]));
    }
}

fn use_first_example(schema: &mut Object) {
    if let Some(Value::Array(examples)) = schema.shift_remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        schema.insert("example".to_owned(), first);
    }
}

fn use_nullable(schema: &mut Object, schemas: &Object) {
    if let Some(kinds) = schema.get("type").and_then(Value::as_array) {
        let kind = kinds.iter().find(|kind| *kind != "null").cloned();
        schema.insert("type".to_owned(), kind.unwrap_or_default());
        schema.insert("nullable".to_owned(), json!(true));
    }
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(choices)) = schema.get_mut(key) else { continue };
        let before = choices.len();
        choices.retain(|choice| choice["type"] != "null");
        if choices.len() == before {
            continue;
        }
        if choices.len() == 1
            && let Some(only) = schema.shift_remove(key)
        {
            // Without a type, `nullable` has no effect.
            let target = walk::referenced(&only[0]).and_then(|name| schemas.get(name));
            if let Some(kind) = target.and_then(|target| target.get("type")).cloned() {
                schema.insert("type".to_owned(), kind);
            }
            schema.insert("allOf".to_owned(), only);
        }
        schema.insert("nullable".to_owned(), json!(true));
    }
}

fn use_boolean_bounds(schema: &mut Object) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if let Some(value) = schema.shift_remove(exclusive) {
            schema.insert(bound.to_owned(), value);
            schema.insert(exclusive.to_owned(), json!(true));
        }
    }
}

/// Wraps a reference with other members, which 3.0 would ignore.
fn wrap_reference(schema: &mut Object) {
    if schema.len() > 1
        && let Some(reference) = schema.shift_remove("$ref")
    {
        schema.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn downgraded(schema: &Value) -> Value {
        let document = json!({
            "openapi": "3.1.0",
            "paths": { "/a": { "get": { "responses": { "200": { "content": { "application/json": { "schema": schema } } } } } } },
            "components": { "schemas": { "A": { "type": "object" } } },
        });
        downgrade(&document)["paths"]["/a"]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone()
    }

    #[test]
    fn keywords_of_newer_json_schema_are_replaced() {
        for (schema, expected) in [
            (json!({ "type": ["string", "null"] }), json!({ "type": "string", "nullable": true })),
            (json!({ "type": "string", "examples": ["a", "b"] }), json!({ "type": "string", "example": "a" })),
            (json!({ "type": "array", "uniqueItems": true }), json!({ "type": "array" })),
            (json!({ "const": "true" }), json!({ "enum": ["true"] })),
            (
                json!({ "type": "integer", "exclusiveMinimum": 0 }),
                json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": true }),
            ),
            (json!({ "$ref": "#/a" }), json!({ "$ref": "#/a" })),
            (json!({ "$ref": "#/a", "description": "b" }), json!({ "description": "b", "allOf": [{ "$ref": "#/a" }] })),
            (
                json!({ "anyOf": [{ "$ref": "#/components/schemas/A" }, { "type": "null" }], "description": "b" }),
                json!({
                    "description": "b", "type": "object", "allOf": [{ "$ref": "#/components/schemas/A" }], "nullable": true,
                }),
            ),
            (
                json!({ "type": "array", "items": { "type": ["integer", "null"] } }),
                json!({ "type": "array", "items": { "type": "integer", "nullable": true } }),
            ),
        ] {
            assert_eq!(downgraded(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn webhook_messages_are_dropped_with_their_tag_and_schemas() {
        let document = json!({
            "openapi": "3.1.0",
            "tags": [{ "name": "Tasks" }, { "name": "Messages" }],
            "paths": {},
            "webhooks": { "a": { "post": { "tags": ["Messages"], "schema": { "$ref": "#/components/schemas/A" } } } },
            "components": { "schemas": { "A": { "type": "object" } } },
        });
        let expected = json!({
            "openapi": "3.0.3", "tags": [{ "name": "Tasks" }], "paths": {}, "components": { "schemas": {} },
        });
        assert_eq!(downgrade(&document), expected);
    }
}
