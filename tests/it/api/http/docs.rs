//! Documentation pages and the published document.

use serde_json::Value;

use super::edge::{ask, without_storage};
use super::static_assets::links_in;
use crate::support::document::DOCUMENT;

#[tokio::test]
async fn the_root_redirects_to_the_documentation() {
    let app = without_storage(&[]).await;
    let answer = ask(&app, "GET", "/", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, "/docs".to_owned()));
}

#[tokio::test]
async fn the_served_document_is_the_published_one() {
    let app = without_storage(&[]).await;
    assert!(ask(&app, "GET", "/openapi.json", &[]).await.json() == *DOCUMENT);
    let yaml = ask(&app, "GET", "/openapi.yaml", &[]).await.body;
    assert!(serde_saphyr::from_slice::<Value>(&yaml).unwrap() == *DOCUMENT);
}

#[tokio::test]
async fn the_documentation_page_loads_only_own_assets() {
    let app = without_storage(&[]).await;
    let answer = ask(&app, "GET", "/docs", &[]).await;
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let page = String::from_utf8(answer.body).unwrap();
    assert!(!page.contains("<script>"), "the policy forbids inline scripts");
    let links = links_in(&page);
    assert!(links.len() >= 4, "{links:?}");
    let start = ask(&app, "GET", "/docs/start.js", &[]).await.body;
    assert!(String::from_utf8(start).unwrap().contains("url: \"/openapi.json\""));
    for link in links {
        assert_eq!(ask(&app, "GET", link, &[]).await.status.as_u16(), 200, "{link}");
    }
}
