//! Authorization matrix: every operation, called by every kind of caller, with the outcome listed in `matrix.txt`.

use std::collections::BTreeSet;

use pocket_tasks::api::operations::{Access, OPERATIONS};
use pocket_tasks::contract::account::api_token::Scope;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::app_requiring_verification;
use crate::api::fixtures::roles::{Actor, RoleFixture, RoleFixtures};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::operations;
use crate::support::{Answer, TestDatabase};

/// Effect of archiving the project on an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archived {
    Open,
    Closed,
    NoMatter,
}

/// Row of the matrix.
pub(crate) struct Row {
    pub(crate) operation: &'static str,
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

    /// Expected outcome for each caller.
    fn cells(&self, archived: bool) -> Vec<(Actor, &'static str)> {
        let owners = if matches!(self.cells[6], "session" | "scopes") { self.cells[6] } else { self.cells[0] };
        let cells = Actor::COLUMNS.into_iter().zip(self.cells).chain([(Actor::Scoped, owners)]);
        let is_closed = archived && self.archived == Archived::Closed;
        // A caller without permission gets the same error as before.
        let may = |cell: &str| succeeds(cell) || cell == "transfer";
        cells.map(|(who, cell)| (who, if is_closed && may(cell) { "archived" } else { cell })).collect()
    }

    /// Returns whether the success with this status left everything that the matrix names unchanged, apart from additions.
    fn leaves_the_rest(&self, cell: &str) -> bool {
        let adds = matches!(cell, "201" | "202") || matches!(self.operation, "login" | "refreshSession");
        // A request with a fresh name can be repeated.
        adds || self.body == "{}" || ["{fresh}", "create"].iter().any(|part| self.body.contains(part))
    }

    /// Expected outcome for a caller.
    pub(crate) fn cell(&self, who: Actor) -> &'static str {
        let cells = self.cells(false);
        cells.into_iter().find_map(|(other, cell)| (other == who).then_some(cell)).unwrap()
    }

    /// Body of the request, or null if it has none.
    pub(crate) fn body(&self, fixture: &RoleFixture, who: Actor) -> Value {
        let body = fixture.filled(self.body, who);
        if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() }
    }

    /// Prepares the request.
    pub(crate) fn call(&self, fixture: &RoleFixture, who: Actor) -> Call {
        self.call_at(fixture, who, self.path)
    }

    /// Prepares the request with another path.
    pub(crate) fn call_at(&self, fixture: &RoleFixture, who: Actor, path: &str) -> Call {
        let client = fixture.client(who, self.method == Method::GET);
        let (call, body) = (client.call(self.method.clone(), fixture.filled(path, who)), self.body(fixture, who));
        if body.is_null() { call } else { call.json(&body) }
    }

    /// Returns whether the row is for this operation of the document.
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
    lines.map(|line| Row::parse(line).unwrap_or_else(|| panic!("invalid line of the matrix: {line}"))).collect()
}

pub(crate) fn succeeds(cell: &str) -> bool {
    cell.starts_with('2')
}

/// Describes the difference between a response and the expected outcome.
fn wrong(who: Actor, cell: &str, answer: &Answer) -> Option<String> {
    let (status, error) = match cell {
        "401" => (401, "UNAUTHENTICATED"),
        "scope" | "scopes" => (403, "INSUFFICIENT_SCOPE"),
        "archived" => (403, "PROJECT_ARCHIVED"),
        "transfer" => (409, "OWNER_REQUIRED"),
        "viewer" | "editor" | "owner" | "outside" | "author" | "source_owner" | "yours" | "session" => {
            (403, "FORBIDDEN")
        }
        success => return (answer.status.as_str() != success).then(|| summary(answer)),
    };
    let is_refused = answer.status.as_u16() == status && answer.body["error"] == error;
    let is_explained = error != "FORBIDDEN" || answer.body["message"] == message(who, cell);
    (!is_refused || !is_explained).then(|| summary(answer))
}

fn summary(answer: &Answer) -> String {
    format!("{} {} {}", answer.status.as_str(), answer.body["error"], answer.body["message"])
}

