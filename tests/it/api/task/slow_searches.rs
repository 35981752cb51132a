//! Slow searches: they delay neither other users nor the health check, and end when their client stops waiting.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::repositories::raw::Raw;
use crate::support::{Options, TestApp, TestDatabase};

/// Makes every statement on tasks run forever.
async fn make_endless(database: &TestDatabase) {
    let endless = if database.is_postgres() {
        "pg_sleep(3600) IS NOT NULL"
    } else {
        "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT 1 FROM c) SELECT count(*) FROM c) > 0"
    };
    let mut raw = Raw::connect(database).await;
    raw.execute("ALTER TABLE tasks RENAME TO stored_tasks").await;
    raw.execute(&format!("CREATE VIEW tasks AS SELECT * FROM stored_tasks WHERE {endless}")).await;
}

/// Restores the table. On PostgreSQL this waits until no statement uses it.
async fn make_finite(database: &TestDatabase) {
    let mut raw = Raw::connect(database).await;
    soon(raw.execute("DROP VIEW tasks")).await;
    raw.execute("ALTER TABLE stored_tasks RENAME TO tasks").await;
}

/// The API on the same store, with a short deadline of requests.
async fn hasty_app(database: &TestDatabase) -> TestApp {
    TestApp::new(database, Options { request_timeout: Duration::from_millis(300), ..Options::default() }).await
}

on_both_databases! {
    async fn slow_searches_of_one_user_do_not_delay_other_users(database: TestDatabase) {
        let variables = vec![("DATABASE_MAX_CONNECTIONS", "4")];
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let ada = app.user().await;
        let project = ada.project().await;
        ada.task(&project, json!({"title": "Soup"})).await;
        // More users than connections for searches.
        let mut others = Vec::new();
        for _ in 0..4 {
            let client = app.user().await;
            let project = client.project().await;
            client.task(&project, json!({"title": "Soup"})).await;
            others.push((client, project));
        }
        let paths = [
            format!("/v1/projects/{project}/tasks?q=soup"),
            format!("/v2/projects/{project}/tasks?label=soup"),
            "/v1/tasks".to_owned(),
            "/v2/tasks?q=soup".to_owned(),
        ];
        make_endless(&database).await;
        let mut searches = JoinSet::new();
        for path in paths.iter().cycle().take(20) {
            let (ada, path) = (ada.clone(), path.clone());
            searches.spawn(async move { ada.get(path).await });
        }
        // One search runs; the others get a 429 response.
        for _ in 1..20 {
            let refused = soon(searches.join_next()).await.unwrap().unwrap();
            refused.fails(429, "RATE_LIMITED");
        }
        let refused = soon(ada.get(&paths[0])).await;
        assert_eq!(refused.headers["retry-after"], "1");
        // Other users take the remaining connections for searches, and none is left for the last user.
        for (client, project) in &others {
            let (client, path) = (client.clone(), format!("/v1/projects/{project}/tasks?q=soup"));
            searches.spawn(async move { client.get(path).await });
        }
        let refused = soon(searches.join_next()).await.unwrap().unwrap();
        assert_eq!(refused.headers["retry-after"], "1");
        refused.fails(503, "UNAVAILABLE");

        // Indexed reads continue, also for the searching user.
        for client in [&ada, &others[0].0] {
            let project = soon(client.project()).await;
            soon(client.get(format!("/v1/projects/{project}"))).await.ok();
            soon(client.get(format!("/v1/projects/{project}/members"))).await.ok();
            soon(client.get("/v1/me")).await.ok();
            soon(client.get("/health/ready")).await.ok();
        }
        searches.abort_all();
        while searches.join_next().await.is_some() {}
        make_finite(&database).await;
        for path in &paths {
            let found = soon(ada.get(path)).await.ok();
            assert_eq!(found["data"].as_array().unwrap().len(), usize::from(!path.contains("label")), "{path}");
        }
    }

    async fn a_search_ends_at_the_deadline_of_its_request(database: TestDatabase) {
        let ada = TestApp::new(&database, Options::default()).await.user().await;
        let project = ada.project().await;
        ada.task(&project, json!({"title": "Soup"})).await;
        let path = format!("/v1/projects/{project}/tasks?q=soup");
        let hasty = ada.of(&hasty_app(&database).await);
        make_endless(&database).await;
        // More searches than connections, so each connection must be released.
        for _ in 0..5 {
            soon(hasty.get(&path)).await.fails(504, "TIMEOUT");
        }
        make_finite(&database).await;
        assert_eq!(soon(ada.get(&path)).await.ok()["meta"]["total"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_by_id_ends_at_the_deadline_of_its_request_on_sqlite() {
    let database = crate::support::databases::sqlite().await;
    let ada = TestApp::new(&database, Options::default()).await.user().await;
    let task = ada.task(&ada.project().await, json!({"title": "Soup"})).await;
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let hasty = ada.of(&hasty_app(&database).await);
    make_endless(&database).await;
    for _ in 0..5 {
        soon(hasty.get(&path)).await.fails(504, "TIMEOUT");
    }
    make_finite(&database).await;
    soon(ada.get(&path)).await.ok();
    database.remove().await;
}
