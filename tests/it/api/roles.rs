//! Who may do what in a project: every operation, done by everybody.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::{Value, json};

use super::common::send;
use super::memberships::{add_member, member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::document::operations;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// The least role that an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    Viewer,
    Editor,
    Owner,
}

/// Every operation on a project and what is in it, as the contract has it: path, body, least role, success.
fn table() -> Vec<(&'static str, Method, &'static str, Value, Least, u16)> {
    use Least::{Editor, Owner, Viewer};
    let none = || Value::Null;
    vec![
        ("getProject", Method::GET, "/v1/projects/{project}", none(), Viewer, 200),
        ("updateProject", Method::PATCH, "/v1/projects/{project}", json!({"name": "Another"}), Owner, 200),
        ("updateProject", Method::PATCH, "/v1/projects/{project}", json!({"archived": true}), Owner, 200),
        ("updateProject", Method::PATCH, "/v1/projects/{project}", json!({}), Owner, 200),
        ("deleteProject", Method::DELETE, "/v1/projects/{project}", none(), Owner, 204),
        ("restoreProject", Method::POST, "/v1/projects/{project}/restore", none(), Owner, 200),
        ("restoreProject", Method::POST, "/v1/projects/{deleted}/restore", none(), Owner, 200),
        ("listProjectTasks", Method::GET, "/v1/projects/{project}/tasks", none(), Viewer, 200),
        ("listProjectTasks", Method::GET, "/v1/projects/{project}/tasks?deleted=true", none(), Viewer, 200),
        ("listTasks", Method::GET, "/v1/tasks?project_id={project}", none(), Viewer, 200),
        ("listProjectTasksV2", Method::GET, "/v2/projects/{project}/tasks", none(), Viewer, 200),
        ("listProjectTasksV2", Method::GET, "/v2/projects/{project}/tasks?deleted=true", none(), Viewer, 200),
        ("listTasksV2", Method::GET, "/v2/tasks?project_id={project}", none(), Viewer, 200),
        ("createTask", Method::POST, "/v1/projects/{project}/tasks", json!({"title": "New"}), Editor, 201),
        ("getTask", Method::GET, "/v1/tasks/{task}", none(), Viewer, 200),
        ("updateTask", Method::PATCH, "/v1/tasks/{task}", json!({"title": "Another"}), Editor, 200),
        ("updateTask", Method::PATCH, "/v1/tasks/{task}", json!({}), Editor, 200),
        ("deleteTask", Method::DELETE, "/v1/tasks/{task}", none(), Editor, 204),
        ("moveTask", Method::POST, "/v1/tasks/{task}/move", json!({}), Editor, 200),
        (
            "batchTasks",
            Method::POST,
            "/v1/projects/{project}/tasks/batch",
            json!({"operations": [{"op": "create", "title": "New"}]}),
            Editor,
            200,
        ),
        ("restoreTask", Method::POST, "/v1/tasks/{task}/restore", none(), Editor, 200),
        ("restoreTask", Method::POST, "/v1/tasks/{trashed}/restore", none(), Editor, 200),
    ]
}

#[test]
fn every_operation_on_a_project_is_in_the_table() {
    let mut documented: BTreeSet<String> = operations()
        .filter(|(_, _, path, _)| path.contains("{project_id}") || path.contains("{task_id}"))
        .map(|(id, ..)| id)
        .collect();
    documented.extend(["listTasks".to_owned(), "listTasksV2".to_owned()]);
    let tested: BTreeSet<String> = table().into_iter().map(|(id, ..)| id.to_owned()).collect();
    assert_eq!(tested, documented);
}

/// A project in which the user has the role, with what operations are done to.
struct World {
    owner: Client,
    actor: Client,
    project: String,
    deleted: String,
    task: String,
    trashed: String,
}

impl World {
    /// `role` is the word of the contract; anything else makes a stranger.
    async fn new(app: &TestApp, role: &str) -> Self {
        let owner = app.user().await;
        let (project, deleted) = (owner.project().await, owner.project().await);
        let task = owner.task(&project, json!({"title": "A task"})).await.id();
        let trashed = owner.task(&project, json!({"title": "A task"})).await.id();
        owner.delete(format!("/v1/tasks/{trashed}")).await.no_content();
        let actor = match role {
            "owner" => owner.clone(),
            "editor" | "viewer" => {
                let actor = member(app, &project, role).await;
                add_member(app, &deleted, &actor, role).await;
                actor
            }
            _ => app.user().await,
        };
        owner.delete(format!("/v1/projects/{deleted}")).await.no_content();
        Self { owner, actor, project, deleted, task, trashed }
    }

