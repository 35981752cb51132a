//! Members leaving or being removed.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::with;
use crate::api::fixtures::members::{
    check_invariants, expected_roles, invite, join, member_path, members_path, new_member, remove, roles, set_role,
};
use crate::api::fixtures::positions::visible_tasks;
use crate::api::fixtures::stored_members::purge_project;
use crate::api::fixtures::writes::{KEY, assert_first, assert_replay, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn departure_unassigns_the_members_tasks_including_deleted_ones(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        for leaves in [true, false] {
            let user = new_member(&app, &owner, &project, "editor").await;
            join(&owner, &other, &user, "viewer").await;
            let third = new_member(&app, &owner, &project, "viewer").await;
            for (home, assignee, is_deleted) in [
                (&project, json!(user.user_id()), false),
                (&project, json!(user.user_id()), true),
                (&project, json!(third.user_id()), false),
                (&project, json!(owner.user_id()), true),
                (&project, Value::Null, false),
                (&other, json!(user.user_id()), false),
                (&other, json!(user.user_id()), true),
            ] {
                let task = owner.task(home, json!({"title": "x", "assignee_id": assignee})).await;
                if is_deleted {
                    owner.delete(format!("/v1/tasks/{}", task.id())).await.no_content();
                }
            }
            let before = visible_tasks(&owner).await;
            app.clock.advance(Duration::from_secs(1));
            remove(if leaves { &user } else { &owner }, &project, &user).await.no_content();
            let after = visible_tasks(&owner).await;
            let mut changed = 0;
            for (was, is) in before.iter().zip(&after) {
                if was["project_id"] == project && was["assignee_id"] == user.user_id() {
                    changed += 1;
                    assert!(is["updated_at"].as_str() > was["updated_at"].as_str(), "{is}");
                    let version = was["version"].as_i64().unwrap() + 1;
                    let fields = json!({"assignee_id": null, "version": version, "updated_at": is["updated_at"]});
                    assert_eq!(is, &with(was, &fields));
                } else {
                    assert_eq!(is, was);
                }
            }
            assert_eq!((changed, before.len()), (2, after.len()));
            check_invariants(&database).await;
        }
    }

    async fn departure_ends_access_immediately(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let user = new_member(&app, &owner, &project, "editor").await;
        for title in ["a", "b", "c"] {
            owner.task(&project, json!({"title": title})).await;
        }
        let own = user.project().await;
        user.task(&own, json!({"title": "my own"})).await;
        let path = format!("/v1/projects/{project}");
        let cursor = async |list: &str| {
            let page = user.get(format!("{list}?limit=1&sort=title&dir=asc")).await.ok();
            format!("{list}?limit=1&sort=title&dir=asc&cursor={}", page["meta"]["next_cursor"].as_str().unwrap())
        };
        let (here, everywhere) = (cursor(&format!("/v2/projects/{project}/tasks")).await, cursor("/v2/tasks").await);
        let key = new_key();
        let request =
            || user.call(Method::POST, format!("{path}/tasks")).json(&json!({"title": "d"})).header(KEY, &key).send();
        let first = request().await;
        assert_first(&first, "as an editor");
        let task = format!("/v1/tasks/{}", first.body.id());
        user.get(&here).await.ok();
        remove(&owner, &project, &user).await.no_content();
        for forbidden in [path.clone(), members_path(&project), format!("{path}/tasks"), here, task.clone()] {
            user.get(forbidden).await.fails(403, "FORBIDDEN");
        }
        user.patch(&task, json!({"title": "x"})).await.fails(403, "FORBIDDEN");
        user.post(format!("{path}/tasks"), json!({"title": "x"})).await.fails(403, "FORBIDDEN");
        request().await.fails(403, "FORBIDDEN");
        assert_eq!(user.get(everywhere).await.ok().column("title"), [json!("my own")]);
        for (list, left) in [("/v1/projects", json!("A project")), ("/v2/tasks", json!("my own"))] {
            let found = user.get(list).await.ok();
            let names = found.column(if list == "/v1/projects" { "name" } else { "title" });
            assert_eq!(names, [left], "{list}");
        }
        user.get(format!("/v2/tasks?project_id={project}")).await.fails(403, "FORBIDDEN");
        // A former member cannot be assigned to a task.
        let assignment = owner.patch(&task, json!({"assignee_id": user.user_id()})).await;
        assignment.invalid(&["assignee_id:reference"]);
    }

    async fn every_member_but_the_owner_may_leave_even_an_archived_project(app: TestApp) {
        let owner = app.user().await;
        for archived in [false, true] {
            let project = owner.project().await;
            let (editor, viewer) =
                (new_member(&app, &owner, &project, "editor").await, new_member(&app, &owner, &project, "viewer").await);
            let task = owner.task(&project, json!({"title": "x", "assignee_id": viewer.user_id()})).await.id();
            owner.patch(format!("/v1/projects/{project}"), json!({"archived": archived})).await.ok();
            remove(&owner, &project, &owner).await.fails(409, "OWNER_REQUIRED");
            for (by, whom) in [(&editor, &viewer), (&viewer, &editor), (&editor, &owner), (&app.user().await, &viewer)] {
                remove(by, &project, whom).await.fails(403, "FORBIDDEN");
            }
            remove(&viewer, &project, &viewer).await.no_content();
            remove(&viewer, &project, &viewer).await.fails(403, "FORBIDDEN");
            remove(&owner, &project, &viewer).await.fails(404, "NOT_FOUND");
            assert_eq!(owner.get(format!("/v1/tasks/{task}")).await.ok()["assignee_id"], Value::Null);
            let answer = remove(&owner, &project, &editor).await;
            if archived {
                answer.fails(403, "PROJECT_ARCHIVED");
                remove(&editor, &project, &editor).await.no_content();
            } else {
                answer.no_content();
            }
            assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner")]));
        }
    }

    async fn a_former_owner_may_leave(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let heir = new_member(&app, &owner, &project, "viewer").await;
        set_role(&owner, &project, &heir, "owner").await.ok();
        remove(&owner, &project, &owner).await.no_content();
        assert_eq!(roles(&heir, &project).await, expected_roles([(&heir, "owner")]));
        check_invariants(&database).await;
    }

    async fn a_returning_member_has_the_new_role_and_no_old_tasks(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let user = new_member(&app, &owner, &project, "editor").await;
        let task = owner.task(&project, json!({"title": "x", "assignee_id": user.user_id()})).await.id();
        remove(&owner, &project, &user).await.no_content();
        app.clock.advance(Duration::from_secs(1));
        let member = join(&owner, &project, &user, "viewer").await;
        assert_eq!(member["role"], "viewer");
        let listed = owner.get(format!("{}?role=viewer", members_path(&project))).await.ok();
        assert_eq!(listed["data"], json!([member]));
        assert_eq!(user.get(format!("/v1/tasks/{task}")).await.ok()["assignee_id"], Value::Null);
        user.patch(format!("/v1/tasks/{task}"), json!({"title": "y"})).await.fails(403, "FORBIDDEN");
        invite(&owner, &project, user.email(), "editor").await.fails(409, "ALREADY_MEMBER");
    }

    async fn a_departure_is_replayed_to_the_former_member(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let (user, key) = (new_member(&app, &owner, &project, "viewer").await, new_key());
        let request = || user.call(Method::DELETE, member_path(&project, &user)).header(KEY, &key).send();
        let first = request().await;
        assert_first(&first, "leaving");
        assert_replay(&first, &request().await, "a former member");
        join(&owner, &project, &user, "editor").await;
        assert_replay(&first, &request().await, "a returned member");
        assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner"), (&user, "editor")]));
        purge_project(&database, &project).await;
        assert_replay(&first, &request().await, "a purged project");
        // The replay of a removal requires the owner role.
        let project = owner.project().await;
        let (user, key) = (new_member(&app, &owner, &project, "editor").await, new_key());
        let request = || owner.call(Method::DELETE, member_path(&project, &user)).header(KEY, &key).send();
        let heir = new_member(&app, &owner, &project, "viewer").await;
        let first = request().await;
        assert_first(&first, "a removal");
        assert_replay(&first, &request().await, "the owner");
        set_role(&owner, &project, &heir, "owner").await.ok();
        request().await.fails(403, "FORBIDDEN");
    }
}
