//! Only documented operations answer.

use std::collections::BTreeSet;

use super::edge::{ask, without_storage};
use crate::support::document::operations;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"];
/// Paths of earlier, later and internal versions, and of tools that frameworks and operators mount.
const UNDOCUMENTED: [&str; 16] = [
    "/v0/me",
    "/v3/me",
    "/api/v1/me",
    "/v1/users",
    "/v1/admin",
    "/v1/audit-log",
    "/v1/jobs",
    "/v1/debug",
    "/v2/me",
    "/v2/projects",
    "/admin",
    "/internal",
    "/metrics",
    "/debug/pprof",
    "/graphql",
    "/swagger.json",
];

#[tokio::test]
async fn only_documented_methods_of_documented_paths_answer() {
    let app = without_storage(&[]).await;
    let documented: BTreeSet<_> = operations().map(|(_, method, path, _)| (method.to_string(), path)).collect();
    let paths: BTreeSet<&String> = documented.iter().map(|(_, path)| path).collect();
    for path in &paths {
        for method in METHODS {
            let status = ask(&app, method, path, &[]).await.status.as_u16();
            let is_documented = documented.contains(&(method.to_owned(), (*path).clone()));
            assert_eq!(status != 405, is_documented, "{method} {path}: {status}");
        }
        let other_version =
            if path.starts_with("/v1/") { path.replacen("/v1/", "/v2/", 1) } else { path.replacen("/v2/", "/v1/", 1) };
        if !paths.contains(&other_version) {
            assert_eq!(ask(&app, "GET", &other_version, &[]).await.status.as_u16(), 404, "{other_version}");
        }
    }
}

#[tokio::test]
async fn nothing_answers_at_undocumented_paths() {
    let app = without_storage(&[]).await;
    for path in UNDOCUMENTED {
        for method in METHODS {
            assert_eq!(ask(&app, method, path, &[]).await.status.as_u16(), 404, "{method} {path}");
        }
    }
}
