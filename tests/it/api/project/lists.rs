//! Lists of projects.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::{id_set, percent_encoded, sorted};
use crate::api::fixtures::stored_members::add_member;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

const NAMES: [&str; 9] = ["beta", "Alpha", "alpha", "Ärger", "ärger", "Zeta", "50% off", "snake_case", "back\\slash"];

/// Creates projects whose names tie except for case, and updates them in a different order.
async fn create_projects(app: &TestApp, owner: &Client) -> Vec<Value> {
    let mut paths = Vec::new();
    for name in NAMES {
        app.clock.advance(Duration::from_secs(1));
        paths.push(format!("/v1/projects/{}", owner.post("/v1/projects", json!({"name": name})).await.created().id()));
    }
    for path in [&paths[4], &paths[0], &paths[7]] {
        app.clock.advance(Duration::from_secs(1));
        owner.patch(path, json!({"color": "#123456"})).await.ok();
    }
    let mut projects = Vec::new();
    for path in paths {
        projects.push(owner.get(path).await.ok());
    }
    projects
}

fn key(sort: &str, project: &Value) -> Option<String> {
    let text = project[sort].as_str()?;
    Some(if sort == "name" { text.to_lowercase() } else { text.to_owned() })
}

on_both_databases! {
    async fn projects_are_sorted_as_requested(app: TestApp) {
        let owner = app.user().await;
        let projects = create_projects(&app, &owner).await;
        for (query, sort, descending) in [
            ("", "created_at", true),
            ("?dir=asc", "created_at", false),
            ("?dir=desc", "created_at", true),
            ("?sort=created_at", "created_at", true),
            ("?sort=created_at&dir=asc", "created_at", false),
            ("?sort=updated_at", "updated_at", true),
            ("?sort=updated_at&dir=asc", "updated_at", false),
            ("?sort=name", "name", false),
            ("?dir=desc&sort=name", "name", true),
        ] {
            let expected = sorted(&projects, descending, |project| key(sort, project));
            let list = owner.get(format!("/v1/projects{query}")).await.ok();
            assert_eq!(list.column("id"), expected, "{query}");
            assert_eq!(list["meta"], json!({"total": 9, "total_is_exact": true, "page": 1, "limit": 20, "has_more": false}), "{query}");
            // The same order in pages of one.
            for (offset, id) in expected.iter().enumerate() {
                let also = query.replace('?', "&");
                let list = owner.get(format!("/v1/projects?limit=1&offset={offset}{also}")).await.ok();
                assert_eq!(list.column("id"), std::slice::from_ref(id), "{query} {offset}");
            }
        }
    }

    async fn projects_are_paginated(app: TestApp) {
        let owner = app.user().await;
        let all = sorted(&create_projects(&app, &owner).await, true, |project| key("created_at", project));
        for (query, from, to, page, limit) in [
            ("limit=4", 0, 4, 1, 4),
            ("limit=4&page=1", 0, 4, 1, 4),
            ("limit=4&page=2", 4, 8, 2, 4),
            ("page=3&limit=4", 8, 9, 3, 4),
            ("limit=4&page=4", 9, 9, 4, 4),
            ("limit=3&page=3", 6, 9, 3, 3),
            ("limit=100&page=2147483647", 9, 9, 2_147_483_647, 100),
            ("limit=4&offset=0", 0, 4, 1, 4),
            ("limit=4&offset=3", 3, 7, 1, 4),
            ("limit=4&offset=5", 5, 9, 2, 4),
            ("limit=4&offset=9", 9, 9, 3, 4),
            ("limit=9&offset=0", 0, 9, 1, 9),
            ("limit=1&offset=8", 8, 9, 9, 1),
            ("offset=2147483647", 9, 9, 107_374_183_u64, 20),
        ] {
            let list = owner.get(format!("/v1/projects?{query}")).await.ok();
            assert_eq!(list.column("id"), all[from..to], "{query}");
            let meta = json!({"total": 9, "total_is_exact": true, "page": page, "limit": limit, "has_more": to < 9});
            assert_eq!(list["meta"], meta, "{query}");
        }
        owner.get("/v1/projects?page=1&offset=0").await.invalid(&["offset:conflict"]);
    }

    async fn projects_are_filtered_by_state(app: TestApp) {
        let owner = app.user().await;
        let mut ids = Vec::new();
        for (archived, deleted) in [(false, false), (true, false), (false, true), (true, true)] {
            let body = json!({"name": "A project", "archived": archived});
            let project = owner.post("/v1/projects", body).await.created();
            if deleted {
                owner.delete(format!("/v1/projects/{}", project.id())).await.no_content();
            }
            ids.push(project["id"].clone());
        }
        for (query, expected) in [
            ("", vec![0, 1]),
            ("archived=true", vec![1]),
            ("archived=false", vec![0]),
            ("deleted=false", vec![0, 1]),
            ("deleted=true", vec![2, 3]),
            ("deleted=true&archived=true", vec![3]),
            ("deleted=true&archived=false", vec![2]),
        ] {
            let list = owner.get(format!("/v1/projects?{query}")).await.ok();
            let mut expected: Vec<Value> = expected.into_iter().map(|index: usize| ids[index].clone()).collect();
            expected.sort_by_key(Value::to_string);
            assert_eq!(id_set(&list), expected, "{query}");
            assert_eq!(list["meta"]["total"], expected.len(), "{query}");
            let none_deleted = list.column("deleted_at").iter().all(Value::is_null);
            assert_eq!(none_deleted, !query.contains("deleted=true"), "{query}");
        }
    }

    async fn projects_are_searched_by_words(app: TestApp) {
        let owner = app.user().await;
        create_projects(&app, &owner).await;
        let described = json!({"name": "Küche", "description": "ΟΔΟΣ und Straße"});
        owner.post("/v1/projects", described).await.created();
        for (words, expected) in [
            ("ALPHA", vec!["Alpha", "alpha"]),
            ("äRGER", vec!["Ärger", "ärger"]),
            ("arger", vec![]),
            ("eta", vec!["Zeta", "beta"]),
            ("eta b", vec!["beta"]),
            ("eta z nothing", vec![]),
            ("%", vec!["50% off"]),
            ("0% OFF", vec!["50% off"]),
            ("_", vec!["snake_case"]),
            ("\\", vec!["back\\slash"]),
            ("\\\\", vec![]),
            ("küche straße", vec!["Küche"]),
            ("οδος", vec!["Küche"]),
            ("Οδοσ", vec!["Küche"]),
            ("'; --", vec![]),
        ] {
            let list = owner.get(format!("/v1/projects?sort=name&q={}", percent_encoded(words))).await.ok();
            let mut names = list.column("name");
            names.sort_by_key(Value::to_string);
            assert_eq!(names, expected, "{words}");
            assert_eq!(list["meta"]["total"], expected.len(), "{words}");
        }
        for blank in ["", "%20%20"] {
            assert_eq!(owner.get(format!("/v1/projects?q={blank}")).await.ok()["meta"]["total"], 10);
        }
        let list = owner.get("/v1/projects?q=e&limit=2&page=2").await.ok();
        assert_eq!(list["meta"], json!({"total": 6, "total_is_exact": true, "page": 2, "limit": 2, "has_more": true}));
    }

    async fn a_search_finds_the_current_name(app: TestApp) {
        let owner = app.user().await;
        let path = format!("/v1/projects/{}", owner.project().await);
        owner.patch(&path, json!({"name": "Cellar", "description": "Wine"})).await.ok();
        owner.patch(&path, json!({"description": "Beer"})).await.ok();
        for (word, found) in [("project", 0), ("cellar", 1), ("wine", 0), ("beer", 1)] {
            assert_eq!(owner.get(format!("/v1/projects?q={word}")).await.ok()["meta"]["total"], found, "{word}");
        }
    }

    async fn members_see_their_projects_with_their_role(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (ada, ben, eve) = (app.user().await, app.user().await, app.user().await);
        let (own, shared, read) = (ben.project().await, ada.project().await, ada.project().await);
        ada.project().await;
        add_member(&app, &shared, &ben, "editor").await;
        add_member(&app, &read, &ben, "viewer").await;
        for (query, expected) in [
            ("", vec![(&own, "owner"), (&shared, "editor"), (&read, "viewer")]),
            ("&role=owner", vec![(&own, "owner")]),
            ("&role=editor", vec![(&shared, "editor")]),
            ("&role=viewer", vec![(&read, "viewer")]),
            ("&role=viewer&deleted=true", vec![]),
        ] {
            let list = ben.get(format!("/v1/projects?dir=asc{query}")).await.ok();
            let (ids, roles): (Vec<&str>, Vec<&str>) = expected.iter().map(|(id, role)| (id.as_str(), *role)).unzip();
            assert_eq!(list.column("id"), ids, "{query}");
            assert_eq!(list.column("role"), roles, "{query}");
            assert_eq!(list["meta"]["total"], expected.len(), "{query}");
        }
        assert_eq!(ada.get("/v1/projects?role=owner").await.ok()["meta"]["total"], 3);
        assert_eq!(ada.get("/v1/projects?role=editor").await.ok()["meta"]["total"], 0);
        assert_eq!(eve.get("/v1/projects").await.ok()["data"], json!([]));
        let of_ada = ben.get(format!("/v1/projects/{shared}")).await.ok();
        assert_eq!((&of_ada["role"], &of_ada["owner_id"]), (&json!("editor"), &json!(ada.user_id())));
    }
}
