//! Documentation of every operation, and its authentication.

use std::collections::BTreeSet;

use pocket_tasks::api::openapi::{resolve, shared_schemas};
use pocket_tasks::contract::event::EventType;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::document::{DOCUMENT, EVENT_STREAM, needs_token, operations, statuses};
use crate::support::{TestApp, TestDatabase};

/// Operations without authentication. Additions must be deliberate.
const OPEN: [&str; 9] = [
    "register",
    "login",
    "refreshSession",
    "verifyEmail",
    "disownAccount",
    "forgotPassword",
    "resetPassword",
    "getLiveness",
    "getReadiness",
];

#[test]
fn every_operation_has_an_id_a_tag_a_summary_and_a_description() {
    let mut ids = BTreeSet::new();
    for (id, _, path, operation) in operations() {
        assert!(ids.insert(id.clone()), "{id} is used twice");
        assert!(!operation["tags"].as_array().unwrap().is_empty(), "{id} has no tag");
        for name in ["summary", "description"] {
            assert!(operation[name].as_str().is_some_and(|text| text.len() > 5), "{id} has no {name}");
        }
        assert!(path.starts_with("/v1/") || path.starts_with("/v2/") || path.starts_with("/health/"), "{path}");
        assert!(!path.ends_with('/'), "{path}");
    }
    assert_eq!(ids.len(), 64, "the number of operations changed: {ids:?}");
}

#[track_caller]
fn assert_valid<'e>(schema: &Value, examples: impl IntoIterator<Item = &'e Value>) {
    let schema = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for example in examples {
        let failures: Vec<String> = validator.iter_errors(example).map(|failure| failure.to_string()).collect();
        assert!(failures.is_empty(), "{example}: {failures:?}");
    }
}

#[test]
fn every_body_has_valid_examples() {
    let mut checked = 0;
    for (id, _, _, operation) in operations() {
        let bodies = std::iter::once(&operation["requestBody"])
            .chain(operation["responses"].as_object().unwrap().values())
            .map(|body| resolve(&DOCUMENT, body));
        for media in bodies.filter_map(|body| body["content"].as_object()).flat_map(|content| content.values()) {
            let named = media["examples"].as_object().into_iter().flat_map(|examples| examples.values());
            let examples: Vec<&Value> =
                media.get("example").into_iter().chain(named.map(|named| &named["value"])).collect();
            assert!(!examples.is_empty(), "{id} has a body without an example: {media}");
            checked += examples.len();
            assert_valid(&media["schema"], examples);
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn examples_of_events_match_their_type() {
    let mut kinds = 0;
    for (kind, message) in DOCUMENT["webhooks"].as_object().unwrap() {
        let schema = &message["post"]["requestBody"]["content"]["application/json"]["schema"];
        let examples = resolve(&DOCUMENT, schema)["examples"].as_array().unwrap();
        assert_valid(schema, examples);
        for example in examples {
            let is_new = ["created", "added", "test"].iter().any(|verb| kind.ends_with(verb));
            assert_eq!(example["type"], *kind);
            assert_eq!(example["previous"].is_null(), is_new, "{kind}");
            for (field, before) in example["previous"].as_object().into_iter().flatten() {
                assert_ne!(example["data"].get(field), None, "{kind} has no {field}");
                assert_ne!(example["data"][field], *before, "{kind}: {field} is unchanged in the example");
            }
            if let Some(deleted_at) = example["data"].get("deleted_at") {
                assert_eq!(deleted_at.is_string(), kind.ends_with("deleted"), "{kind}");
            }
        }
        kinds += 1;
    }
    assert_eq!(kinds, EventType::PUBLISHED.len() + 1);
}

#[test]
fn the_stream_example_contains_complete_events() {
    let response = &DOCUMENT["paths"]["/v1/events/stream"]["get"]["responses"]["200"];
    assert_eq!(response["content"][EVENT_STREAM]["schema"]["$ref"], "#/components/schemas/Event");
    let lines = response["description"].as_str().unwrap().lines();
    let events: Vec<Value> =
        lines.filter_map(|line| line.strip_prefix("data: ")).map(|json| serde_json::from_str(json).unwrap()).collect();
    assert_eq!(events, DOCUMENT["components"]["schemas"]["TaskCreatedEvent"]["examples"].as_array().unwrap().clone());
    assert_valid(
        &json!({"$ref": "#/components/schemas/Event"}),
        &[response["content"][EVENT_STREAM]["example"].clone()],
    );
}

#[test]
fn every_field_and_parameter_is_described() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name} has no description");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}.{field} has no description");
        }
    }
    for (id, _, _, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(&DOCUMENT, parameter);
            assert!(parameter["description"].is_string(), "{id}: {parameter}");
        }
    }
}

#[test]
fn no_schema_is_used_in_requests_and_responses() {
    // Requests are strict and responses may grow, so a schema cannot serve both.
    assert_eq!(shared_schemas(&DOCUMENT), Vec::<String>::new());
}

#[test]
fn operations_need_a_token_unless_listed() {
    for (id, _, path, operation) in operations() {
        let open = !needs_token(operation);
        assert_eq!(open, OPEN.contains(&id.as_str()), "{id}");
        if !path.starts_with("/health/") {
            assert!(statuses(operation).contains(&429), "{id} is limited");
        }
    }
}

on_both_databases! {
    async fn every_operation_requires_a_token(database: TestDatabase) {
        let app = TestApp::new(&database, crate::support::Options::default()).await;
        for (id, method, path, _) in operations().filter(|(id, ..)| !OPEN.contains(&id.as_str())) {
            let path = path.replace("{project_id}", "x").replace("{task_id}", "x").replace("{session_id}", "x").replace("{token_id}", "x").replace("{user_id}", "x").replace("{invitation_id}", "x").replace("{comment_id}", "x").replace("{webhook_id}", "x").replace("{delivery_id}", "x");
            let answer = app.anonymous().call(method, path).send().await;
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"pocket-tasks\"", "{id}");
            answer.fails(401, "UNAUTHENTICATED");
        }
    }
}
