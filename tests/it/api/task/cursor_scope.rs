//! Scope of cursors: each is valid only for its own list, its own query and its own reader.

use serde_json::json;

use super::cursors::{assert_invalid_cursor, cursor, owner_with_five_tasks, rest, with_query};
use crate::api::fixtures::common::{UNKNOWN_ID, percent_encoded};
use crate::api::fixtures::stored_members::{add_member, member, remove_member};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_cursor_is_valid_only_for_its_own_list(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        let second = owner.project().await;
        owner.task(&second, json!({"title": "1", "labels": ["a", "b"]})).await;
        owner.task(&second, json!({"title": "2", "labels": ["a", "b"]})).await;
        let of_project = format!("/v2/projects/{project}/tasks");
        let mut lists: Vec<String> = [
            "", "dir=asc", "sort=updated_at", "sort=title", "sort=title&dir=desc", "sort=priority", "sort=due_at",
            "sort=position", "status=todo", "status=todo,done", "priority=none", "label=a", "label=b", "label=a,b",
            "assignee_id=me", "created_after=2020-01-01T00:00:00Z", "created_after=2020-01-01T00:00:00.001Z",
            "updated_after=2020-01-01T00:00:00Z",
        ]
        .map(|query| with_query(&of_project, query))
        .into();
        for other in [
            "/v2/tasks".to_owned(), format!("/v2/tasks?project_id={project}"), format!("/v2/projects/{second}/tasks"),
        ] {
            lists.extend(["", "sort=title", "label=a"].map(|query| with_query(&other, query)));
        }
        let mut cursors = Vec::new();
        for list in &lists {
            cursors.push(cursor(&owner, list).await);
        }
        for (own, list) in lists.iter().enumerate() {
            for (index, cursor) in cursors.iter().enumerate() {
                let answer = owner.get(with_query(list, &format!("cursor={cursor}"))).await;
                if index == own {
                    answer.ok();
                } else {
                    assert_eq!(answer.status.as_u16(), 400, "a cursor of {} was accepted by {list}", lists[index]);
                    assert_invalid_cursor(&answer.body);
                }
            }
        }
    }

    async fn an_empty_result_rejects_cursors_of_other_lists(app: TestApp) {
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        let list = format!("/v2/projects/{project}/tasks");
        let good = cursor(&owner, &list).await;
        for query in [
            "status=done", "priority=high", "assignee_id=none", "assignee_id=me", "label=c", "q=x", "deleted=true",
            "due_before=2020-01-01T00:00:00Z", "due_after=2020-01-01T00:00:00Z", "updated_after=2020-01-01T00:00:00Z",
        ] {
            assert_invalid_cursor(&owner.get(format!("{list}?{query}&cursor={good}")).await.expect(400));
        }
    }

    async fn the_cursor_of_another_reader_is_rejected(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        let viewer = member(&app, &project, "viewer").await;
        for query in ["", "assignee_id=me", "sort=title"] {
            for list in ["/v2/tasks".to_owned(), format!("/v2/projects/{project}/tasks")] {
                let list = with_query(&list, query);
                let good = cursor(&owner, &list).await;
                assert_invalid_cursor(&viewer.get(with_query(&list, &format!("cursor={good}"))).await.expect(400));
            }
        }
    }

    async fn equivalent_queries_share_cursors(app: TestApp) {
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        let of_project = format!("/v2/projects/{project}/tasks");
        let by_project = format!("/v2/tasks?project_id={project}");
        for list in ["/v2/tasks", &of_project, &by_project] {
            for same in [
                vec!["", "sort=created_at", "dir=desc", "sort=created_at&dir=desc", "dir=desc&sort=created_at",
                    "deleted=false", "q=", "q=%20%20", "deleted=false&dir=desc"],
                vec!["sort=title", "sort=title&dir=asc", "dir=asc&sort=title"],
                vec!["sort=updated_at", "sort=updated_at&dir=desc"],
                vec!["status=todo,done&label=a,b", "label=b,a&status=done,todo", "status=todo,done,todo&label=b,a,b"],
                vec!["label=a", "label=%20a%20", "label=a,a"],
                vec!["priority=none,high", "priority=high,none,none"],
                vec!["created_after=2020-01-01T00:00:00Z", "created_after=2020-01-01T01:00:00.000%2B01:00"],
            ] {
                let cursors = [cursor(&owner, &with_query(list, same[0])).await,
                    cursor(&owner, &with_query(list, same[same.len() - 1])).await];
                for query in &same {
                    for cursor in &cursors {
                        let list = with_query(list, query);
                        let answer = owner.get(with_query(&list, &format!("cursor={cursor}"))).await;
                        assert_eq!(answer.status.as_u16(), 200, "{list}: {}", answer.text);
                        assert_eq!(answer.body["data"].as_array().unwrap().len(), 4, "{list}");
                    }
                }
            }
        }
        let upper = format!("/v2/projects/{}/tasks", project.to_uppercase());
        assert_eq!(rest(&owner, &upper, &cursor(&owner, &of_project).await).await.len(), 4);
    }

    async fn search_terms_may_be_reordered_between_pages(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for _ in 0..2 {
            owner.task(&project, json!({"title": "Tea time"})).await;
        }
        let good = cursor(&owner, "/v2/tasks?q=tea+time").await;
        for same in ["time%20tea", "tea++time", "+tea+time+", "tea+tea+time"] {
            assert_eq!(rest(&owner, &format!("/v2/tasks?q={same}"), &good).await.len(), 1, "{same}");
        }
        for other in ["tea", "tea+time+t", "teatime", "tim+tea"] {
            assert_invalid_cursor(&owner.get(format!("/v2/tasks?q={other}&cursor={good}")).await.expect(400));
        }
    }

    async fn a_cursor_grants_no_access_to_a_list(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, ids) = owner_with_five_tasks(&app).await;
        let viewer = member(&app, &project, "viewer").await;
        let stranger = app.user().await;
        let list = format!("/v2/projects/{project}/tasks");
        let by_project = format!("/v2/tasks?project_id={project}");
        let mut next_pages = Vec::new();
        for list in [&list, &by_project, "/v2/tasks"] {
            next_pages.push(with_query(list, &format!("cursor={}", cursor(&viewer, list).await)));
            app.anonymous().get(with_query(list, "")).await.fails(401, "UNAUTHENTICATED");
        }
        for list in [&list, &by_project] {
            stranger.get(list).await.fails(403, "FORBIDDEN");
            stranger.get(with_query(list, &format!("assignee_id={UNKNOWN_ID}"))).await.fails(403, "FORBIDDEN");
        }
        remove_member(&app, &project, &viewer).await;
        for list in &next_pages[..2] {
            viewer.get(list).await.fails(403, "FORBIDDEN");
        }
        // The list of all tasks continues with the remaining ones.
        assert_eq!(viewer.get(&next_pages[2]).await.ok()["data"], json!([]));
        add_member(&app, &project, &viewer, "viewer").await;
        for list in &next_pages {
            assert_eq!(viewer.get(list).await.ok()["data"].as_array().unwrap().len(), 4);
        }
        for user in [stranger.user_id(), UNKNOWN_ID, &project] {
            for list in [&list, &by_project, "/v2/tasks"] {
                let list = with_query(list, &format!("assignee_id={user}"));
                owner.get(list).await.invalid(&["assignee_id:reference"]);
            }
        }
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        viewer.get(&next_pages[0]).await.fails(404, "NOT_FOUND");
        viewer.get(&next_pages[1]).await.invalid(&["project_id:reference"]);
        assert_eq!(viewer.get(&next_pages[2]).await.ok()["data"], json!([]));
        for id in [UNKNOWN_ID, &ids[0], &percent_encoded("not an id")] {
            owner.get(format!("/v2/projects/{id}/tasks")).await.fails(404, "NOT_FOUND");
        }
        for id in [UNKNOWN_ID, &ids[0]] {
            owner.get(format!("/v2/tasks?project_id={id}")).await.invalid(&["project_id:reference"]);
        }
    }
}
