//! Validation of query parameters.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{percent_encoded, send};
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

/// Queries for every v1 list with their expected validation errors; empty for valid queries.
const EVERY_LIST: &[(&str, &[&str])] = &[
    ("", &[]),
    ("&&", &[]),
    ("limit=1&page=1", &[]),
    ("limit=100&offset=0", &[]),
    ("limit=0", &["limit:minimum"]),
    ("limit=-1", &["limit:minimum"]),
    ("limit=101", &["limit:maximum"]),
    ("limit=99999999999999999999", &["limit:maximum"]),
    ("limit=", &["limit:type"]),
    ("limit", &["limit:type"]),
    ("limit=x", &["limit:type"]),
    ("limit=1.5", &["limit:type"]),
    ("limit=1e1", &["limit:type"]),
    ("limit=%2B5", &["limit:type"]),
    ("page=0", &["page:minimum"]),
    ("page=2147483648", &["page:maximum"]),
    ("page=one", &["page:type"]),
    ("offset=-1", &["offset:minimum"]),
    ("offset=2147483648", &["offset:maximum"]),
    ("offset=null", &["offset:type"]),
    ("page=1&offset=0", &["offset:conflict"]),
    ("offset=20&limit=5&page=2", &["page:conflict"]),
    ("sort=id", &["sort:enum"]),
    ("sort=", &["sort:enum"]),
    ("sort=created_at,updated_at", &["sort:enum"]),
    ("sort=-created_at", &["sort:enum"]),
    ("dir=ASC", &["dir:enum"]),
    ("dir=", &["dir:enum"]),
    ("deleted=1", &["deleted:type"]),
    ("deleted=TRUE", &["deleted:type"]),
    ("deleted", &["deleted:type"]),
    ("q=%00", &["q:pattern"]),
    ("q=a%0Ab", &["q:pattern"]),
    ("q=%FF", &["q:format"]),
    ("q=%zz", &["q:format"]),
    ("q=a&q=b", &["q:duplicate_parameter"]),
    ("limit=5&limit=5", &["limit:duplicate_parameter"]),
    ("limit=5&%6Cimit=6&limit=7", &["limit:duplicate_parameter"]),
    ("color=red", &["color:unknown_parameter"]),
    ("cursor=x", &["cursor:unknown_parameter"]),
    ("Limit=5", &["Limit:unknown_parameter"]),
    ("q[]=x", &["q[]:unknown_parameter"]),
    (
        "zzz=1&sort=x&limit=0&q=%00&aaa=1&deleted=no",
        &["zzz:unknown_parameter", "sort:enum", "limit:minimum", "q:pattern", "aaa:unknown_parameter", "deleted:type"],
    ),
];

const PROJECTS: &[(&str, &[&str])] = &[
    ("archived=1", &["archived:type"]),
    ("archived=", &["archived:type"]),
    ("role=boss", &["role:enum"]),
    ("role=owner,editor", &["role:enum"]),
    ("role=", &["role:enum"]),
    ("status=todo", &["status:unknown_parameter"]),
    ("sort=title", &["sort:enum"]),
    ("archived=true&role=editor&deleted=false&sort=name&dir=desc", &[]),
];

const TASKS: &[(&str, &[&str])] = &[
    ("status=open", &["status:enum"]),
    ("status=", &["status:enum"]),
    ("status=todo,", &["status:enum"]),
    ("status=todo,open", &["status:enum"]),
    ("status=todo&status=done", &[]),
    ("status=todo&status=", &["status:enum"]),
    ("status=todo&status=done,todo&label=a&label=b", &[]),
    ("status=todo%2Cdone", &[]),
    ("priority=highest", &["priority:enum"]),
    ("priority=0", &["priority:enum"]),
    ("label=", &["label:too_short"]),
    ("label=a,", &["label:too_short"]),
    ("label=a,+,b", &["label:too_short"]),
    ("label=a%00", &["label:pattern"]),
    ("label=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20", &[]),
    ("label=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21", &["label:too_many"]),
    ("due_before=tomorrow", &["due_before:format"]),
    ("due_after=2026-01-31", &["due_after:format"]),
    ("due_after=2026-01-31T09:00:00%2B01:00", &[]),
    // An unencoded plus sign is a space.
    ("due_after=2026-01-31T09:00:00+01:00", &["due_after:format"]),
    ("created_after=", &["created_after:format"]),
    ("created_after=1769850000", &["created_after:format"]),
    ("updated_after=2026-02-30T00:00:00Z", &["updated_after:format"]),
    ("due_before=2026-01-31T09:00:00Z&due_before=2026-01-31T09:00:00Z", &["due_before:duplicate_parameter"]),
    ("archived=true", &["archived:unknown_parameter"]),
    ("role=owner", &["role:unknown_parameter"]),
    ("created_before=2026-01-31T09:00:00Z", &["created_before:unknown_parameter"]),
    ("sort=name", &["sort:enum"]),
    (
        "updated_after=x&status=x&page=1&label=&offset=0&due_before=x",
        &["updated_after:format", "status:enum", "label:too_short", "offset:conflict", "due_before:format"],
    ),
];

