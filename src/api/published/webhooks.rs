//! Publishes the messages that webhooks get: one for each type of event that the union `Event` knows.

use serde_json::{Value, json};

use super::naming::pascal;
use super::tree::{self, Object};

/// The group of the operations that make webhooks, and of their messages.
const TAG: &str = "Webhooks";

/// What receivers have to know.
const GUIDE: &str = include_str!("../webhooks.md");

/// How a receiver finds out whether a message is ours: a language, and a program in it. They stand at the end of the
/// guide.
const RECIPES: [(&str, &str); 3] = [
    ("typescript", include_str!("../../../openapi/recipes/verify_webhook.ts")),
    ("python", include_str!("../../../openapi/recipes/verify_webhook.py")),
    ("rust", include_str!("../../../openapi/recipes/verify_webhook.rs")),
];

pub(super) fn publish(document: &mut Value) {
    let messages = messages(document);
    if messages.is_empty() {
        return;
    }
    if let Value::Object(members) = document {
        members.insert("webhooks".to_owned(), Value::Object(messages));
    }
    let tags = document.get_mut("tags").and_then(Value::as_array_mut).into_iter().flatten();
    for tag in tags.filter(|tag| tag["name"] == TAG) {
        let first = tag["description"].as_str().unwrap_or_default();
        tag["description"] = json!(guide(first, &RECIPES));
    }
}

/// The description of the group: what it is, what receivers have to know, and how they verify a message.
fn guide(first: &str, recipes: &[(&str, &str)]) -> String {
    let recipes = recipes.iter().map(|(language, recipe)| format!("\n```{language}\n{}\n```\n", recipe.trim_end()));
    format!("{first}\n\n{GUIDE}{}", recipes.collect::<String>())
}

/// A message for each type, in the order of the union.
fn messages(document: &Value) -> Object {
    let mapping = document.pointer("/components/schemas/Event/discriminator/mapping").and_then(Value::as_object);
    let messages = mapping.into_iter().flatten().filter_map(|(kind, reference)| {
        let name = reference.as_str()?.strip_prefix(tree::SCHEMAS)?;
        let (_, schema) = tree::components(document, "schemas").find(|(known, _)| *known == name)?;
        Some((kind.clone(), json!({ "post": message(kind, reference, schema) })))
    });
    messages.collect()
}

fn message(kind: &str, reference: &Value, schema: &Value) -> Value {
    let what = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    json!({
        "tags": [TAG],
        "summary": format!("The message of {kind}"),
        "description": format!(
            "{what} Sent to each webhook that names `{kind}` or `*` and may be told. Verify the signature over the body as it came; \
             answer soon with any status of 2xx; expect to get the same message more than once, and messages in another order \
             than that of `sequence`. See the tag {TAG}."
        ),
        "operationId": format!("on{}", pascal(&kind.replace('.', "_"))),
        "security": [],
        "parameters": [
            header("webhook-id", "The id of the event: the same whenever it is sent.", &json!({ "type": "string", "format": "uuid" })),
            header("webhook-timestamp", "When this attempt was made, in seconds since 1970.", &json!({ "type": "string", "pattern": "^[0-9]+$" })),
            header(
                "webhook-signature",
                "`v1,` and the base64 of HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and the body, with dots between them. During a \
                 rotation two, separated by a blank.",
                &json!({ "type": "string" }),
            ),
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": reference } } } },
        "responses": {
            "2XX": { "description": "The receiver has it." },
            "410": { "description": "The receiver wants nothing more, ever: the webhook is disabled." },
            "default": { "description": "It is sent again later; see `Retry-After`, which the receiver may send." },
        },
    })
}

fn header(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "required": true, "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_union_has_a_message() {
        let reference = format!("{}TaskCreatedEvent", tree::SCHEMAS);
        let mut document = json!({
            "tags": [{ "name": "Tasks", "description": "Tasks." }, { "name": TAG, "description": "Hooks." }],
            "components": { "schemas": {
                "Event": { "discriminator": { "mapping": { "task.created": reference } } },
                "TaskCreatedEvent": { "description": "A task was created." },
            } },
        });
        publish(&mut document);
        let message = &document["webhooks"]["task.created"]["post"];
        assert_eq!(message["requestBody"]["content"]["application/json"]["schema"]["$ref"], reference);
        assert_eq!(message["operationId"], "onTaskCreated");
        assert!(message["description"].as_str().unwrap().starts_with("A task was created. Sent to"));
        let names: Vec<_> = message["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
        assert_eq!(document["tags"][0]["description"], "Tasks.");
        let guide = document["tags"][1]["description"].as_str().unwrap();
        assert!(guide.starts_with("Hooks.\n\nWebhooks follow"), "{guide}");
    }

    #[test]
    fn recipes_stand_at_the_end_of_the_guide() {
        let text = guide("Hooks.", &[("python", "import hmac\n"), ("rust", "use hmac;")]);
        assert!(text.ends_with("\n```python\nimport hmac\n```\n\n```rust\nuse hmac;\n```\n"), "{text}");
    }
}
