//! The committed document is the one that the code makes.

use pocket_tasks::api::{self, openapi};

#[test]
fn the_committed_document_is_current() {
    let generated = openapi::to_yaml(&api::document().unwrap());
    let committed = include_str!("../../../openapi/openapi.yaml");
    assert!(committed == generated, "openapi/openapi.yaml is not current; write it anew with: make openapi");
}
