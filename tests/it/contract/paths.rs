//! Paths and items that the documentation names.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PREFIXES: [&str; 7] = [".ci/", "benches/", "docs/", "migration/", "openapi/", "src/", "tests/"];

/// Returns the Markdown files of the project that people read.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/decisions", "docs/guides"].map(|folder| Path::new(ROOT).join(folder));
    let entries = folders.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
}

/// Returns the code spans and link targets of a text that begin like a path of the repository.
fn references(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    spans.chain(links).filter(|reference| PREFIXES.iter().any(|prefix| reference.starts_with(prefix))).collect()
}

/// Returns whether a source file defines an item of this name.
fn defines(source: &str, item: &str) -> bool {
    ["const ", "enum ", "fn ", "macro_rules! ", "struct ", "trait ", "type "].iter().any(|keyword| {
        let definition = format!("{keyword}{item}");
        let rest = source.match_indices(&definition).map(|(at, _)| &source[at + definition.len()..]);
        rest.filter_map(|rest| rest.chars().next()).any(|next| !next.is_alphanumeric() && next != '_')
    })
}

#[test]
fn paths_and_items_named_in_the_documentation_exist() {
    let mut missing = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for reference in references(&text) {
            // Commands name a script and its arguments.
            let reference = reference.split_whitespace().next().unwrap();
            let (path, item) = reference.split_once("::").map_or((reference, None), |(path, item)| (path, Some(item)));
            let path = Path::new(ROOT).join(path);
            let exists = match item {
                Some(item) => fs::read_to_string(&path).is_ok_and(|source| defines(&source, item)),
                None => path.exists(),
            };
            count += 1;
            if !exists {
                missing.push(format!("{}: {reference}", document.file_name().unwrap().display()));
            }
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
    assert!(count > 50, "only {count} references were found");
}
