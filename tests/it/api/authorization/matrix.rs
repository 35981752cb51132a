//! Who may call what: every operation of the published document, called by everybody, as `matrix.txt` has it.

use std::collections::BTreeSet;

use pocket_tasks::api::operations::{Access, OPERATIONS};
use pocket_tasks::contract::account::api_token::Scope;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::app_with_proofs;
use crate::api::fixtures::common::send;
use crate::api::fixtures::roles::{Who, World};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::document::operations;
use crate::support::{Answer, TestApp, TestDatabase};

/// What becomes of it when the project is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archived {
    Open,
    Closed,
    NoMatter,
}

/// A line of the matrix.
pub(crate) struct Row {
    operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
    cells: [&'static str; 7],
    archived: Archived,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let [request, cells, archived] = line.split(" | ").collect::<Vec<_>>().try_into().ok()?;
        let (operation, request) = request.trim().split_once(' ')?;
        let (method, address) = request.trim().split_once(' ')?;
        let (path, body) = address.split_once(' ').unwrap_or((address, ""));
        Some(Self {
            operation,
            method: method.parse().ok()?,
            path,
            body,
            cells: cells.split_whitespace().collect::<Vec<_>>().try_into().ok()?,
            archived: match archived {
                "open" => Archived::Open,
                "closed" => Archived::Closed,
                "-" => Archived::NoMatter,
                _ => return None,
            },
        })
    }

    /// What everybody gets.
    fn cells(&self, archived: bool) -> Vec<(Who, &'static str)> {
        let owners = if self.cells[6] == "session" { "session" } else { self.cells[0] };
        let cells = Who::COLUMNS.into_iter().zip(self.cells).chain([(Who::Scoped, owners)]);
        let is_closed = archived && self.archived == Archived::Closed;
        // Whoever may not do it anyhow is told that.
        let may = |cell: &str| succeeds(cell) || cell == "transfer";
        cells.map(|(who, cell)| (who, if is_closed && may(cell) { "archived" } else { cell })).collect()
    }

    /// Whether all that the matrix names is as it was after this success: at most there is more beside it.
    fn leaves_the_rest(&self, cell: &str) -> bool {
        let adds = matches!(cell, "201" | "202") || matches!(self.operation, "login" | "refreshSession");
        // What is only named otherwise can be named otherwise again.
        adds || self.body == "{}" || ["{fresh}", "create"].iter().any(|part| self.body.contains(part))
    }

    async fn send(&self, world: &World, who: Who) -> Answer {
        let client = world.client(who, self.method == Method::GET);
        let body = world.filled(self.body, who);
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() };
        send(client, &self.method, &world.filled(self.path, who), &body).await
    }

    /// Whether it is this address of the document.
    fn is_at(&self, method: &Method, path: &str) -> bool {
        let own: Vec<&str> = self.path.split('?').next().unwrap().split('/').collect();
        let parts: Vec<&str> = path.split('/').collect();
        let same = |(own, part): (&&str, &&str)| own == part || own.starts_with('{') && part.starts_with('{');
        self.method == *method && own.len() == parts.len() && own.iter().zip(&parts).all(same)
    }
}

