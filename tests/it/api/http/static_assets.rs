//! Static assets: content types, caching and allowed methods.

use super::edge::{ask, without_storage};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every asset with its content type and caching policy.
const ASSETS: [(&str, &str, &str); 17] = [
    ("/docs", HTML, "no-cache"),
    ("/docs/swagger-ui.css", CSS, "no-cache"),
    ("/docs/swagger-ui-bundle.js", SCRIPT, "no-cache"),
    ("/docs/start.js", SCRIPT, "no-cache"),
    ("/docs/docs.css", CSS, "no-cache"),
    ("/guides/errors", HTML, "no-cache"),
    ("/guides/style.css", CSS, "no-cache"),
    ("/openapi-3.0.json", "application/json", "no-cache"),
    ("/openapi.json", "application/json", "no-cache"),
    ("/openapi.yaml", "application/yaml", "no-cache"),
    ("/verify-email", HTML, "no-store"),
    ("/reset-password", HTML, "no-store"),
    ("/disown-account", HTML, "no-store"),
    ("/invitation", HTML, "no-store"),
    ("/mail-pages/start.js", SCRIPT, "no-cache"),
    ("/mail-pages/invitation.js", SCRIPT, "no-cache"),
    ("/mail-pages/style.css", CSS, "no-cache"),
];

/// Links and resources in a page.
pub(crate) fn links_in(page: &str) -> Vec<&str> {
    ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|word| page.split(word).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|link| *link != "data:,")
        .collect()
}

#[tokio::test]
async fn every_asset_is_served_plain_or_compressed() {
    let app = without_storage(&[]).await;
    for (path, content_type, cache_control) in ASSETS {
        let plain = ask(&app, "GET", path, &[]).await;
        let compressed = ask(&app, "GET", path, &[("accept-encoding", b"gzip, deflate, br")]).await;
        for answer in [&plain, &compressed] {
            assert_eq!(answer.status.as_u16(), 200, "{path}");
            assert_eq!(answer.header("content-type"), content_type, "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("cache-control"), cache_control, "{path}");
            assert_eq!(answer.header("vary").matches("Accept-Encoding").count(), 1, "{path}");
        }
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        assert!(plain.body.len() > 100, "{path}");
        assert!(compressed.unzipped() == plain.body, "{path}");
        let refusing = ask(&app, "GET", path, &[("accept-encoding", b"gzip;q=0, *")]).await;
        assert!(refusing.header("content-encoding").is_empty() && refusing.body == plain.body, "{path}");
    }
}

#[tokio::test]
async fn a_cached_asset_gets_304() {
    let app = without_storage(&[]).await;
    let mut tags = Vec::new();
    for (path, ..) in ASSETS {
        let tag = ask(&app, "GET", path, &[]).await.header("etag");
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "{path}: {tag}");
        let (weak, list) = (format!("W/{tag}"), format!("\"other\", {tag}"));
        for (known, status) in
            [(tag.as_str(), 304), (&weak, 304), (&list, 304), ("*", 304), ("\"other\"", 200), ("", 200)]
        {
            let headers = [("if-none-match", known.as_bytes()), ("origin", b"http://localhost:5173")];
            let answer = ask(&app, "GET", path, &headers).await;
            assert_eq!(answer.status.as_u16(), status, "{path}: {known}");
            assert_eq!(answer.header("etag"), tag, "{path}: {known}");
            assert_eq!(answer.body.is_empty(), status == 304, "{path}: {known}");
            let origin = if path.starts_with("/openapi") { "*" } else { "http://localhost:5173" };
            assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}: {known}");
        }
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), ASSETS.len(), "each asset has its own tag");
}

#[tokio::test]
async fn assets_allow_only_reads() {
    let app = without_storage(&[]).await;
    for path in ASSETS.into_iter().map(|(path, ..)| path).chain(["/"]) {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = ask(&app, method, path, &[]).await;
            assert_eq!(answer.status.as_u16(), 405, "{method} {path}");
            assert!(answer.header("allow").starts_with("GET, HEAD"), "{method} {path}");
            assert_eq!(answer.json()["error"], "METHOD_NOT_ALLOWED", "{method} {path}");
        }
        let options = ask(&app, "OPTIONS", path, &[]).await;
        assert_eq!((options.status.as_u16(), options.header("allow").as_str()), (204, "GET, HEAD, OPTIONS"), "{path}");
    }
}