    fn path(&self, template: &str) -> String {
        template
            .replace("{project}", &self.project)
            .replace("{deleted}", &self.deleted)
            .replace("{task}", &self.task)
            .replace("{trashed}", &self.trashed)
    }

    /// All that the owner can see.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for path in ["/v1/projects", "/v1/projects?deleted=true", "/v1/tasks", "/v1/tasks?deleted=true"] {
            state.push(self.owner.get(path).await.ok());
        }
        state
    }
}

on_both_databases! {
    async fn everybody_may_do_what_their_role_allows_and_nothing_else(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for (role, rank) in [
            ("owner", Some(Least::Owner)),
            ("editor", Some(Least::Editor)),
            ("viewer", Some(Least::Viewer)),
            ("stranger", None),
        ] {
            for (operation, method, template, body, least, success) in table() {
                let world = World::new(&app, role).await;
                let before = world.state().await;
                let answer = send(&world.actor, &method, &world.path(template), &body).await;
                let place = format!("{operation} {body} by {role}");
                if rank.is_some_and(|rank| rank >= least) {
                    assert_eq!(answer.status.as_u16(), success, "{place}: {}", answer.text);
                    continue;
                }
                assert_eq!(answer.status.as_u16(), 403, "{place}: {}", answer.text);
                let message = answer.fails(403, "FORBIDDEN")["message"].as_str().unwrap().to_owned();
                let tells = match (rank, least) {
                    (None, _) => "not a member",
                    (_, Least::Owner) => "owner",
                    (_, _) => "editor",
                };
                assert!(message.contains(tells), "{place}: {message}");
                assert_eq!(world.state().await, before, "{place} changed something");
            }
        }
    }

    async fn whoever_may_not_change_a_project_is_told_so_even_when_it_is_archived(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for (role, on_project, on_tasks) in [
            ("owner", "PROJECT_ARCHIVED", "PROJECT_ARCHIVED"),
            ("editor", "FORBIDDEN", "PROJECT_ARCHIVED"),
            ("viewer", "FORBIDDEN", "FORBIDDEN"),
            ("stranger", "FORBIDDEN", "FORBIDDEN"),
        ] {
            let world = World::new(&app, role).await;
            world.owner.patch(world.path("/v1/projects/{project}"), json!({"archived": true})).await.ok();
            let before = world.state().await;
            for (operation, method, template, body, least, _) in table() {
                let changes = json!({"name": "Another"}) == body || least == Least::Editor && body != json!({});
                if !changes {
                    continue;
                }
                let answer = send(&world.actor, &method, &world.path(template), &body).await;
                let error = if least == Least::Owner { on_project } else { on_tasks };
                assert_eq!(answer.body["error"], error, "{operation} by {role}");
            }
            assert_eq!(world.state().await, before, "{role}");
        }
    }

    async fn a_member_of_one_project_is_a_stranger_in_the_next(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let world = World::new(&app, "editor").await;
        let other = world.owner.project().await;
        let task = world.owner.task(&other, json!({"title": "x"})).await.id();
        world.actor.get(format!("/v1/projects/{other}")).await.fails(403, "FORBIDDEN");
        world.actor.patch(format!("/v1/tasks/{task}"), json!({"title": "y"})).await.fails(403, "FORBIDDEN");
        let list = world.actor.get("/v1/tasks").await.ok();
        assert_eq!(list.column("id"), [json!(world.task)]);
    }

    async fn what_an_editor_makes_is_by_the_editor(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let world = World::new(&app, "editor").await;
        let task = world.actor.task(&world.project, json!({"title": "x"})).await;
        assert_eq!(task["created_by"], world.actor.user_id());
        let changed = world.owner.patch(format!("/v1/tasks/{}", task.id()), json!({"title": "y"})).await.ok();
        assert_eq!(changed["created_by"], world.actor.user_id());
        let counts = &world.actor.get(format!("/v1/projects/{}", world.project)).await.ok()["task_counts"];
        assert_eq!(*counts, json!({"total": 2, "done": 0}));
    }
}
