//! The documentation pages and the published document.

use serde_json::Value;

use super::front::{ask, without_storage};
use crate::support::document::DOCUMENT;

const PAGES: [(&str, &str); 6] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("/docs/start.js", "text/javascript; charset=utf-8"),
    ("/openapi.json", "application/json"),
    ("/openapi.yaml", "application/yaml"),
];

#[tokio::test]
async fn the_root_leads_to_the_documentation() {
    let app = without_storage(&[]);
    let answer = ask(&app, "GET", "/", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, "/docs".to_owned()));
}

#[tokio::test]
async fn every_page_comes_plain_or_compressed() {
    let app = without_storage(&[]);
    for (path, content_type) in PAGES {
        let plain = ask(&app, "GET", path, &[]).await;
        let compressed = ask(&app, "GET", path, &[("accept-encoding", b"gzip, deflate, br")]).await;
        for answer in [&plain, &compressed] {
            assert_eq!(answer.status.as_u16(), 200, "{path}");
            assert_eq!(answer.header("content-type"), content_type, "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
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
async fn a_page_that_is_known_is_not_sent_again() {
    let app = without_storage(&[]);
    let mut tags = Vec::new();
    for (path, _) in PAGES {
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
            assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:5173", "{path}: {known}");
        }
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), PAGES.len(), "each page has a tag of its own");
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_published() {
    let app = without_storage(&[]);
    assert!(ask(&app, "GET", "/openapi.json", &[]).await.json() == *DOCUMENT);
    let yaml = ask(&app, "GET", "/openapi.yaml", &[]).await.body;
    assert!(serde_yaml_ng::from_slice::<Value>(&yaml).unwrap() == *DOCUMENT);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let app = without_storage(&[]);
    let answer = ask(&app, "GET", "/docs", &[]).await;
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let page = String::from_utf8(answer.body).unwrap();
    assert!(!page.contains("<script>"), "the policy forbids scripts in the page");
    let links: Vec<&str> = ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|word| page.split(word).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|link| *link != "data:,")
        .collect();
    assert!(links.len() >= 4, "{links:?}");
    let start = ask(&app, "GET", "/docs/start.js", &[]).await.body;
    assert!(String::from_utf8(start).unwrap().contains("url: \"/openapi.json\""));
    for link in links {
        assert_eq!(ask(&app, "GET", link, &[]).await.status.as_u16(), 200, "{link}");
    }
}

#[tokio::test]
async fn the_pages_can_only_be_read() {
    let app = without_storage(&[]);
    for (path, _) in PAGES.into_iter().chain([("/", "")]) {
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
