//! The reference in the README, and the codes in the guide to errors, match the code.

use std::fmt::Write as _;

use pocket_tasks::api::openapi;
use pocket_tasks::contract::error::{DetailCode, ErrorCode};
use poem_openapi::registry::Registry;
use poem_openapi::types::Type as _;

use crate::support::document::{DOCUMENT, operations};

const README: &str = include_str!("../../../README.md");
const ERRORS: &str = include_str!("../../../docs/guides/errors.md");

/// Part of a text between two marker comments.
fn section<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("<!-- {name} -->\n")).unwrap();
    rest.split_once(&format!("<!-- /{name} -->")).unwrap().0
}

#[test]
fn the_reference_is_current() {
    let reference = section(README, "reference");
    let generated = openapi::reference(&DOCUMENT);
    assert!(reference == generated, "the reference in README.md is outdated; regenerate it with: make openapi");
    // One block for each operation, with a request and at least one response.
    let mut blocks = reference.split("<details>").skip(1);
    assert_eq!(blocks.clone().count(), operations().count());
    assert!(blocks.all(|block| block.contains("```sh\ncurl ") && block.contains("\nResponse `2")));
    for (id, method, path, _) in operations() {
        let heading = format!("<code>{method} {path}</code>");
        assert!(reference.contains(&heading) && reference.contains(&format!("\n`{id}`\n")), "{id} is missing");
    }
}

#[test]
fn the_table_of_errors_is_current() {
    let mut table = "| Status | `error` | Default message |\n|---|---|---|\n".to_owned();
    for code in ErrorCode::ALL {
        let _ = writeln!(table, "| {} | `{}` | {} |", code.status(), code.as_str(), code.message());
    }
    let current = section(ERRORS, "errors");
    assert!(current == table, "the table in docs/guides/errors.md is outdated; the current one is:\n{table}");
}

#[test]
fn every_detail_code_is_in_the_guide_to_errors() {
    let mut registry = Registry::new();
    DetailCode::register(&mut registry);
    let codes = &registry.schemas[&*DetailCode::name()].enum_items;
    assert!(codes.len() > 10);
    for code in codes {
        assert!(ERRORS.contains(&format!("`{}`", code.as_str().unwrap())), "{code} is not in docs/guides/errors.md");
    }
}
