//! Documentation pages and the published document.

use serde_json::Value;

use super::edge::{ask, without_storage};
use super::static_assets::links_in;
use crate::support::document::DOCUMENT;

#[tokio::test]
async fn the_root_redirects_to_the_documentation() {
    let app = without_storage(&[]).await;
    for path in ["/", "/docs/"] {
        let answer = ask(&app, "GET", path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (302, "/docs".to_owned()), "{path}");
    }
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

#[tokio::test]
async fn every_link_of_a_guide_works() {
    let app = without_storage(&[]).await;
    let index = ask(&app, "GET", "/guides", &[]).await;
    assert_eq!(index.status.as_u16(), 302);
    let first = ask(&app, "GET", &index.header("location"), &[]).await;
    let policy = first.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    let mut waiting = vec![index.header("location")];
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        let answer = ask(&app, "GET", &path, &[]).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        seen.push(path);
        let page = String::from_utf8(answer.body).unwrap();
        let links = links_in(&page).into_iter().filter(|link| link.starts_with('/'));
        let links = links.map(|link| link.split('#').next().unwrap().to_owned());
        let links: Vec<String> = links.filter(|link| !seen.contains(link) && !waiting.contains(link)).collect();
        waiting.extend(links);
    }
    let guides = seen.iter().filter(|path| path.starts_with("/guides/")).count();
    assert!(guides > 12, "{seen:?}");
}

#[tokio::test]
async fn the_document_for_older_generators_has_the_same_operations() {
    let app = without_storage(&[]).await;
    let older = ask(&app, "GET", "/openapi-3.0.json", &[]).await.json();
    assert_eq!((&older["openapi"], older.get("webhooks")), (&Value::from("3.0.3"), None));
    let ids = |document: &Value| -> Vec<String> {
        let items = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        items.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&older), ids(&DOCUMENT));
    let text = older.to_string();
    for newer in ["\"type\":\"null\"", "\"null\"]", "\"const\":", "\"examples\":[", "\"identifier\""] {
        assert!(!text.contains(newer), "{newer}");
    }
}
