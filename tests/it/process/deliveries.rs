//! Deliveries of the program, verified by the Standard Webhooks libraries of several languages, by the published recipes
//! and against the published document.

use serde_json::{Value, json};

use super::clients::{Language, Verifier};
use super::crash::text;
use super::http;
use super::program::{Server, TIMEOUT};
use crate::support::Receiver;
use crate::support::document::check_message;
use crate::support::receiver::Message;

/// Asserts that the message verifies with each of these secrets and with no other.
fn verify(verifiers: &mut [Verifier], post: &Message, secrets: &[&str], stranger: &str) {
    let event = post.body();
    check_message(&event);
    assert_eq!(post.header("webhook-id"), event["id"]);
    assert_eq!(post.header("content-type"), "application/json");
    assert!(post.header("user-agent").starts_with("Pocket-Tasks/"), "{post:?}");
    let headers: Vec<_> = post.headers().collect();
    for verifier in verifiers {
        for secret in secrets {
            let verdict = verifier.verify(secret, &headers, &post.text);
            assert_eq!((&verdict.official, verdict.recipe.as_ref()), (&Ok(()), Ok(&event)), "{post:?}");
        }
        let verdict = verifier.verify(stranger, &headers, &post.text);
        assert!(verdict.official.is_err() && verdict.recipe.is_err(), "{post:?}");
    }
}

#[test]
fn deliveries_are_verified_by_official_libraries() {
    let mut verifiers: Vec<_> = Language::ALL.into_iter().filter_map(Verifier::start).collect();
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::new("200 OK"));
    let variables =
        [("WEBHOOK_ALLOW_HTTP", "true"), ("WEBHOOK_ALLOW_CIDRS", "127.0.0.1"), ("WEBHOOK_ALLOW_PORTS", "*")];
    let server = Server::start(folder.path(), &variables);
    let token = text(&server.register("ada@example.com"), "access_token");
    let post =
        |path: &str, body: Value, status: u16| http::post(server.address, path, Some(&token), &body).expect(status);
    let next = || receiver.next(TIMEOUT).expect("no delivery arrived");

    let webhook = post("/v1/webhooks", json!({"url": receiver.url, "events": ["*"]}), 201);
    let other = text(
        &post("/v1/webhooks", json!({"url": format!("{}?other", receiver.url), "events": ["webhook.test"]}), 201),
        "secret",
    );
    let (path, first) = (format!("/v1/webhooks/{}", text(&webhook, "id")), text(&webhook, "secret"));
    post(&format!("{path}/test"), json!({}), 202);
    let tested = next();
    assert!(tested.text.contains("\"webhook.test\"") && !tested.text.contains(&first), "{}", tested.text);
    verify(&mut verifiers, &tested, &[&first], &other);

    let project = post("/v1/projects", json!({"name": "Küche & \"Bad\" \u{1f6c1}"}), 201);
    verify(&mut verifiers, &next(), &[&first], &other);

    // During a rotation the message verifies with either secret.
    let second = text(&post(&format!("{path}/rotate-secret"), json!({"overlap_seconds": 600}), 200), "secret");
    let tasks = format!("/v1/projects/{}/tasks", text(&project, "id"));
    post(&tasks, json!({"title": "Lamps", "description": "Two lines\nof it"}), 201);
    verify(&mut verifiers, &next(), &[&first, &second], &other);
    // After the overlap the old secret is invalid.
    let third = text(&post(&format!("{path}/rotate-secret"), json!({"overlap_seconds": 0}), 200), "secret");
    post(&tasks, json!({"title": "Tiles"}), 201);
    verify(&mut verifiers, &next(), &[&third], &second);
    server.stop();
}

#[test]
fn missing_root_certificates_delay_webhooks_without_counting_as_failures() {
    let folder = tempfile::tempdir().unwrap();
    let no_certificates = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null/none")];
    let mut server = Server::start(folder.path(), &no_certificates);
    let token = text(&server.register("ada@example.com"), "access_token");
    let new = json!({"url": "https://hooks.invalid/", "events": ["*"]});
    let webhook = http::post(server.address, "/v1/webhooks", Some(&token), &new).expect(201);
    let path = format!("/v1/webhooks/{}", text(&webhook, "id"));
    http::post(server.address, &format!("{path}/test"), Some(&token), &json!({})).expect(202);
    let entry = server.program.until("job failed, retrying later");
    assert!(entry["error"].as_str().unwrap().contains("certificates"), "{entry}");
    let deliveries = http::get(server.address, &format!("{path}/deliveries"), Some(&token)).expect(200);
    let [delivery] = deliveries["data"].as_array().unwrap().as_slice() else { panic!("{deliveries}") };
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!("pending"), &json!([])));
    server.stop();
}
