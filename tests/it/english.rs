//! Checks of the language: plain English in comments and in the published document, and no retired names in code.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::document::DOCUMENT;

/// Folders with Rust code.
const FOLDERS: [&str; 4] = ["benches", "migration", "src", "tests"];

/// Words that must not begin a sentence: a comment names its subject instead.
const BANNED_OPENINGS: [&str; 11] =
    ["As many", "As much", "Be it", "Nobody", "Somebody", "What", "Whatever", "Who", "Whoever", "Whom", "Whose"];

/// Relative pronouns, which may begin at most 3 % of doc comments.
const RELATIVE_PRONOUNS: [&str; 12] =
    ["How", "That", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whom", "Whose"];

/// Phrases that must not occur in comments.
const BANNED_PHRASES: [&str; 20] = [
    "ailing",
    "anew",
    "are good",
    "as there may be",
    "be it",
    "be there",
    "by the clock",
    "for good",
    "gives",
    "heeds",
    "is good",
    "is none",
    "is told so",
    "meanwhile",
    "nobody",
    "somebody",
    "tells",
    "told so",
    "whatever",
    "whoever",
];

/// Words that must not occur in identifiers.
const RETIRED_WORDS: [&str; 17] = [
    "ailing", "anew", "bell", "bells", "bury", "heeds", "litter", "nobody", "patience", "promise", "promised",
    "promises", "stranded", "unruly", "upkeep", "whoever", "wishes",
];

/// Identifiers that were replaced by standard terms.
const RETIRED_NAMES: [&str; 65] = [
    "AT_ONCE",
    "BAD_SETTINGS",
    "BREATH",
    "CROWD",
    "CheckedRequest",
    "EventSlice",
    "FIRST_PAUSE",
    "FeedMeta",
    "FeedWalk",
    "FormerSecret",
    "HANDING_BACK",
    "IssuedWebhook",
    "KeyInUse",
    "KeysInUse",
    "KnownSecret",
    "LONGEST",
    "LONGEST_PAUSE",
    "LONGEST_STREAM",
    "LOOKED_AT_ONCE",
    "MailPurpose",
    "MailTokenRepository",
    "MadeOnce",
    "NamedTags",
    "NoWay",
    "Outbound",
    "PUT_OFF",
    "ProjectTaskWalk",
    "RECEIVERS",
    "ShownOnce",
    "StepDown",
    "TOO_LATE",
    "TaskSlice",
    "TaskWalk",
    "Told",
    "Unkeyed",
    "Withdrawn",
    "begin_work",
    "commit_and_ring",
    "commit_ending",
    "connect_patiently",
    "find_visible",
    "former_secrets",
    "giving_up",
    "good_until",
    "hand_back",
    "heir_stays",
    "is_ailing",
    "keys_in_use",
    "learn_ended_sessions",
    "least_role",
    "list_former_secrets",
    "list_receivers",
    "list_stranded",
    "list_these",
    "mail_tokens",
    "note_use",
    "once_key",
    "open_key",
    "put_off",
    "settled_name",
    "spend_refresh_token",
    "spent_at",
    "trash_since",
    "waiting_key",
    "warn_of_vain_attempts",
];

/// Comment of one or several lines.
struct Comment {
    line: usize,
    is_doc: bool,
    text: String,
}

/// Separates Rust code from its comments. The code has empty strings in the place of string literals.
fn parse(source: &str) -> (String, Vec<Comment>) {
    let (mut code, mut comments) = (String::new(), Vec::<Comment>::new());
    // Number of hashes of an open string literal, or -1 for one with escapes.
    let mut literal: Option<i32> = None;
    let mut end_of_last = None;
    for (number, line) in source.lines().enumerate() {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let mut taken = first.len_utf8();
            if let Some(hashes) = literal {
                if hashes < 0 && first == '\\' {
                    taken = rest.chars().take(2).map(char::len_utf8).sum();
                } else if first == '"' {
                    let closing = "#".repeat(usize::try_from(hashes).unwrap_or(0));
                    if rest[1..].starts_with(&closing) {
                        literal = None;
                        code.push('"');
                        taken += closing.len();
                    }
                }
            } else if let Some(text) = rest.strip_prefix("//") {
                let is_doc = text.starts_with(['/', '!']);
                let text = text.trim_start_matches(['/', '!']).trim().to_owned();
                let is_alone = rest.len() == line.trim_start().len();
                match comments.last_mut() {
                    Some(last) if is_alone && last.is_doc == is_doc && end_of_last == Some(number) => {
                        last.text = format!("{}\n{text}", last.text);
                    }
                    _ => comments.push(Comment { line: number + 1, is_doc, text }),
                }
                end_of_last = is_alone.then_some(number + 1);
                break;
            } else if first == '\'' {
                let mut next = rest.chars().skip(1);
                match (next.next(), next.next()) {
                    (Some('\\'), Some(escaped)) => {
                        taken =
                            2 + escaped.len_utf8() + rest[2 + escaped.len_utf8()..].find('\'').map_or(0, |at| at + 1);
                    }
                    (Some(quoted), Some('\'')) => taken = 2 + quoted.len_utf8(),
                    _ => {}
                }
                code.push(' ');
            } else {
                if first == '"' {
                    literal = Some(-1);
                } else if first == 'r' {
                    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
                    if rest[1 + hashes..].starts_with('"') {
                        literal = Some(i32::try_from(hashes).unwrap());
                        taken = hashes + 2;
                    }
                }
                code.push(if literal.is_some() { '"' } else { first });
            }
            rest = &rest[taken..];
        }
        code.push('\n');
    }
    (code, comments)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All Rust files, with their code and their comments.
fn sources() -> impl Iterator<Item = (PathBuf, String, Vec<Comment>)> {
    FOLDERS.into_iter().flat_map(|folder| files(Path::new(folder))).map(|path| {
        let (code, comments) = parse(&fs::read_to_string(&path).unwrap());
        (path, code, comments)
    })
}

/// Sentences of a text in Markdown, without code.
fn sentences(text: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut is_code = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if is_code || line.starts_with("```") {
            continue;
        }
        let item = line.trim_start_matches(|c: char| "#>-*|".contains(c) || c.is_ascii_digit());
        // Paragraphs, headings, cells and items begin a sentence.
        prose += if line.is_empty() || item.len() < line.len() { "\n" } else { " " };
        prose += item.trim_start_matches('.').trim();
    }
    let plain: String = prose.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "code" }).collect();
    let marked = [". ", "! ", "? "].iter().fold(plain, |text, end| text.replace(end, &format!("{}\n", end.trim())));
    marked.lines().map(|sentence| sentence.trim().to_owned()).filter(|sentence| !sentence.is_empty()).collect()
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric()) && starts_with_word(&text[at..], word))
}

