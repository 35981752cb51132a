//! For which list a cursor is good: for the one that gave it, however it is asked for, and only for who may see it.

use serde_json::json;

use super::cursors::{cursor, five, is_refused, rest, with_query};
use crate::api::fixtures::common::{NOBODY, encoded};
use crate::api::fixtures::stored_members::{add_member, member, remove_member};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_cursor_is_good_for_its_own_list_only(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, _) = five(&app).await;
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
                    assert_eq!(answer.status.as_u16(), 400, "{} goes on with {list}", lists[index]);
                    is_refused(&answer.body);
                }
            }
        }
    }

    async fn a_filter_that_finds_nothing_takes_only_its_own_cursors_too(app: TestApp) {
        let (owner, project, _) = five(&app).await;
        let list = format!("/v2/projects/{project}/tasks");
        let good = cursor(&owner, &list).await;
        for query in [
            "status=done", "priority=high", "assignee_id=none", "assignee_id=me", "label=c", "q=x", "deleted=true",
            "due_before=2020-01-01T00:00:00Z", "due_after=2020-01-01T00:00:00Z", "updated_after=2020-01-01T00:00:00Z",
        ] {
            is_refused(&owner.get(format!("{list}?{query}&cursor={good}")).await.expect(400));
        }
    }

    async fn the_cursor_of_another_reader_is_refused(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, _) = five(&app).await;
        let viewer = member(&app, &project, "viewer").await;
        for query in ["", "assignee_id=me", "sort=title"] {
            for list in ["/v2/tasks".to_owned(), format!("/v2/projects/{project}/tasks")] {
                let list = with_query(&list, query);
                let good = cursor(&owner, &list).await;
                is_refused(&viewer.get(with_query(&list, &format!("cursor={good}"))).await.expect(400));
            }
        }
    }

    async fn the_same_list_asked_for_otherwise_goes_on(app: TestApp) {
        let (owner, project, _) = five(&app).await;
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

    async fn the_words_of_a_search_may_stand_in_any_order(app: TestApp) {
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
            is_refused(&owner.get(format!("/v2/tasks?q={other}&cursor={good}")).await.expect(400));
        }
    }

    async fn who_may_not_see_a_list_may_not_go_on_with_it(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, ids) = five(&app).await;
        let viewer = member(&app, &project, "viewer").await;
        let stranger = app.user().await;
        let list = format!("/v2/projects/{project}/tasks");
        let by_project = format!("/v2/tasks?project_id={project}");
        let mut goings_on = Vec::new();
        for list in [&list, &by_project, "/v2/tasks"] {
            goings_on.push(with_query(list, &format!("cursor={}", cursor(&viewer, list).await)));
            app.anonymous().get(with_query(list, "")).await.fails(401, "UNAUTHENTICATED");
        }
        for list in [&list, &by_project] {
            stranger.get(list).await.fails(403, "FORBIDDEN");
            stranger.get(with_query(list, &format!("assignee_id={NOBODY}"))).await.fails(403, "FORBIDDEN");
        }
        remove_member(&app, &project, &viewer).await;
        for list in &goings_on[..2] {
            viewer.get(list).await.fails(403, "FORBIDDEN");
        }
        // The list of all tasks goes on with those that are left.
        assert_eq!(viewer.get(&goings_on[2]).await.ok()["data"], json!([]));
        add_member(&app, &project, &viewer, "viewer").await;
        for list in &goings_on {
            assert_eq!(viewer.get(list).await.ok()["data"].as_array().unwrap().len(), 4);
        }
        for user in [stranger.user_id(), NOBODY, &project] {
            for list in [&list, &by_project, "/v2/tasks"] {
                let list = with_query(list, &format!("assignee_id={user}"));
                owner.get(list).await.invalid(&["assignee_id:reference"]);
            }
        }
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        viewer.get(&goings_on[0]).await.fails(404, "NOT_FOUND");
        viewer.get(&goings_on[1]).await.invalid(&["project_id:reference"]);
        assert_eq!(viewer.get(&goings_on[2]).await.ok()["data"], json!([]));
        for id in [NOBODY, &ids[0], &encoded("not an id")] {
            owner.get(format!("/v2/projects/{id}/tasks")).await.fails(404, "NOT_FOUND");
        }
        for id in [NOBODY, &ids[0]] {
            owner.get(format!("/v2/tasks?project_id={id}")).await.invalid(&["project_id:reference"]);
        }
    }
}
