//! Text in any alphabet and in any spelling of Unicode.

use serde_json::json;

use crate::api::fixtures::common::percent_encoded;
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

/// `Café` with a combining accent, and with one letter that has it.
const DECOMPOSED: &str = "Cafe\u{301}";
const COMPOSED: &str = "Caf\u{e9}";

on_both_databases! {
    async fn text_is_stored_in_one_normal_form(app: TestApp) {
        let user = app.user().await;
        let body = json!({"name": DECOMPOSED, "description": DECOMPOSED});
        let project = user.post("/v1/projects", body).await.created();
        assert_eq!((&project["name"], &project["description"]), (&json!(COMPOSED), &json!(COMPOSED)));
        let new = json!({"title": DECOMPOSED, "description": DECOMPOSED, "labels": [DECOMPOSED]});
        let task = user.task(&project.id(), new).await;
        assert_eq!(
            (&task["title"], &task["description"], &task["labels"]),
            (&json!(COMPOSED), &json!(COMPOSED), &json!([COMPOSED]))
        );
        let comments = format!("/v1/tasks/{}/comments", task.id());
        let comment = user.post(&comments, json!({"body": DECOMPOSED})).await.created();
        assert_eq!(comment["body"], COMPOSED);
        assert_eq!(user.patch("/v1/me", json!({"name": DECOMPOSED})).await.ok()["name"], COMPOSED);
    }

    async fn two_spellings_of_one_label_are_one(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let tasks = format!("/v1/projects/{project}/tasks");
        let twice = json!({"title": "Drink", "labels": [COMPOSED, DECOMPOSED]});
        user.post(&tasks, twice).await.invalid(&["labels[1]:duplicate"]);
        let task = user.task(&project, json!({"title": "Drink", "labels": [COMPOSED]})).await;
        for spelling in [COMPOSED, DECOMPOSED] {
            for version in ["v1", "v2"] {
                let list = format!("/{version}/projects/{project}/tasks?label={}", percent_encoded(spelling));
                assert_eq!(user.get(&list).await.ok()["data"][0]["id"], task.id(), "{list}");
            }
        }
    }

    async fn a_search_ignores_case_and_spelling_in_every_alphabet(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        for (title, searches) in [
            ("Haupt\u{73}tra\u{df}e", &["HAUPTSTRASSE", "strasse", "STRA\u{1e9e}E"][..]),
            ("\u{130}stanbul", &["istanbul", "ISTANBUL", "\u{130}STANBUL", "i\u{307}stanbul"]),
            (DECOMPOSED, &[COMPOSED, DECOMPOSED, "CAF\u{c9}", "CAFE\u{301}"]),
            ("ΟΔΥΣΣΕΑΣ", &["οδυσσεας", "Οδυσσεασ"]),
            ("Привет", &["ПРИВЕТ", "ривЕ"]),
            ("\u{fb01}ne", &["FINE", "fine"]),
            ("東京タワー", &["東京", "タワー"]),
        ] {
            let task = user.task(&project, json!({"title": title})).await;
            for search in searches {
                for version in ["v1", "v2"] {
                    let list = format!("/{version}/projects/{project}/tasks?q={}", percent_encoded(search));
                    let found = user.get(&list).await.ok();
                    let ids: Vec<_> = found["data"].as_array().unwrap().iter().map(|task| &task["id"]).collect();
                    assert_eq!(ids, [&json!(task.id())], "{title}: {search}");
                }
            }
        }
        let projects = format!("/v1/projects?q={}", percent_encoded("STRASSE"));
        user.post("/v1/projects", json!({"name": "Straße"})).await.created();
        assert_eq!(user.get(projects).await.ok()["meta"]["total"], 1);
    }

    async fn names_need_a_visible_character_and_no_direction_control(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let tasks = format!("/v1/projects/{project}/tasks");
        for invisible in ["\u{200b}", "\u{ad}\u{ad}", "\u{3164}", "\u{2800} \u{2800}", "\u{feff}", "\u{200e}", "\u{2066}\u{2069}"] {
            user.post(&tasks, json!({"title": invisible})).await.invalid(&["title:too_short"]);
            user.post("/v1/projects", json!({"name": invisible})).await.invalid(&["name:too_short"]);
            user.post(&tasks, json!({"title": "x", "labels": [invisible]})).await.invalid(&["labels[0]:too_short"]);
        }
        for control in ["\u{202a}", "\u{202b}", "\u{202c}", "\u{202d}", "\u{202e}", "\u{2066}", "\u{2068}", "\u{2069}"] {
            let name = format!("evil{control}txt.exe");
            let body = user.post(&tasks, json!({"title": name})).await.fails(400, "VALIDATION_FAILED");
            assert_eq!(body["message"], "title must not contain control characters.");
            user.patch("/v1/me", json!({"name": name})).await.invalid(&["name:pattern"]);
        }
        // Marks that right-to-left names need, and joiners inside words and emoji.
        for name in ["\u{200f}שלום", "a\u{200e}b", "\u{61c}سلام", "می\u{200c}خواهم", "👨\u{200d}👩\u{200d}👧"] {
            user.task(&project, json!({"title": name})).await;
        }
    }

    async fn a_password_is_the_same_in_every_spelling(app: TestApp) {
        let register = |email: &str, password: &str| {
            let body = json!({"email": email, "name": "Someone", "password": password});
            let client = app.anonymous();
            async move { client.post("/v1/auth/register", body).await }
        };
        let decomposed = "gru\u{308}ne Ka\u{308}fer fliegen";
        let composed = "gr\u{fc}ne K\u{e4}fer fliegen";
        register("one@example.com", decomposed).await.created();
        for password in [composed, decomposed] {
            let body = json!({"email": "one@example.com", "password": password});
            app.anonymous().post("/v1/auth/login", body).await.ok();
        }
        // 72 bytes when composed, and more before.
        let longest = format!("gru\u{308}ne Ka\u{308}fer {}x7", "vW9#".repeat(14));
        assert_eq!(longest.len(), 74);
        register("two@example.com", &longest).await.created();
        let longer = format!("{composed} {}", "vW9#".repeat(15));
        register("three@example.com", &longer).await.invalid(&["password:too_long"]);
    }

    async fn an_address_is_trimmed_and_its_domain_stored_in_ascii(app: TestApp) {
        let body = json!({"email": " Ada@B\u{fc}cher.example\n", "name": "Ada", "password": "correct horse"});
        let session = app.anonymous().post("/v1/auth/register", body.clone()).await.created();
        assert_eq!(session["user"]["email"], "ada@xn--bcher-kva.example");
        app.anonymous().post("/v1/auth/register", body).await.fails(409, "EMAIL_TAKEN");
        for spelling in ["ada@bücher.example", "\tADA@BÜCHER.EXAMPLE ", "ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"] {
            let body = json!({"email": spelling, "password": "correct horse"});
            app.anonymous().post("/v1/auth/login", body).await.ok();
            app.anonymous().post("/v1/auth/forgot-password", json!({"email": spelling})).await.expect(202);
        }
        let user = app.user().await;
        let project = user.project().await;
        let invitations = format!("/v1/projects/{project}/invitations");
        let invitation = user.post(&invitations, json!({"email": " ada@BÜCHER.example ", "role": "viewer"})).await.created();
        assert_eq!(invitation["email"], "ada@xn--bcher-kva.example");
        let body = json!({"email": "jürgen@example.com", "name": "Jürgen", "password": "correct horse"});
        let body = app.anonymous().post("/v1/auth/register", body).await.fails(400, "VALIDATION_FAILED");
        assert!(body["message"].as_str().unwrap().contains("ASCII characters before the @"), "{body}");
    }
}
