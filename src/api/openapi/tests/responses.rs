//! Error responses and headers.

use serde_json::{Value, json};

use super::{super::resolve, keys, postprocessed};

fn responses(document: &Value, path: &str, method: &str) -> Value {
    document["paths"][path][method]["responses"].clone()
}

#[test]
fn operations_document_all_their_errors_in_order() {
    let document = postprocessed();
    let statuses = |path: &str, method: &str| keys(&document["paths"][path][method]["responses"]).join(" ");
    assert_eq!(statuses("/v1/tasks", "get"), "200 400 401 403 404 406 429 431 500 503 504");
    assert_eq!(statuses("/v1/tasks", "post"), "201 400 401 403 404 406 408 409 413 415 422 429 431 500 503 504");
    assert_eq!(statuses("/v1/tasks/{task_id}", "delete"), "204 400 401 403 404 412 429 431 500 503 504");
    assert_eq!(statuses("/v1/auth/login", "post"), "204 400 401 408 413 415 429 431 500 503 504");
    assert_eq!(statuses("/health/live", "get"), "204 431");
}

#[test]
fn codes_become_messages_and_examples() {
    let document = postprocessed();
    let responses = responses(&document, "/v1/tasks", "get");
    let forbidden = resolve(&document, &responses["403"]);
    let description = forbidden["description"].as_str().unwrap();
    assert!(
        description
            .starts_with("`FORBIDDEN`: This belongs to another user. `INSUFFICIENT_SCOPE`: This requires an API token"),
        "{description}"
    );
    let examples = &forbidden["content"]["application/json"]["examples"];
    assert_eq!(keys(examples), ["FORBIDDEN_NOT_YOURS", "INSUFFICIENT_SCOPE", "PROJECT_ARCHIVED"]);
    assert_eq!(keys(&examples["FORBIDDEN_NOT_YOURS"]["value"]), ["error", "message", "request_id"]);
}

#[test]
fn validation_failures_show_their_details() {
    let document = postprocessed();
    let responses = responses(&document, "/v1/tasks", "post");
    let examples = &resolve(&document, &responses["400"])["content"]["application/json"]["examples"];
    assert_eq!(keys(examples), ["VALIDATION_FAILED", "MALFORMED_JSON", "INVALID_IDEMPOTENCY_KEY"]);
    let value = &examples["VALIDATION_FAILED"]["value"];
    assert_eq!(value["details"][0]["field"], value["field"]);
    assert_eq!(value["message"], "title is required.");
    assert_eq!(value["details"][1]["message"], "colour is not a field of this request.");
}

#[test]
fn an_operation_without_security_keeps_only_its_own_codes() {
    let document = postprocessed();
    let login = responses(&document, "/v1/auth/login", "post");
    assert_eq!(keys(&login["401"]["content"]["application/json"]["examples"]), ["INVALID_CREDENTIALS"]);
}

#[test]
fn a_412_documents_the_current_resource() {
    let document = postprocessed();
    let responses = responses(&document, "/v1/tasks/{task_id}", "delete");
    let media = &resolve(&document, &responses["412"])["content"]["application/json"];
    assert_eq!(media["schema"], json!({ "$ref": "#/components/schemas/Stale" }));
    assert!(media["examples"]["PRECONDITION_FAILED"]["value"]["current"]["id"].is_string());
}

#[test]
fn identical_errors_are_published_once() {
    let document = postprocessed();
    let responses = responses(&document, "/v1/tasks/{task_id}", "get");
    assert_eq!(responses["404"], json!({ "$ref": "#/components/responses/NotFoundTask" }));
    assert_eq!(resolve(&document, &responses["404"]).get("headers"), None);
}

#[test]
fn a_response_has_its_headers() {
    let document = postprocessed();
    let names = |path: &str, method: &str, status: &str| {
        keys(&resolve(&document, &document["paths"][path][method]["responses"][status])["headers"]).join(" ")
    };
    let security = "Cache-Control X-Content-Type-Options Referrer-Policy Strict-Transport-Security";
    let always = format!("{security} X-Request-Id RateLimit-Limit RateLimit-Remaining RateLimit-Reset");
    assert_eq!(names("/v1/tasks", "post", "201"), format!("ETag Location {always} Idempotency-Replayed"));
    assert_eq!(names("/v1/tasks", "post", "401"), "WWW-Authenticate");
    assert_eq!(names("/v1/tasks", "post", "403"), "WWW-Authenticate");
    assert_eq!(names("/v1/tasks", "post", "429"), "Retry-After");
    assert_eq!(names("/health/live", "get", "204"), format!("{security} X-Request-Id"));
}

#[test]
fn headers_are_defined_once() {
    let document = postprocessed();
    let headers = &document["paths"]["/v1/tasks"]["post"]["responses"]["201"]["headers"];
    assert_eq!(headers["ETag"], json!({ "$ref": "#/components/headers/ETag" }));
    let location = resolve(&document, &headers["Location"]);
    assert_eq!(location["schema"], json!({ "type": "string", "format": "uri-reference" }));
}

#[test]
fn a_code_with_messages_of_its_own_has_an_example_for_each() {
    let document = postprocessed();
    let batch = responses(&document, "/v1/tasks/batch", "post");
    let invalid = resolve(&document, &batch["400"]);
    let examples = &invalid["content"]["application/json"]["examples"];
    assert_eq!(keys(examples)[2..4], ["INVALID_CURSOR", "INVALID_CURSOR_TOO_OLD"]);
    for name in ["INVALID_CURSOR", "INVALID_CURSOR_TOO_OLD"] {
        let message = examples[name]["value"]["message"].as_str().unwrap();
        assert!(invalid["description"].as_str().unwrap().contains(message), "{message}");
    }
}
