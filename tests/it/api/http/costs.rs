//! Requests that cost more than one request of the rate limit.
//!
//! The limits use the system clock, so each test uses limits that take at least 2 seconds to replenish one request.

use serde_json::{Value, json};

use crate::api::fixtures::writes::{KEY, new_key};
use crate::on_sqlite;
use crate::support::{Client, Options, TestApp, TestDatabase};
use poem::http::Method;

fn operations(count: usize) -> Value {
    json!({"operations": vec![json!({"op": "create", "title": "x"}); count]})
}

/// The same user through an app with a rate limit, and a project.
async fn limited(database: &TestDatabase, api_per_minute: u32) -> (Client, String) {
    let app = TestApp::new(database, Options::default()).await;
    let user = app.user().await;
    let project = user.project().await;
    (user.of(&TestApp::new(database, Options { api_per_minute, ..Options::default() }).await), project)
}

on_sqlite! {
    async fn a_batch_counts_as_one_request_per_ten_operations(database: TestDatabase) {
        let (user, project) = limited(&database, 3).await;
        let path = format!("/v1/projects/{project}/tasks/batch");
        for (count, remaining) in [(10, "2"), (11, "0")] {
            let answer = user.post(path.as_str(), operations(count)).await;
            assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("3", remaining));
            answer.ok();
        }
        user.post(path, operations(1)).await.fails(429, "RATE_LIMITED");
    }

    async fn a_batch_is_refused_if_only_a_part_of_its_cost_is_left(database: TestDatabase) {
        let (user, project) = limited(&database, 3).await;
        let path = format!("/v1/projects/{project}/tasks/batch");
        // An invalid batch costs the same.
        let body = json!({"operations": vec![json!({"op": "create"}); 20]});
        let answer = user.post(path.as_str(), body).await;
        assert_eq!(answer.header("ratelimit-remaining"), "1");
        answer.fails(400, "VALIDATION_FAILED");
        let answer = user.post(path.as_str(), operations(20)).await;
        assert_eq!(answer.header("ratelimit-remaining"), "0");
        let wait: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        answer.fails(429, "RATE_LIMITED");
        let app = TestApp::new(&database, Options::default()).await;
        assert_eq!(user.of(&app).get(format!("/v1/projects/{project}/tasks")).await.ok()["meta"]["total"], 0);
    }

    async fn a_user_cannot_change_more_than_ten_tasks_per_request_of_the_limit(database: TestDatabase) {
        let (user, project) = limited(&database, 3).await;
        let path = format!("/v1/projects/{project}/tasks/batch");
        // Before, each batch of 100 operations counted as one request.
        let mut accepted = 0;
        for _ in 0..3 {
            accepted += usize::from(user.post(path.as_str(), operations(100)).await.status.is_success());
        }
        assert_eq!(accepted, 1, "a batch that costs more than the limit takes a full bucket");
    }

    async fn a_replayed_batch_counts_as_one_request(database: TestDatabase) {
        let (user, project) = limited(&database, 3).await;
        let key = new_key();
        for remaining in ["1", "0"] {
            let call = user.call(Method::POST, format!("/v1/projects/{project}/tasks/batch")).json(&operations(20));
            let answer = call.header(KEY, &key).send().await;
            assert_eq!(answer.header("ratelimit-remaining"), remaining);
            answer.ok();
        }
    }

    async fn a_search_counts_as_five_requests(database: TestDatabase) {
        for path in ["/v1/tasks?q=x", "/v2/tasks?label=a", "/v1/projects?q=x&limit=1", "/v2/tasks?%71=x"] {
            let (user, project) = limited(&database, 6).await;
            let answer = user.get(path).await;
            assert_eq!(answer.header("ratelimit-remaining"), "1", "{path}");
            answer.ok();
            user.get(path).await.fails(429, "RATE_LIMITED");
            // Other lists count as one.
            let answer = user.get(format!("/v1/projects/{project}/tasks?status=todo")).await;
            assert_eq!(answer.header("ratelimit-remaining"), "0");
            answer.ok();
        }
    }
}
