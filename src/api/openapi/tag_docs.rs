//! Guides in the descriptions of tags, with example programs.

use serde_json::{Value, json};

/// The guide of a tag, and its programs by language.
struct Guide {
    tag: &'static str,
    text: &'static str,
    recipes: &'static [(&'static str, &'static str)],
}

const GUIDES: [Guide; 2] = [
    Guide {
        tag: "Events",
        text: include_str!("guides/events.md"),
        recipes: &[("javascript", include_str!("../../../openapi/recipes/follow_events.mjs"))],
    },
    Guide {
        tag: "Webhooks",
        text: include_str!("guides/webhooks.md"),
        recipes: &[
            ("typescript", include_str!("../../../openapi/recipes/verify_webhook.ts")),
            ("python", include_str!("../../../openapi/recipes/verify_webhook.py")),
            ("rust", include_str!("../../../openapi/recipes/verify_webhook.rs")),
        ],
    },
];

/// Test vector of the webhook guide: the headers of a message with the body `{"type":"webhook.test"}`.
pub(super) struct Vector {
    pub(super) id: &'static str,
    pub(super) timestamp: &'static str,
    pub(super) signature: &'static str,
}

pub(super) const VECTOR: Vector = Vector {
    id: "01936f5a-5190-73a1-8680-92d384c5f108",
    timestamp: "1769850000",
    signature: "v1,nhUKK7Soc+MuTNmoVI368N/cIrbWCxXgrRU+ByyRFEQ=",
};

pub(super) fn publish(document: &mut Value) {
    let tags = document.get_mut("tags").and_then(Value::as_array_mut).into_iter().flatten();
    for tag in tags {
        if let Some(guide) = GUIDES.iter().find(|guide| tag["name"] == guide.tag) {
            tag["description"] = json!(guide.below(tag["description"].as_str().unwrap_or_default()));
        }
    }
}

impl Guide {
    fn below(&self, first: &str) -> String {
        let recipes = self.recipes.iter();
        let recipes = recipes.map(|(language, recipe)| format!("\n```{language}\n{}\n```\n", recipe.trim_end()));
        format!("{first}\n\n{}{}", self.text, recipes.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;

    use super::*;
    use crate::contract::event::EventType;
    use crate::contract::strings::WebhookSecret;
    use crate::webhooks::{SigningKey, signature};

    #[test]
    fn a_guide_follows_the_description_of_its_tag() {
        let mut document = json!({
            "tags": [{ "name": "Tasks", "description": "Tasks." }, { "name": "Webhooks", "description": "Hooks." }],
        });
        publish(&mut document);
        assert_eq!(document["tags"][0]["description"], "Tasks.");
        let guide = document["tags"][1]["description"].as_str().unwrap();
        assert!(guide.starts_with("Hooks.\n\nWebhooks follow"), "{guide}");
    }

    #[test]
    fn programs_are_at_the_end_of_the_guide() {
        let guide =
            Guide { tag: "Hooks", text: "How.\n", recipes: &[("python", "import hmac\n"), ("rust", "use hmac;")] };
        let expected = "Hooks.\n\nHow.\n\n```python\nimport hmac\n```\n\n```rust\nuse hmac;\n```\n";
        assert_eq!(guide.below("Hooks."), expected);
    }

    #[test]
    fn the_feed_client_knows_every_event_type() {
        let (_, recipe) = GUIDES[0].recipes[0];
        let listed: Vec<String> = recipe.lines().filter_map(listed).flatten().collect();
        assert_eq!(listed, EventType::PUBLISHED.map(EventType::as_str));
    }

    /// Returns the types of a line like `...["added", "removed"].map((verb) => `member.${verb}`),`.
    fn listed(line: &str) -> Option<Vec<String>> {
        let (verbs, resource) = line.trim().strip_prefix("...[")?.split_once("].map((verb) => `")?;
        let (resource, _) = resource.split_once('.')?;
        Some(verbs.split(", ").map(|verb| format!("{resource}.{}", verb.trim_matches('"'))).collect())
    }

    #[test]
    fn the_webhook_guide_contains_the_test_vector() {
        let (secret, body) = (WebhookSecret::example(), r#"{"type":"webhook.test"}"#);
        let key = SigningKey::parse(&secret).unwrap();
        assert_eq!(signature([&key], VECTOR.id, VECTOR.timestamp.parse().unwrap(), body), VECTOR.signature);
        for shown in [&*secret, VECTOR.id, VECTOR.timestamp, body, VECTOR.signature] {
            assert!(GUIDES[1].text.contains(&format!("`{shown}`")), "{shown}");
        }
    }
}
