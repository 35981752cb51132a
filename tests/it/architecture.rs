//! Import rules between the layers, as described in `src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// Folder, with the modules that it must not import.
const RULES: [(&str, &[&str]); 11] = [
    (
        "src/contract",
        &[
            "api",
            "app",
            "cli",
            "config",
            "database",
            "jobs",
            "mail",
            "repositories",
            "security",
            "server",
            "services",
            "webhooks",
        ],
    ),
    (
        "src/telemetry",
        &[
            "api",
            "app",
            "cli",
            "config",
            "contract",
            "database",
            "jobs",
            "mail",
            "metrics_server",
            "repositories",
            "security",
            "server",
            "services",
            "webhooks",
        ],
    ),
    (
        "src/repositories",
        &["api", "app", "cli", "config", "database", "jobs", "mail", "security", "server", "services", "webhooks"],
    ),
    ("src/database", &["api", "app", "cli", "config", "jobs", "mail", "security", "server", "services", "webhooks"]),
    (
        "src/security",
        &["api", "app", "cli", "config", "database", "jobs", "mail", "repositories", "server", "services", "webhooks"],
    ),
    (
        "src/mail",
        &[
            "api",
            "app",
            "cli",
            "config",
            "database",
            "jobs",
            "repositories",
            "security",
            "server",
            "services",
            "webhooks",
        ],
    ),
    (
        "src/webhooks",
        &["api", "app", "cli", "config", "database", "jobs", "mail", "repositories", "security", "server", "services"],
    ),
    ("src/services", &["api", "app", "cli", "config", "database", "jobs", "mail", "server"]),
    ("src/jobs", &["api", "app", "cli", "config", "database", "security", "server"]),
    ("src/api", &["app", "cli", "config", "database", "jobs", "mail", "repositories", "security", "server"]),
    (
        "src/server",
        &[
            "api",
            "app",
            "cli",
            "config",
            "contract",
            "database",
            "jobs",
            "mail",
            "repositories",
            "security",
            "services",
            "webhooks",
        ],
    ),
];

/// Crate, with the only paths that may name it.
const HOMES: [(&str, &[&str]); 30] = [
    ("rusqlite", &["src/database"]),
    ("sea_orm", &["src/database"]),
    ("sqlx", &["src/database"]),
    ("migration", &["src/database"]),
    ("poem", &["src/api", "src/server", "src/app.rs", "src/metrics_server.rs"]),
    ("hyper", &["src/server", "src/api/assets", "src/webhooks/error_message.rs"]),
    ("caseless", &["src/contract/unicode.rs"]),
    ("idna", &["src/contract/email.rs"]),
    ("jsonwebtoken", &["src/security"]),
    ("bcrypt", &["src/security"]),
    ("lettre", &["src/mail"]),
    ("askama", &["src/mail"]),
    ("tokio_cron_scheduler", &["src/jobs"]),
    ("hickory_resolver", &["src/webhooks"]),
    ("httpdate", &["src/webhooks"]),
    ("ipnet", &["src/webhooks"]),
    ("opentelemetry", &["src/telemetry"]),
    ("opentelemetry_http", &["src/telemetry"]),
    ("opentelemetry_otlp", &["src/telemetry"]),
    ("opentelemetry_sdk", &["src/telemetry"]),
    ("prometheus_client", &["src/telemetry"]),
    ("reqwest", &["src/telemetry/otlp.rs", "src/webhooks"]),
    ("rlimit", &["src/cli/runtime.rs"]),
    ("rustls", &["src/server", "src/webhooks"]),
    ("strsim", &["src/api/validation", "src/config"]),
    ("tokio_rustls", &["src/server"]),
    ("tracing_opentelemetry", &["src/telemetry"]),
    ("unicode_normalization", &["src/contract/unicode.rs"]),
    ("url", &["src/api/validation", "src/config", "src/webhooks"]),
    ("zxcvbn", &["src/security"]),
];

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).unwrap();
            // Comments may name anything.
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            found.push((path, code));
        }
    }
    found
}

/// Types of columns that `src/database/sqlite/rows.rs` reads. SeaORM would take a value of another type for NULL.
const COLUMN_TYPES: [&str; 10] = [
    "bool",
    "i16",
    "i64",
    "String",
    "Uuid",
    "Vec<u8>",
    "Option<i64>",
    "Option<String>",
    "Option<Uuid>",
    "Option<Vec<u8>>",
];

/// Returns whether the code names the path as a whole word, not as the end of a longer path.
fn names(code: &str, path: &str) -> bool {
    let boundary = |character: Option<char>| !character.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
    code.match_indices(path).any(|(at, _)| boundary(code[..at].chars().next_back()))
}

#[test]
fn imports_follow_the_layers() {
    let mut broken = Vec::new();
    for (folder, forbidden) in RULES {
        for (path, code) in sources(Path::new(folder)) {
            for part in forbidden {
                if names(&code, &format!("crate::{part}::")) {
                    broken.push(format!("{} imports {part}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn entities_have_columns_of_types_that_both_databases_read() {
    let mut checked = 0;
    for (path, code) in sources(Path::new("src/database/entities")) {
        for field in code.lines().filter_map(|line| line.trim().strip_prefix("pub ")) {
            if let Some((name, kind)) = field.strip_suffix(',').and_then(|field| field.split_once(": ")) {
                assert!(COLUMN_TYPES.contains(&kind), "{}: {name} is a {kind}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn libraries_are_used_only_in_their_folders() {
    let mut broken = Vec::new();
    for (library, homes) in HOMES {
        for (path, code) in sources(Path::new("src")) {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            if !at_home && names(&code, &format!("{library}::")) {
                broken.push(format!("{} names {library}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// String literals that `format!` fills in.
fn templates(code: &str) -> impl Iterator<Item = &str> {
    code.split("format!(").skip(1).filter_map(|rest| rest.split('"').nth(1))
}

/// Returns whether a text is a statement of SQL or a part of one.
fn is_sql(text: &str) -> bool {
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "VALUES ", "WHERE ", "VACUUM "].iter().any(|word| text.contains(word))
}

#[test]
fn sql_is_never_assembled_from_text() {
    let mut broken = Vec::new();
    for (path, code) in ["src", "migration"].into_iter().flat_map(|folder| sources(Path::new(folder))) {
        // Statements of tests have no input.
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        if !path.ends_with("tests.rs") {
            broken
                .extend(templates(code).filter(|text| is_sql(text)).map(|text| format!("{}: {text}", path.display())));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn assembled_sql_is_detected() {
    let found = |code| templates(code).any(is_sql);
    assert!(found("format!(\"SELECT id FROM tasks WHERE title = '{title}'\")"));
    assert!(found("let sql = format!(\n    \"VACUUM INTO '{file}'\"\n);"));
    assert!(!found("Statement::from_sql_and_values(backend, \"SELECT $1\", [title.into()])"));
}

#[test]
fn path_detection_matches_whole_words() {
    assert!(names("use sea_orm::Set;", "sea_orm::"));
    assert!(names("fn f() -> poem::Result<()>", "poem::"));
    assert!(!names("use poem_openapi::Object;", "poem::"));
    assert!(!names("use crate::migration::X;", "migration::"));
}
