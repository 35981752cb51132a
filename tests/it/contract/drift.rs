//! The committed document matches the code.

use pocket_tasks::api::{self, openapi};

#[test]
fn the_committed_document_is_current() {
    let generated = openapi::to_yaml(&api::document().unwrap());
    let committed = include_str!("../../../openapi/openapi.yaml");
    assert!(committed == generated, "openapi/openapi.yaml is outdated; regenerate it with: make openapi");
}