on_both_databases! {
    async fn each_invalid_list_parameter_is_reported(app: TestApp) {
        let owner = app.user().await;
        let of_project = format!("/v1/projects/{}/tasks", owner.project().await);
        for (list, own) in [("/v1/projects", PROJECTS), ("/v1/tasks", TASKS), (of_project.as_str(), TASKS)] {
            for (query, failures) in EVERY_LIST.iter().chain(own) {
                let answer = owner.get(format!("{list}?{query}")).await;
                if failures.is_empty() {
                    assert_eq!(answer.status.as_u16(), 200, "{list}?{query}: {}", answer.text);
                } else {
                    assert_eq!(answer.status.as_u16(), 400, "{list}?{query}: {}", answer.text);
                    assert_eq!(answer.body["details"][0]["in"], "query", "{query}");
                    assert_eq!(answer.body["field"], answer.body["details"][0]["field"], "{query}");
                    answer.invalid(failures);
                }
            }
        }
    }

    async fn search_and_label_lengths_count_characters(app: TestApp) {
        let owner = app.user().await;
        for list in ["/v1/projects", "/v1/tasks"] {
            owner.get(format!("{list}?q={}", percent_encoded(&"🦀".repeat(200)))).await.ok();
            owner.get(format!("{list}?q={}", percent_encoded(&"🦀".repeat(201)))).await.invalid(&["q:too_long"]);
        }
        owner.get(format!("/v1/tasks?label={}", percent_encoded(&"🦀".repeat(50)))).await.ok();
        owner.get(format!("/v1/tasks?label={}", percent_encoded(&"🦀".repeat(51)))).await.invalid(&["label:too_long"]);
    }

    async fn malformed_ids_in_queries_are_rejected(app: TestApp) {
        let owner = app.user().await;
        let of_project = format!("/v1/projects/{}/tasks", owner.project().await);
        for id in ["", "x", "null", "me%20", "None", "01936f501c807e5cb1304d8e3f70ffff"] {
            for list in ["/v1/tasks", of_project.as_str()] {
                let answer = owner.get(format!("{list}?assignee_id={id}")).await.fails(400, "VALIDATION_FAILED");
                assert_eq!((&answer["field"], answer["details"].as_array().unwrap().len()), (&json!("assignee_id"), 1));
                let code = answer["details"][0]["code"].as_str().unwrap();
                assert!(["format", "pattern"].contains(&code), "{id}: {code}");
            }
        }
        for id in ["", "x", "me", "01936f501c807e5cb1304d8e3f70ffff"] {
            owner.get(format!("/v1/tasks?project_id={id}")).await.invalid(&["project_id:format"]);
        }
        owner.get(format!("{of_project}?project_id=x")).await.invalid(&["project_id:unknown_parameter"]);
    }

    async fn operations_other_than_lists_accept_no_parameters(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "Tea"})).await.id();
        for (method, path, body) in [
            (Method::POST, "/v1/projects".to_owned(), json!({"name": "x"})),
            (Method::GET, format!("/v1/projects/{project}"), Value::Null),
            (Method::PATCH, format!("/v1/projects/{project}"), json!({"name": "x"})),
            (Method::DELETE, format!("/v1/projects/{project}"), Value::Null),
            (Method::POST, format!("/v1/projects/{project}/restore"), Value::Null),
            (Method::POST, format!("/v1/projects/{project}/tasks"), json!({"title": "x"})),
            (Method::GET, format!("/v1/tasks/{task}"), Value::Null),
            (Method::PATCH, format!("/v1/tasks/{task}"), json!({"title": "x"})),
            (Method::DELETE, format!("/v1/tasks/{task}"), Value::Null),
            (Method::POST, format!("/v1/tasks/{task}/restore"), Value::Null),
        ] {
            let answer = send(&owner, &method, &format!("{path}?limit=1&limit=2&x"), &body).await;
            answer.invalid(&["limit:unknown_parameter", "x:unknown_parameter"]);
        }
        assert_eq!(owner.get(format!("/v1/tasks/{task}")).await.ok()["version"], 1);
        assert_eq!(owner.get("/v1/projects").await.ok()["meta"]["total"], 1);
    }
}