pub(crate) fn matrix() -> Vec<Row> {
    let lines = include_str!("matrix.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Row::parse(line).unwrap_or_else(|| panic!("this is no line of the matrix: {line}"))).collect()
}

fn succeeds(cell: &str) -> bool {
    cell.starts_with('2')
}

/// What is wrong about an answer by what stands in the matrix.
fn wrong(who: Who, cell: &str, answer: &Answer) -> Option<String> {
    let (status, error) = match cell {
        "401" => (401, "UNAUTHENTICATED"),
        "scope" => (403, "INSUFFICIENT_SCOPE"),
        "archived" => (403, "PROJECT_ARCHIVED"),
        "transfer" => (409, "OWNER_REQUIRED"),
        "viewer" | "editor" | "owner" | "outside" | "author" | "source_owner" | "yours" | "session" => {
            (403, "FORBIDDEN")
        }
        success => return (answer.status.as_str() != success).then(|| told(answer)),
    };
    let is_refused = answer.status.as_u16() == status && answer.body["error"] == error;
    let is_explained = error != "FORBIDDEN" || answer.body["message"] == message(who, cell);
    (!is_refused || !is_explained).then(|| told(answer))
}

fn told(answer: &Answer) -> String {
    format!("{} {} {}", answer.status.as_str(), answer.body["error"], answer.body["message"])
}

/// The sentence that says what it takes.
fn message(who: Who, cell: &str) -> String {
    match (who.is_member(), cell) {
        (_, "yours") => "This belongs to another user.".to_owned(),
        (_, "author") => "Only the author of a comment can change it.".to_owned(),
        (_, "source_owner") => "The owner of the source project must be a member of the target project.".to_owned(),
        (_, "outside") => message(Who::Other, "editor"),
        (_, "session") => "API tokens cannot do this. Log in instead.".to_owned(),
        (true, "owner") => {
            let own = if who == Who::Editor { "an editor" } else { "a viewer" };
            format!("Only the owner of the project can do this. You are {own}.")
        }
        (true, _) => "This requires the role editor or owner in the project. You are a viewer.".to_owned(),
        (false, needed) => {
            let needed = match needed {
                "owner" => "Only its owner can do this.",
                "editor" => "This requires the role editor or owner.",
                _ => "This requires the role viewer, editor or owner.",
            };
            format!("You are not a member of this project. {needed}")
        }
    }
}

/// Fills every cell. Those who are refused share a world; who changes it leaves none to the next.
async fn call_everything(database: &TestDatabase, archived: bool) {
    let app = app_with_proofs(database).await;
    let mut world = None;
    let mut failures = Vec::new();
    for row in matrix().into_iter().filter(|row| !archived || row.archived != Archived::NoMatter) {
        let place = format!("{} {} {}", row.operation, row.path, row.body);
        let (allowed, refused): (Vec<_>, Vec<_>) =
            row.cells(archived).into_iter().partition(|(_, cell)| succeeds(cell));
        let changes = row.method != Method::GET;
        let here = ensure(&app, &mut world, archived).await;
        let before = if changes { here.state().await } else { Vec::new() };
        for (who, cell) in refused {
            let wrong = wrong(who, cell, &row.send(here, who).await);
            failures.extend(wrong.map(|wrong| format!("{place} by {who:?}, expected {cell}: {wrong}")));
        }
        if changes && here.state().await != before {
            failures.push(format!("{place} changed something for who is refused"));
            world = None;
        }
        for (who, cell) in allowed {
            let here = ensure(&app, &mut world, archived).await;
            let wrong = wrong(who, cell, &row.send(here, who).await);
            failures.extend(wrong.map(|wrong| format!("{place} by {who:?}, expected {cell}: {wrong}")));
            if changes && !row.leaves_the_rest(cell) {
                world = None;
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

async fn ensure<'w>(app: &TestApp, world: &'w mut Option<World>, archived: bool) -> &'w World {
    if world.is_none() {
        *world = Some(World::new(app, archived).await);
    }
    world.as_ref().unwrap()
}

#[test]
fn every_operation_is_in_the_matrix() {
    let documented: BTreeSet<String> = operations().map(|(id, ..)| id).collect();
    let tested: BTreeSet<String> = matrix().into_iter().map(|row| row.operation.to_owned()).collect();
    let missing: Vec<_> = documented.difference(&tested).collect();
    let unknown: Vec<_> = tested.difference(&documented).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in the matrix: {missing:?}; only there: {unknown:?}");
    for row in matrix() {
        let (_, method, path, _) = operations().find(|(id, ..)| id == row.operation).unwrap();
        assert!(row.is_at(&method, &path), "{} is {method} {path}, and not {}", row.operation, row.path);
    }
}

#[test]
fn the_matrix_agrees_with_the_table_of_operations() {
    let documented: BTreeSet<String> = operations().map(|(id, ..)| id).collect();
    let policies: BTreeSet<String> = OPERATIONS.iter().map(|policy| policy.id.to_owned()).collect();
    assert_eq!((policies.len(), &policies), (OPERATIONS.len(), &documented));
    for row in matrix() {
        let access = OPERATIONS.iter().find(|policy| policy.id == row.operation).unwrap().access;
        let expected = match access {
            Access::Probe | Access::Public => [row.cells[0]; 2],
            Access::Session => ["401", "session"],
            Access::Token(_) => ["401", "scope"],
        };
        assert_eq!(row.cells[5..], expected, "{}", row.operation);
        let scope = if row.method == Method::GET { Scope::Read } else { Scope::Write };
        assert!(!matches!(access, Access::Token(other) if other != scope), "{}", row.operation);
    }
}

on_both_databases! {
    async fn everybody_may_do_what_their_role_allows_and_nothing_else(database: TestDatabase) {
        call_everything(&database, false).await;
    }

    async fn an_archived_project_is_only_read_unarchived_deleted_and_left(database: TestDatabase) {
        call_everything(&database, true).await;
    }

    async fn a_member_of_one_project_is_a_stranger_in_the_next(database: TestDatabase) {
        let world = World::new(&app_with_proofs(&database).await, false).await;
        let (owner, editor) = (world.client(Who::Owner, true), world.client(Who::Editor, true));
        let next = owner.project().await;
        let task = owner.task(&next, json!({"title": "x"})).await.id();
        editor.get(format!("/v1/projects/{next}")).await.fails(403, "FORBIDDEN");
        editor.patch(format!("/v1/tasks/{task}"), json!({"title": "y"})).await.fails(403, "FORBIDDEN");
        for version in ["v1", "v2"] {
            let seen = editor.get(format!("/{version}/tasks?sort=created_at&dir=asc")).await.ok().column("id");
            let own = ["{task}", "{neighbour}", "{away}", "{shared_task}"].map(|name| json!(world.filled(name, Who::Editor)));
            assert_eq!(seen, own);
        }
    }

    async fn what_an_editor_makes_is_by_the_editor(database: TestDatabase) {
        let world = World::new(&app_with_proofs(&database).await, false).await;
        let (owner, editor) = (world.client(Who::Owner, true), world.client(Who::Editor, true));
        let project = world.filled("{project}", Who::Editor);
        let task = editor.task(&project, json!({"title": "x"})).await;
        assert_eq!(task["created_by"], editor.user_id());
        let changed = owner.patch(format!("/v1/tasks/{}", task.id()), json!({"title": "y"})).await.ok();
        assert_eq!(changed["created_by"], editor.user_id());
        let counts = &editor.get(format!("/v1/projects/{project}")).await.ok()["task_counts"];
        assert_eq!(*counts, json!({"total": 3, "done": 0}));
    }
}
