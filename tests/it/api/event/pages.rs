//! Pages of the feed in both orders and with every filter, compared with the filtered complete feed.

use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, UNKNOWN_IDS};
use crate::api::fixtures::events::{FEED, all, page, rest, sequences, types};
use crate::api::fixtures::members::new_member;
use crate::api::fixtures::positions::create_tasks;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

/// Creates a user with events of several types in two projects.
async fn some_events(app: &TestApp) -> (Client, [String; 2]) {
    let owner = app.user().await;
    let projects = [owner.project().await, owner.project().await];
    for project in &projects {
        for task in create_tasks(&owner, project, "abc").await {
            owner.patch(format!("/v1/tasks/{}", task.id()), json!({"title": "x"})).await.ok();
        }
    }
    // Events of another user, which must stay hidden.
    let stranger = app.user().await;
    let project = stranger.project().await;
    stranger.task(&project, json!({"title": "x"})).await;
    new_member(app, &owner, &projects[0], "viewer").await;
    (owner, projects)
}

on_both_databases! {
    async fn pages_of_any_size_return_the_whole_feed_in_both_orders(app: TestApp) {
        let (owner, _) = some_events(&app).await;
        let whole = all(&owner, "").await;
        assert_eq!(whole.len(), 17);
        assert!(sequences(&whole).is_sorted_by(|one, next| one < next));
        let back: Vec<Value> = whole.iter().rev().cloned().collect();
        assert_eq!(all(&owner, "order=desc").await, back);
        for limit in [1, 2, 3, 16, 17, 18, 100] {
            for (order, expected) in [("", &whole), ("&order=asc", &whole), ("&order=desc", &back)] {
                let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
                loop {
                    let (found, has_more, next) = page(&owner, &format!("limit={limit}{order}{cursor}")).await;
                    pages += 1;
                    assert_eq!(has_more, pages * limit < whole.len(), "{limit} {order}");
                    seen.extend(found);
                    cursor = format!("&cursor={next}");
                    if !has_more {
                        break;
                    }
                }
                assert_eq!(&seen, expected, "{limit} {order}");
                assert_eq!(pages, whole.len().div_ceil(limit));
                // The last cursor can be reused for later events; in descending order nothing follows.
                for _ in 0..2 {
                    let (found, has_more, _) = page(&owner, &format!("limit={limit}{order}{cursor}")).await;
                    assert_eq!((found.len(), has_more), (0, false), "{limit} {order}");
                }
            }
        }
        let default = owner.get(FEED).await.ok();
        assert_eq!((default["data"].as_array().unwrap().len(), &default["meta"]["limit"]), (17, &json!(20)));
    }

    async fn invalid_page_queries_are_rejected(app: TestApp) {
        let owner = app.user().await;
        for (query, failures) in [
            ("limit=0", &["limit:minimum"][..]),
            ("limit=101", &["limit:maximum"]),
            ("limit=x", &["limit:type"]),
            ("order=up", &["order:enum"]),
            ("order=", &["order:enum"]),
            ("type=", &["type:enum"]),
            ("type=task.created,nothing", &["type:enum"]),
            // A type that is never part of the feed.
            ("type=webhook.test", &["type:enum"]),
            ("page=1", &["page:unknown_parameter"]),
            ("sort=sequence", &["sort:unknown_parameter"]),
            ("project_id=x", &["project_id:format"]),
            ("limit=1&limit=2", &["limit:duplicate_parameter"]),
        ] {
            let answer = owner.get(format!("{FEED}?{query}")).await;
            assert_eq!(answer.status, 400, "{query}");
            answer.invalid(failures);
        }
        app.anonymous().get(FEED).await.fails(401, "UNAUTHENTICATED");
    }

    async fn filters_apply_to_every_page(app: TestApp) {
        let (owner, projects) = some_events(&app).await;
        let whole = all(&owner, "").await;
        for kinds in [
            "task.created",
            "task.updated,project.created",
            "member.added,invitation.accepted,task.created",
            "comment.deleted",
        ] {
            for project in [None, Some(&projects[0]), Some(&projects[1])] {
                for limit in [1, 2, 100] {
                    let project_filter = project.map(|project| format!("&project_id={project}")).unwrap_or_default();
                    let query = format!("limit={limit}&type={kinds}{project_filter}");
                    let matches = |event: &&Value| {
                        kinds.split(',').any(|kind| event["type"] == kind)
                            && project.is_none_or(|project| event["project_id"] == *project)
                    };
                    let mut expected: Vec<Value> = whole.iter().filter(matches).cloned().collect();
                    assert_eq!(rest(&owner, &query, None).await.0, expected, "{query}");
                    expected.reverse();
                    assert_eq!(rest(&owner, &format!("{query}&order=desc"), None).await.0, expected, "{query}");
                }
            }
        }
    }

    async fn a_cursor_at_the_end_returns_later_events_with_any_filter(app: TestApp) {
        let (owner, [project, other]) = some_events(&app).await;
        let queries = [
            "limit=2".to_owned(),
            "limit=1&type=comment.created".to_owned(),
            format!("limit=100&project_id={other}"),
            format!("limit=3&type=task.deleted,task.created&project_id={project}"),
        ];
        let mut followers = Vec::new();
        for query in queries {
            let (_, cursor) = rest(&owner, &query, None).await;
            followers.push((query, cursor));
        }
        for round in 0..3 {
            let task = owner.task(&project, json!({"title": "x"})).await.id();
            let comment = owner.post(format!("/v1/tasks/{task}/comments"), json!({"body": "x"})).await.created();
            let away = owner.task(&other, json!({"title": "x"})).await;
            if round == 1 {
                owner.delete(format!("/v1/tasks/{task}")).await.no_content();
            }
            for (query, cursor) in &mut followers {
                let (news, next) = rest(&owner, query, Some(cursor.clone())).await;
                let mut expected = vec![
                    ("task.created", task.clone()),
                    ("comment.created", comment.id()),
                    ("task.created", away.id()),
                ];
                if round == 1 {
                    expected.push(("task.deleted", task.clone()));
                }
                if query.contains("comment.created") {
                    expected.retain(|(kind, _)| *kind == "comment.created");
                } else if query.contains(&other) {
                    expected.retain(|(_, id)| *id == away.id());
                } else if query.contains(&project) {
                    expected.retain(|(_, id)| *id == task);
                }
                let found: Vec<(&str, String)> =
                    types(&news).into_iter().zip(news.iter().map(|event| event["data"].id())).collect();
                assert_eq!(found, expected, "{query}");
                // The cursor advances even without matching events.
                assert_ne!(next, *cursor);
                *cursor = next;
            }
        }
    }

    async fn an_empty_feed_returns_a_cursor(app: TestApp) {
        let user = app.user().await;
        for order in ["asc", "desc"] {
            let (found, has_more, cursor) = page(&user, &format!("order={order}")).await;
            assert_eq!((found.len(), has_more), (0, false));
            let (found, ..) = page(&user, &format!("order={order}&cursor={cursor}")).await;
            assert_eq!(found.len(), 0);
        }
        let (_, cursor) = rest(&user, "limit=1", None).await;
        user.project().await;
        let (news, _) = rest(&user, "limit=1", Some(cursor)).await;
        assert_eq!(types(&news), ["project.created"]);
    }

    async fn the_project_filter_requires_an_existing_project_of_the_caller(app: TestApp) {
        let (owner, [project, _]) = some_events(&app).await;
        let stranger = app.user().await;
        let path = |project: &str| format!("{FEED}?project_id={project}");
        assert_eq!(owner.get(path(&project)).await.ok()["data"].as_array().unwrap().len(), 10);
        stranger.get(path(&project)).await.fails(403, "FORBIDDEN");
        owner.get(path(UNKNOWN_ID)).await.invalid(&["project_id:reference"]);
        for no_id in UNKNOWN_IDS.iter().filter(|id| !id.contains(UNKNOWN_ID) && !id.contains("00000000")) {
            assert_eq!(owner.get(path(no_id)).await.status, 400, "{no_id}");
        }
        // A deleted project can still be used as a filter, and its deletion is in the feed.
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        let found = all(&owner, &format!("project_id={project}")).await;
        assert_eq!((found.len(), &found[10]["type"]), (11, &json!("project.deleted")));
        assert!(all(&owner, "").await.contains(&found[3]));
        stranger.get(path(&project)).await.fails(403, "FORBIDDEN");
    }
}