/// Expected message of a 403 response.
fn message(who: Actor, cell: &str) -> String {
    match (who.is_member(), cell) {
        (_, "yours") => "This belongs to another user.".to_owned(),
        (_, "author") => "Only the author of a comment can change it.".to_owned(),
        (_, "source_owner") => "The owner of the source project must be a member of the target project.".to_owned(),
        (_, "outside") => message(Actor::Other, "editor"),
        (_, "session") => "API tokens cannot do this. Log in instead.".to_owned(),
        (true, "owner") => {
            let own = if who == Actor::Editor { "an editor" } else { "a viewer" };
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

/// Checks every cell. Rejected requests share a fixture; a request that changes it discards it.
async fn call_everything(database: &TestDatabase, archived: bool) {
    let mut fixtures = RoleFixtures::new(database, archived).await;
    let mut here = fixtures.fresh().await;
    let mut before = here.state().await;
    let mut failures = Vec::new();
    for row in matrix().into_iter().filter(|row| !archived || row.archived != Archived::NoMatter) {
        let context = format!("{} {} {}", row.operation, row.path, row.body);
        let (allowed, refused): (Vec<_>, Vec<_>) =
            row.cells(archived).into_iter().partition(|(_, cell)| succeeds(cell));
        let changes = row.method != Method::GET;
        for (who, cell) in refused {
            let wrong = wrong(who, cell, &row.call(&here, who).send().await);
            failures.extend(wrong.map(|wrong| format!("{context} by {who:?}, expected {cell}: {wrong}")));
        }
        if changes && here.state().await != before {
            failures.push(format!("{context} changed something although it was rejected"));
        }
        for (who, cell) in &allowed {
            let wrong = wrong(*who, cell, &row.call(&here, *who).send().await);
            failures.extend(wrong.map(|wrong| format!("{context} by {who:?}, expected {cell}: {wrong}")));
            if changes && !row.leaves_the_rest(cell) {
                here = fixtures.fresh().await;
            }
        }
        if changes && !allowed.is_empty() {
            before = here.state().await;
        }
    }
    fixtures.remove().await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_operation_is_in_the_matrix() {
    let documented: BTreeSet<String> = operations().map(|(id, ..)| id).collect();
    let tested: BTreeSet<String> = matrix().into_iter().map(|row| row.operation.to_owned()).collect();
    let missing: Vec<_> = documented.difference(&tested).collect();
    let unknown: Vec<_> = tested.difference(&documented).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing from the matrix: {missing:?}; unknown operations: {unknown:?}"
    );
    for row in matrix() {
        let (_, method, path, _) = operations().find(|(id, ..)| id == row.operation).unwrap();
        assert!(row.is_at(&method, &path), "{} is {method} {path}, and not {}", row.operation, row.path);
    }
}

/// Returns the highest role that any row of an operation requires, as in the table of operations.
fn required_role(operation: &str) -> &'static str {
    let rows: Vec<Row> = matrix().into_iter().filter(|row| row.operation == operation).collect();
    let requires = |role: &str| rows.iter().any(|row| row.cells[..5].contains(&role));
    ["owner", "editor", "viewer"].into_iter().find(|role| requires(role)).unwrap_or_default()
}

#[test]
fn the_published_role_is_that_of_the_matrix() {
    for policy in OPERATIONS {
        let published = policy.role.split('`').nth(1).unwrap_or_default();
        assert_eq!(published, required_role(policy.id), "{}", policy.id);
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
            Access::OptionalSession => [row.cells[0], "session"],
            Access::Session => ["401", "session"],
            Access::Token(_) => ["401", "scope"],
            Access::BothScopes => ["401", "scopes"],
        };
        assert_eq!(row.cells[5..], expected, "{}", row.operation);
        let scope = if row.method == Method::GET { Scope::Read } else { Scope::Write };
        assert!(!matches!(access, Access::Token(other) if other != scope), "{}", row.operation);
    }
}

on_both_databases! {
    async fn every_role_is_limited_to_its_operations(database: TestDatabase) {
        Box::pin(call_everything(&database, false)).await;
    }

    async fn an_archived_project_can_only_be_read_unarchived_deleted_and_left(database: TestDatabase) {
        Box::pin(call_everything(&database, true)).await;
    }

    async fn membership_in_one_project_grants_nothing_in_another(database: TestDatabase) {
        let fixture = RoleFixture::new(&app_requiring_verification(&database).await, false).await;
        let (owner, editor) = (fixture.client(Actor::Owner, true), fixture.client(Actor::Editor, true));
        let next = owner.project().await;
        let task = owner.task(&next, json!({"title": "x"})).await.id();
        editor.get(format!("/v1/projects/{next}")).await.fails(403, "FORBIDDEN");
        editor.patch(format!("/v1/tasks/{task}"), json!({"title": "y"})).await.fails(403, "FORBIDDEN");
        for version in ["v1", "v2"] {
            let seen = editor.get(format!("/{version}/tasks?sort=created_at&dir=asc")).await.ok().column("id");
            let own = ["{task}", "{neighbour}", "{away}", "{shared_task}"].map(|name| json!(fixture.filled(name, Actor::Editor)));
            assert_eq!(seen, own);
        }
    }

    async fn a_task_created_by_an_editor_is_attributed_to_the_editor(database: TestDatabase) {
        let fixture = RoleFixture::new(&app_requiring_verification(&database).await, false).await;
        let (owner, editor) = (fixture.client(Actor::Owner, true), fixture.client(Actor::Editor, true));
        let project = fixture.filled("{project}", Actor::Editor);
        let task = editor.task(&project, json!({"title": "x"})).await;
        assert_eq!(task["created_by"], editor.user_id());
        let changed = owner.patch(format!("/v1/tasks/{}", task.id()), json!({"title": "y"})).await.ok();
        assert_eq!(changed["created_by"], editor.user_id());
        let counts = &editor.get(format!("/v1/projects/{project}")).await.ok()["task_counts"];
        assert_eq!(*counts, json!({"total": 3, "done": 0}));
    }
}
