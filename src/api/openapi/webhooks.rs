//! Publishes the messages that webhooks get: one for each type of event that the union `Event` knows, and those that
//! stand in no feed.

use serde_json::{Value, json};

use super::naming::pascal;
use super::tag_docs::VECTOR;
use super::walk::{self, Object};

/// The group of the operations that make webhooks, and of their messages.
const TAG: &str = "Webhooks";

pub(super) fn publish(document: &mut Value) {
    let messages = messages(document);
    if messages.is_empty() {
        return;
    }
    if let Value::Object(members) = document {
        members.insert("webhooks".to_owned(), Value::Object(messages));
    }
}

/// The unions whose members are messages, and whether they are sent to whoever names them.
const UNIONS: [(&str, bool); 2] = [("Event", true), ("WebhookMessage", false)];

/// A message for each type, in the order of the unions.
fn messages(document: &Value) -> Object {
    let members = UNIONS.iter().flat_map(|(union, is_named)| {
        let mapping = document.pointer(&format!("/components/schemas/{union}/discriminator/mapping"));
        mapping.and_then(Value::as_object).into_iter().flatten().map(|(kind, reference)| (kind, reference, *is_named))
    });
    let messages = members.filter_map(|(kind, reference, is_named)| {
        let name = reference.as_str()?.strip_prefix(walk::SCHEMAS)?;
        let (_, schema) = walk::components(document, "schemas").find(|(known, _)| *known == name)?;
        Some((kind.clone(), json!({ "post": message(kind, reference, schema, is_named) })))
    });
    messages.collect()
}

fn message(kind: &str, reference: &Value, schema: &Value, is_named: bool) -> Value {
    let what = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let (receivers, gone) = if is_named {
        (
            format!("Sent to each webhook that names `{kind}` or `*` and whose owner may see the event."),
            "The receiver wants nothing more, ever: the webhook is disabled.",
        )
    } else {
        (
            "Sent by `testWebhook` to that webhook alone, whatever its `events`.".to_owned(),
            "A failure like any other: no test disables a webhook.",
        )
    };
    json!({
        "tags": [TAG],
        "summary": format!("The message of {kind}"),
        "description": format!(
            "{what} {receivers} Verify the signature over the body as it came; answer soon with any status of 2xx; expect to get \
             the same message more than once, and messages in another order than that of `sequence`. See the tag {TAG}."
        ),
        "operationId": format!("on{}", pascal(&kind.replace('.', "_"))),
        "security": [],
        "parameters": parameters(),
        "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": reference } } } },
        "responses": {
            "2XX": { "description": "The receiver has it." },
            "410": { "description": gone },
            "default": {
                "description": "A failure. The message is sent again later, ten times in all unless the operator says otherwise; after the \
                                last attempt the delivery is `failed`, and `redeliver` sends it again.",
                "headers": { "Retry-After": {
                    "description": "The receiver may send it to put the next attempt off, for a day at most: so many seconds, or an HTTP date.",
                    "schema": { "type": "string" },
                    "examples": { "seconds": { "value": "120" }, "date": { "value": "Sat, 31 Jan 2026 09:02:00 GMT" } },
                } },
            },
        },
    })
}

/// The headers of every message. Their examples fit together: the guide says what is signed.
fn parameters() -> [Value; 3] {
    [
        header(
            "webhook-id",
            "The id of the event: the same whenever it is sent.",
            &json!({ "type": "string", "format": "uuid" }),
            VECTOR.id,
        ),
        header(
            "webhook-timestamp",
            "When this attempt was made, in seconds since 1970.",
            &json!({ "type": "string", "pattern": "^[0-9]+$" }),
            VECTOR.timestamp,
        ),
        header(
            "webhook-signature",
            "`v1,` and the base64 of HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and the body, with dots between them. During a \
             rotation one for each secret, separated by spaces.",
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
        assert!(test.as_str().unwrap().starts_with("A test. Sent by `testWebhook` to that webhook alone"));
        let names: Vec<_> = message["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
    }
}
