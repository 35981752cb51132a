//! The README's tables of operations, errors and settings match the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pocket_tasks::contract::error::{DetailCode, ErrorCode};
use poem_openapi::registry::Registry;
use poem_openapi::types::Type as _;

use crate::support::document::{needs_token, operations};

const README: &str = include_str!("../../../README.md");

/// Part of the README between two marker comments.
fn section(name: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("<!-- {name} -->\n")).unwrap();
    rest.split_once(&format!("<!-- /{name} -->")).unwrap().0
}

#[track_caller]
fn compare(name: &str, table: &str) {
    assert!(section(name) == table, "the README's table of {name} is outdated; the current one is:\n{table}");
}

#[test]
fn the_table_of_operations_is_current() {
    let mut table = "| Operation | `operationId` | Token | Summary |\n|---|---|---|---|\n".to_owned();
    for (id, method, path, operation) in operations() {
        let token = if needs_token(operation) { "yes" } else { "-" };
        let summary = operation["summary"].as_str().unwrap();
        let _ = writeln!(table, "| `{method} {path}` | `{id}` | {token} | {summary} |");
    }
    compare("operations", &table);
}

#[test]
fn the_table_of_errors_is_current() {
    let mut table = "| Status | `error` | Default message |\n|---|---|---|\n".to_owned();
    for code in ErrorCode::ALL {
        let _ = writeln!(table, "| {} | `{}` | {} |", code.status(), code.as_str(), code.message());
    }
    compare("errors", &table);
}

#[test]
fn every_detail_code_is_in_the_readme() {
    let mut registry = Registry::new();
    DetailCode::register(&mut registry);
    let codes = &registry.schemas[&*DetailCode::name()].enum_items;
    assert!(codes.len() > 10);
    for code in codes {
        assert!(README.contains(&format!("`{}`", code.as_str().unwrap())), "{code} is not in the README");
    }
}

#[test]
fn settings_match_in_code_readme_and_example() {
    let names = |text: &'static str, before: &str, after: char| -> BTreeSet<&str> {
        text.match_indices(before)
            .filter_map(|(at, _)| text[at + before.len()..].split_once(after))
            .map(|(name, _)| name)
            .filter(|name| name.len() > 3 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
            .collect()
    };
    let (_, reading) = include_str!("../../../src/config/mod.rs").split_once("fn from_source").unwrap();
    let code = names(reading.split_once("fn check(").unwrap().0, "\"", '"');
    assert!(code.len() > 20, "{code:?}");
    assert_eq!(names(README, "\n| `", '`'), code, "README.md and the code differ");
    assert_eq!(names(include_str!("../../../.env.example"), "\n#", '='), code, ".env.example and the code differ");
}