/// Describes what is wrong with a sentence.
fn problem(sentence: &str) -> Option<String> {
    let opening = BANNED_OPENINGS.iter().find(|word| starts_with_word(sentence, word));
    // "Gives up" is idiomatic.
    let lowercase = sentence.to_lowercase().replace("gives up", "stops");
    let phrase = BANNED_PHRASES.iter().find(|phrase| contains_word(&lowercase, phrase));
    opening.or(phrase).map(|found| format!("\"{found}\" in: {sentence}"))
}

/// All descriptions and summaries of a part of the document, with their place.
fn descriptions(place: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(text) if name == "description" || name == "summary" => vec![(place.to_owned(), text.to_owned())],
                _ => descriptions(&format!("{place}/{name}"), value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| descriptions(place, item)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn comments_are_plain_english() {
    let mut problems = Vec::new();
    for (path, _, comments) in sources() {
        for comment in comments {
            let found = sentences(&comment.text).into_iter().filter_map(|sentence| problem(&sentence));
            problems.extend(found.map(|problem| format!("{}:{}: {problem}", path.display(), comment.line)));
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn descriptions_in_the_document_are_plain_english() {
    let mut problems = Vec::new();
    for (place, text) in descriptions("", &DOCUMENT) {
        let found = sentences(&text).into_iter().filter_map(|sentence| problem(&sentence));
        problems.extend(found.map(|problem| format!("{place}: {problem}")));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn few_doc_comments_begin_with_a_relative_pronoun() {
    let (mut count, mut found) = (0, Vec::new());
    for (path, _, comments) in sources() {
        for comment in comments.into_iter().filter(|comment| comment.is_doc) {
            count += 1;
            if RELATIVE_PRONOUNS.iter().any(|word| starts_with_word(&comment.text, word)) {
                let first = comment.text.lines().next().unwrap_or_default();
                found.push(format!("{}:{}: {first}", path.display(), comment.line));
            }
        }
    }
    assert!(found.len() * 100 < count * 3, "{} of {count}:\n{}", found.len(), found.join("\n"));
}

/// Returns whether the word consists of several ones, such as `NoBody`.
fn is_camel_case(word: &str) -> bool {
    word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase)
}

#[test]
fn retired_names_do_not_come_back() {
    let mut problems = Vec::new();
    for (path, code, _) in sources() {
        for (number, line) in code.lines().enumerate() {
            for identifier in line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                let is_retired =
                    |word: &str| RETIRED_WORDS.contains(&word.to_lowercase().as_str()) && !is_camel_case(word);
                if RETIRED_NAMES.contains(&identifier) || identifier.split('_').any(is_retired) {
                    problems.push(format!("{}:{}: {identifier}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} retired names:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_parser_separates_comments_from_code() {
    let source =
        "/// First.\n/// Second.\nlet a = \"// no\"; // trailing\nlet b = r#\"// \"no\"#;\nlet c = '\"'; // last";
    let (code, comments) = parse(source);
    let texts: Vec<&str> = comments.iter().map(|comment| comment.text.as_str()).collect();
    assert_eq!(texts, ["First.\nSecond.", "trailing", "last"]);
    assert!(!code.contains("no") && code.contains("let c"), "{code}");
    assert_eq!(sentences("One. Two `a. b`!\n- Three"), ["One.", "Two code!", "Three"]);
    assert!(problem("Who calls?").is_some() && problem("It starts anew.").is_some() && problem("A renewal.").is_none());
}
