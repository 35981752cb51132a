//! Publishes webhook messages: one for each event type of the feed, and the test message.

use serde_json::{Value, json};

use super::naming::pascal;
use super::tag_docs::VECTOR;
use super::walk::{self, Object};

/// The tag of messages. Client generators create one file for each tag, so it must not be the tag of the operations.
const TAG: &str = "Webhook messages";

pub(super) fn publish(document: &mut Value) {
    let messages = messages(document);
    if messages.is_empty() {
        return;
    }
    if let Value::Object(members) = document {
        members.insert("webhooks".to_owned(), Value::Object(messages));
    }
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.push(json!({ "name": TAG, "description": "Requests that the server sends to your webhooks." }));
    }
}

/// The unions of messages, and whether webhooks subscribe to their types.
const UNIONS: [(&str, bool); 2] = [("Event", true), ("WebhookMessage", false)];

fn messages(document: &Value) -> Object {
    let members = UNIONS.iter().flat_map(|(union, is_subscribed)| {
        let mapping = document.pointer(&format!("/components/schemas/{union}/discriminator/mapping"));
        mapping
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(kind, reference)| (kind, reference, *is_subscribed))
    });
    let messages = members.filter_map(|(kind, reference, is_subscribed)| {
        let name = reference.as_str()?.strip_prefix(walk::SCHEMAS)?;
        let (_, schema) = walk::components(document, "schemas").find(|(known, _)| *known == name)?;
        Some((kind.clone(), json!({ "post": message(kind, reference, schema, is_subscribed) })))
    });
    messages.collect()
}

fn message(kind: &str, reference: &Value, schema: &Value, is_subscribed: bool) -> Value {
    let what = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let (receivers, gone) = if is_subscribed {
        (
            format!("Sent to each webhook that subscribes to `{kind}` or `*` and whose owner can see the event."),
            "Gone. The webhook is disabled.",
        )
    } else {
        (
            "Sent by `testWebhook` to that webhook only, regardless of its `events`.".to_owned(),
            "A failed attempt. Tests never disable a webhook.",
        )
    };
    json!({
        "tags": [TAG],
        "summary": format!("Message of {kind}"),
        "description": format!(
            "{what} {receivers} Verify the signature over the raw body and respond quickly with any 2xx status. Messages may \
             arrive more than once and out of order. See [Webhooks](/guides/webhooks)."
        ),
        "operationId": format!("on{}", pascal(&kind.replace('.', "_"))),
        "security": [],
        "parameters": parameters(),
        "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": reference } } } },
        "responses": {
            "2XX": { "description": "Received." },
            "410": { "description": gone },
            "default": {
                "description": "A failed attempt. The message is retried, by default up to ten attempts in total; then the delivery is \
                                `failed`, and `redeliver` sends it again.",
                "headers": { "Retry-After": {
                    "description": "Delays the next attempt, by up to a day: a number of seconds, or an HTTP date.",
                    "schema": { "type": "string" },
                    "examples": { "seconds": { "value": "120" }, "date": { "value": "Sat, 31 Jan 2026 09:02:00 GMT" } },
                } },
            },
        },
    })
}

/// The headers of every message; their examples are the test vector of the guide.
fn parameters() -> [Value; 3] {
    [
        header(
            "webhook-id",
            "The id of the event. Stays the same when the message is sent again.",
            &json!({ "type": "string", "format": "uuid" }),
            VECTOR.id,
        ),
        header(
            "webhook-timestamp",
            "Time of this attempt, in seconds since 1970.",
            &json!({ "type": "string", "pattern": "^[0-9]+$" }),
            VECTOR.timestamp,
        ),
        header(
            "webhook-signature",
            "`v1,` and the base64 of HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and the body, joined by dots. During a \
             rotation there is one for each secret, separated by spaces.",
            &json!({ "type": "string" }),
            VECTOR.signature,
        ),
    ]
}

fn header(name: &str, description: &str, schema: &Value, example: &str) -> Value {
    json!({ "name": name, "in": "header", "description": description, "required": true, "schema": schema, "example": example })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_union_has_a_message() {
        let reference = format!("{}TaskCreatedEvent", walk::SCHEMAS);
        let test = format!("{}TestEvent", walk::SCHEMAS);
        let mut document = json!({
            "components": { "schemas": {
                "Event": { "discriminator": { "mapping": { "task.created": reference } } },
                "TaskCreatedEvent": { "description": "A task was created." },
                "WebhookMessage": { "discriminator": { "mapping": { "webhook.test": test } } },
                "TestEvent": { "description": "A test." },
            } },
        });
        publish(&mut document);
        let message = &document["webhooks"]["task.created"]["post"];
        assert_eq!(message["requestBody"]["content"]["application/json"]["schema"]["$ref"], reference);
        assert_eq!(message["operationId"], "onTaskCreated");
        assert!(message["description"].as_str().unwrap().starts_with("A task was created. Sent to each webhook"));
        let test = &document["webhooks"]["webhook.test"]["post"]["description"];
        assert!(test.as_str().unwrap().starts_with("A test. Sent by `testWebhook` to that webhook only"));
        let names: Vec<_> = message["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
    }
}
