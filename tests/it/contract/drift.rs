//! The committed document matches the code.

use pocket_tasks::api::{self, openapi};
use serde_json::Value;

#[test]
fn the_committed_document_is_current() {
    let generated = openapi::to_yaml(&api::document().unwrap());
    let committed = include_str!("../../../openapi/openapi.yaml");
    assert!(committed == generated, "openapi/openapi.yaml is outdated; regenerate it with: make openapi");
}

#[test]
fn every_reference_in_the_document_resolves() {
    fn collect_broken(document: &Value, node: &Value, broken: &mut Vec<String>) {
        match node {
            Value::Object(members) => {
                let reference = members.get("$ref").and_then(Value::as_str);
                if let Some(reference) = reference
                    && reference.strip_prefix('#').is_none_or(|pointer| document.pointer(pointer).is_none())
                {
                    broken.push(reference.to_owned());
                }
                members.values().for_each(|member| collect_broken(document, member, broken));
            }
            Value::Array(items) => items.iter().for_each(|item| collect_broken(document, item, broken)),
            _ => {}
        }
    }

    let document = api::document().unwrap();
    let mut broken = Vec::new();
    collect_broken(&document, &document, &mut broken);
    assert!(broken.is_empty(), "{broken:#?}");
}
