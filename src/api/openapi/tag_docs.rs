//! Links tags to their guides.

use serde_json::{Value, json};

/// The guide of a tag: its title, and the rest of its path.
const GUIDES: [(&str, &str, &str); 8] = [
    ("Auth", "Authentication", "authentication"),
    ("Account", "Authentication", "authentication"),
    ("Projects", "Permissions", "permissions"),
    ("Members", "Permissions", "permissions"),
    ("Tasks", "Tasks", "tasks"),
    ("Events", "Staying in sync", "sync"),
    ("Webhooks", "Webhooks", "webhooks"),
    ("Webhook messages", "Webhooks", "webhooks"),
];

/// Test vector of the webhook guide: the headers of a message with the body `{"type":"webhook.test"}`.
pub(in crate::api) struct Vector {
    pub(in crate::api) id: &'static str,
    pub(in crate::api) timestamp: &'static str,
    pub(in crate::api) signature: &'static str,
}

pub(in crate::api) const VECTOR: Vector = Vector {
    id: "01936f5a-5190-73a1-8680-92d384c5f108",
    timestamp: "1769850000",
    signature: "v1,nhUKK7Soc+MuTNmoVI368N/cIrbWCxXgrRU+ByyRFEQ=",
};

/// Publishes the guides of a server. Its URL is part of the links, because linters accept no relative ones.
pub(super) fn publish(document: &mut Value, server: &str) {
    for tag in document.get_mut("tags").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some((_, title, path)) = GUIDES.iter().find(|(name, ..)| tag["name"] == *name) {
            tag["externalDocs"] = json!({ "description": title, "url": format!("{server}/guides/{path}") });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_a_guide_links_to_it() {
        let mut document = json!({ "tags": [{ "name": "Health" }, { "name": "Webhooks", "description": "Hooks." }] });
        for (server, url) in [("", "/guides/webhooks"), ("https://a.example", "https://a.example/guides/webhooks")] {
            publish(&mut document, server);
            assert_eq!(document["tags"][0], json!({ "name": "Health" }));
            assert_eq!(document["tags"][1]["externalDocs"]["url"], url);
        }
    }
}
