//! Tests that `docs/security.md` names as proofs.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENT: &str = include_str!("../../../docs/security.md");

/// Rows of the tables, without their headings.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = DOCUMENT.lines().filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells.filter(|cells| !cells[0].starts_with("---") && !cells.iter().any(|cell| matches!(*cell, "Test" | "Tests")))
}

/// Code spans of a text.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Source files of a module of the tests or of the library.
fn modules(path: &[&str]) -> Vec<PathBuf> {
    let folders = ["tests/it", "src"].map(|folder| Path::new(ROOT).join(folder).join(path.join("/")));
    let files = folders.into_iter().flat_map(|folder| [folder.with_extension("rs"), folder.join("mod.rs")]);
    files.into_iter().filter(|file| file.is_file()).collect()
}

/// Returns whether a path names a test, or a module with tests.
fn is_test(reference: &str) -> bool {
    if reference.starts_with("tests/") {
        return Path::new(ROOT).join(reference).exists();
    }
    let parts: Vec<&str> = reference.split("::").collect();
    let candidates = (1..=parts.len()).flat_map(|at| modules(&parts[..at]).into_iter().map(move |file| (file, at)));
    candidates.into_iter().any(|(file, at)| is_test_in(&file, &parts[at..]))
}

/// Returns whether a file has a test of this name, or tests at all.
fn is_test_in(file: &Path, rest: &[&str]) -> bool {
    let source = fs::read_to_string(file).unwrap();
    let has_tests = |rest: &[&str]| match rest {
        [] => ["#[test]", "::test]", "on_both_databases! {", "on_sqlite! {"].iter().any(|it| source.contains(it)),
        [name] => source.contains(&format!("fn {name}(")),
        _ => false,
    };
    match rest {
        // Unit tests are in a module of the same file.
        ["tests", rest @ ..] => source.contains("mod tests") && has_tests(rest),
        rest => has_tests(rest),
    }
}

#[test]
fn every_answer_about_security_names_a_test_that_exists() {
    let mut failures = Vec::new();
    let mut count = 0;
    for cells in rows() {
        let tests: Vec<&str> = spans(cells.last().unwrap()).collect();
        count += tests.len();
        if tests.is_empty() {
            failures.push(format!("no test: {}", cells[0]));
        }
        failures.extend(tests.into_iter().filter(|test| !is_test(test)).map(|test| format!("no such test: {test}")));
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(count > 100, "only {count} tests were found");
}

#[test]
fn only_names_of_tests_are_taken_for_tests() {
    assert!(is_test("contract::security::only_names_of_tests_are_taken_for_tests"));
    assert!(is_test("config::tests::secrets_are_not_printed"));
    assert!(is_test("tests/it/contract/security.rs"));
    assert!(!is_test("contract::security::a_test_that_was_renamed"));
    assert!(!is_test("config::tests::a_test_that_was_renamed"));
    assert!(!is_test("contract::removed::secrets_are_not_printed"));
}
