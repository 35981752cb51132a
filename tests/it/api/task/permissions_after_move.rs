//! Permissions after moving a task to another project: its owner keeps access, and its comments keep their authors.

use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::{Store as _, Transaction};
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::comment::concurrency::until_one_request_waits;
use crate::api::comment::crud::{at, comment, comments_on};
use crate::api::fixtures::common::{UNKNOWN_ID, log_in_again};
use crate::api::fixtures::events::{events_after, last_sequence};
use crate::api::fixtures::members::{ROUNDS, both, member_path, outcome, request, through, two_processes};
use crate::api::fixtures::positions::{move_task, visible_state};
use crate::api::fixtures::stored_members::{add_member, member, remove_member};
use crate::api::fixtures::writes::{KEY, assert_first, assert_replay, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

const NOT_IN_TARGET: &str = "The owner of the source project must be a member of the target project.";
const NOT_THE_AUTHOR: &str = "Only the author of a comment can change it.";
const DONE: (u16, &str) = (204, "");
const FORBIDDEN: (u16, &str) = (403, "FORBIDDEN");
const OK: (u16, &str) = (200, "");

/// Project with an owner, a task, and an editor who owns the target project.
struct Fixture {
    owner: Client,
    editor: Client,
    source: String,
    target: String,
    task: Value,
}

impl Fixture {
    async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let source = owner.project().await;
        let editor = member(app, &source, "editor").await;
        let target = editor.project().await;
        let task = owner.task(&source, json!({"title": "A task"})).await;
        Self { owner, editor, source, target, task }
    }

    async fn with_owner_in_target(app: &TestApp, role: &str) -> Self {
        let fixture = Self::new(app).await;
        add_member(app, &fixture.target, &fixture.owner, role).await;
        fixture
    }

    async fn move_to(&self, client: &Client, project: &str) -> Answer {
        move_task(client, &self.task, &json!({"project_id": project})).await
    }

    fn path(&self) -> String {
        format!("/v1/tasks/{}", self.task.id())
    }
}

fn refused(answer: Answer, message: &str) {
    assert_eq!(answer.fails(403, "FORBIDDEN")["message"], message);
}

/// Sends a move while the transaction holds one of the projects, commits the transaction, and returns the response.
async fn move_while_locked(database: &TestDatabase, fixture: &Fixture, lock: Box<dyn Transaction>) -> Answer {
    let body = json!({"project_id": fixture.target});
    let path = format!("{}/move", fixture.path());
    let moving = tokio::spawn(request(&fixture.editor, Method::POST, path, body));
    until_one_request_waits(database).await;
    lock.commit().await.unwrap();
    moving.await.unwrap()
}

/// Index of the first event of a type in a project.
fn index_of(events: &[Value], kind: &str, project: &str) -> usize {
    events.iter().position(|event| event["type"] == kind && event["project_id"] == project).unwrap()
}

on_both_databases! {
    async fn an_editor_cannot_take_a_task_out_of_its_owners_sight(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let said = comment(&fixture.owner, &fixture.task.id(), "Keep this here").await;
        let neighbour = fixture.editor.task(&fixture.target, json!({"title": "x"})).await;
        let (before, sequence) = (visible_state(&fixture.owner).await, last_sequence(&app).await);
        for to in [
            json!({"project_id": fixture.target}),
            json!({"project_id": fixture.target, "after_id": neighbour["id"]}),
            // The rule precedes the check of the neighbour.
            json!({"project_id": fixture.target, "before_id": UNKNOWN_ID}),
        ] {
            refused(move_task(&fixture.editor, &fixture.task, &to).await, NOT_IN_TARGET);
        }
        assert_eq!(visible_state(&fixture.owner).await, before);
        assert_eq!(fixture.owner.get(at(&said)).await.ok(), said);
        assert_eq!(events_after(&app, sequence).await, [Value::Null; 0]);
        // Within the project the editor still moves the task.
        let first = fixture.owner.task(&fixture.source, json!({"title": "x"})).await;
        move_task(&fixture.editor, &fixture.task, &json!({"after_id": first["id"]})).await.ok();
    }

    async fn an_editor_cannot_change_the_owners_comment_in_a_project_of_their_own(app: TestApp) {
        let fixture = Fixture::with_owner_in_target(&app, "viewer").await;
        let said = comment(&fixture.owner, &fixture.task.id(), "I did not agree to this").await;
        fixture.move_to(&fixture.editor, &fixture.target).await.ok();
        for body in [json!({"body": "I agree"}), json!({})] {
            refused(fixture.editor.patch(at(&said), body).await, NOT_THE_AUTHOR);
        }
        let own = fixture.editor.get(format!("/v1/projects/{}", fixture.target)).await.ok();
        assert_eq!(own["role"], "owner");
        fixture.move_to(&fixture.editor, &fixture.source).await.ok();
        assert_eq!(fixture.owner.get(at(&said)).await.ok(), said);
        fixture.owner.patch(at(&said), json!({"body": "Still mine"})).await.ok();
    }

    async fn any_role_of_the_source_owner_in_the_target_allows_a_move(app: TestApp) {
        for role in ["viewer", "editor"] {
            let fixture = Fixture::with_owner_in_target(&app, role).await;
            let moved = fixture.move_to(&fixture.editor, &fixture.target).await.ok();
            assert_eq!(moved["project_id"], fixture.target);
            assert_eq!(fixture.owner.get(fixture.path()).await.ok(), moved, "the owner still sees the task");
        }
    }

    async fn an_owner_moves_a_task_to_any_project_that_takes_it(app: TestApp) {
        let owner = app.user().await;
        let host = app.user().await;
        let (source, target) = (owner.project().await, host.project().await);
        add_member(&app, &target, &owner, "editor").await;
        let task = owner.task(&source, json!({"title": "x"})).await;
        let moved = move_task(&owner, &task, &json!({"project_id": target})).await.ok();
        assert_eq!(host.get(format!("/v1/tasks/{}", task.id())).await.ok(), moved);
        // In the target the owner is an editor, whose owner would lose sight of the task.
        refused(move_task(&owner, &task, &json!({"project_id": source})).await, NOT_IN_TARGET);
        move_task(&host, &task, &json!({"project_id": source})).await.fails(403, "FORBIDDEN");
        add_member(&app, &source, &host, "viewer").await;
        move_task(&owner, &task, &json!({"project_id": source})).await.ok();
    }

    async fn a_move_is_authorized_by_the_current_owner_only(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let heir = member(&app, &fixture.source, "editor").await;
        add_member(&app, &fixture.target, &heir, "viewer").await;
        refused(fixture.move_to(&fixture.editor, &fixture.target).await, NOT_IN_TARGET);
        fixture.owner.patch(member_path(&fixture.source, &heir), json!({"role": "owner"})).await.ok();
        fixture.move_to(&fixture.editor, &fixture.target).await.ok();
    }

    async fn a_stale_version_is_reported_only_to_a_caller_who_may_move(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let stale = fixture.editor.get(fixture.path()).await.header("etag").to_owned();
        fixture.owner.patch(fixture.path(), json!({"title": "Changed"})).await.ok();
        let request = || {
            let call = fixture.editor.call(Method::POST, format!("{}/move", fixture.path()));
            call.header("if-match", &stale).json(&json!({"project_id": fixture.target})).send()
        };
        refused(request().await, NOT_IN_TARGET);
        add_member(&app, &fixture.target, &fixture.owner, "viewer").await;
        request().await.fails(412, "PRECONDITION_FAILED");
    }

    async fn an_archived_project_is_reported_only_to_a_caller_who_may_move(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let archived = async |owner: &Client, project: &str, archived: bool| {
            owner.patch(format!("/v1/projects/{project}"), json!({"archived": archived})).await.ok();
        };
        for (owner, project) in [(&fixture.owner, &fixture.source), (&fixture.editor, &fixture.target)] {
            archived(owner, project, true).await;
            refused(fixture.move_to(&fixture.editor, &fixture.target).await, NOT_IN_TARGET);
            add_member(&app, &fixture.target, &fixture.owner, "viewer").await;
            fixture.move_to(&fixture.editor, &fixture.target).await.fails(403, "PROJECT_ARCHIVED");
            remove_member(&app, &fixture.target, &fixture.owner).await;
            archived(owner, project, false).await;
        }
    }

    async fn a_rejected_move_does_not_use_its_idempotency_key(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let key = new_key();
        let request = || {
            let call = fixture.editor.call(Method::POST, format!("{}/move", fixture.path())).header(KEY, &key);
            call.json(&json!({"project_id": fixture.target})).send()
        };
        refused(request().await, NOT_IN_TARGET);
        add_member(&app, &fixture.target, &fixture.owner, "viewer").await;
        let first = request().await;
        assert_first(&first, "moveTask");
        assert_replay(&first, &request().await, "moveTask");
    }

    async fn the_replay_of_a_comment_deletion_follows_the_tasks_current_project(app: TestApp) {
        let fixture = Fixture::with_owner_in_target(&app, "editor").await;
        let said = comment(&fixture.editor, &fixture.task.id(), "Delete me").await;
        let key = new_key();
        let request = || fixture.owner.call(Method::DELETE, at(&said)).header(KEY, &key).send();
        let first = request().await;
        assert_first(&first, "deleteComment");
        // The owner of the source is an editor in the target and could not have deleted the comment there.
        fixture.move_to(&fixture.owner, &fixture.target).await.ok();
        request().await.fails(403, "FORBIDDEN");
        fixture.move_to(&fixture.owner, &fixture.source).await.ok();
        assert_replay(&first, &request().await, "deleteComment");
    }

    async fn permissions_on_comments_follow_the_tasks_current_project(app: TestApp) {
        let fixture = Fixture::with_owner_in_target(&app, "viewer").await;
        let bystander = member(&app, &fixture.source, "editor").await;
        let said = comment(&bystander, &fixture.task.id(), "Mine").await;
        let moved = fixture.move_to(&fixture.editor, &fixture.target).await.ok();
        let sequence = last_sequence(&app).await;
        bystander.delete(at(&said)).await.fails(403, "FORBIDDEN");
        fixture.owner.delete(at(&said)).await.fails(403, "FORBIDDEN");
        fixture.editor.delete(at(&said)).await.no_content();
        // Members of the source project see neither the comment nor later changes of the task.
        fixture.editor.post(comments_on(&fixture.task.id()), json!({"body": "x"})).await.created();
        fixture.editor.patch(fixture.path(), json!({"title": "y"})).await.ok();
        let events = events_after(&app, sequence).await;
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event["project_id"] == moved["project_id"]), "{events:?}");
    }

    async fn only_a_move_changes_the_project_of_a_task(app: TestApp) {
        let fixture = Fixture::with_owner_in_target(&app, "editor").await;
        let body = json!({"project_id": fixture.target});
        fixture.editor.patch(fixture.path(), body).await.invalid(&["project_id:unknown_field"]);
        let operation = json!({"op": "update", "task_id": fixture.task["id"], "project_id": fixture.target});
        let batch = format!("/v1/projects/{}/tasks/batch", fixture.source);
        let answer = fixture.editor.post(batch, json!({"operations": [operation]})).await;
        answer.invalid(&["operations[0].project_id:unknown_field"]);
        // The target's batch cannot change a task of the source either.
        let operation = json!({"op": "update", "task_id": fixture.task["id"], "title": "x"});
        let batch = format!("/v1/projects/{}/tasks/batch", fixture.target);
        let answer = fixture.editor.post(batch, json!({"operations": [operation]})).await;
        answer.invalid(&["operations[0].task_id:reference"]);
        assert_eq!(fixture.owner.get(fixture.path()).await.ok(), fixture.task);
    }

    async fn a_task_is_restored_only_where_it_was_deleted(app: TestApp) {
        let fixture = Fixture::with_owner_in_target(&app, "viewer").await;
        fixture.editor.delete(fixture.path()).await.no_content();
        fixture.move_to(&fixture.editor, &fixture.target).await.fails(404, "NOT_FOUND");
        let restored = fixture.owner.post_empty(format!("{}/restore", fixture.path())).await.ok();
        assert_eq!(restored["project_id"], fixture.source);
        // In the target the editor role is required.
        fixture.move_to(&fixture.editor, &fixture.target).await.ok();
        fixture.editor.delete(fixture.path()).await.no_content();
        fixture.owner.post_empty(format!("{}/restore", fixture.path())).await.fails(403, "FORBIDDEN");
        fixture.editor.post_empty(format!("{}/restore", fixture.path())).await.ok();
    }

    async fn a_membership_survives_deletion_of_the_owners_account(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (kept, lost) =
            (Fixture::with_owner_in_target(&app, "viewer").await, Fixture::with_owner_in_target(&app, "viewer").await);
        for fixture in [&kept, &lost] {
            fixture.owner.delete("/v1/me").await.no_content();
            // The account deleted its project too.
            fixture.move_to(&fixture.editor, &fixture.target).await.fails(404, "NOT_FOUND");
        }
        // A deleted member can be removed, and is missing after the account and its project are restored.
        lost.editor.delete(member_path(&lost.target, &lost.owner)).await.no_content();
        for fixture in [&kept, &lost] {
            log_in_again(&app, &fixture.owner).await;
        }
        kept.move_to(&kept.editor, &kept.target).await.ok();
        refused(lost.move_to(&lost.editor, &lost.target).await, NOT_IN_TARGET);
    }

    async fn a_waiting_move_sees_that_the_owner_left_the_target(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let fixture = Fixture::with_owner_in_target(&app, "editor").await;
        let (target, owner) =
            (ProjectId::parse(&fixture.target).unwrap(), UserId::parse(fixture.owner.user_id()).unwrap());
        let lock = others.begin().await.unwrap();
        lock.projects().lock(target, owner).await.unwrap();
        lock.members().remove(target, owner).await.unwrap();
        refused(move_while_locked(&database, &fixture, lock).await, NOT_IN_TARGET);
        assert_eq!(fixture.owner.get(fixture.path()).await.ok(), fixture.task);
    }

    async fn a_waiting_move_sees_the_new_owner_of_the_source(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let fixture = Fixture::new(&app).await;
        let owner = &fixture.owner;
        owner.patch(member_path(&fixture.source, &fixture.editor), json!({"role": "owner"})).await.ok();
        let (source, heir) = (ProjectId::parse(&fixture.source).unwrap(), UserId::parse(owner.user_id()).unwrap());
        let editor = UserId::parse(fixture.editor.user_id()).unwrap();
        // The editor owns the source now, and transfers it back while the move waits.
        let lock = others.begin().await.unwrap();
        let locked = lock.projects().lock(source, editor).await.unwrap().unwrap();
        lock.members().set_role(source, editor, Role::Editor).await.unwrap();
        lock.members().set_role(source, heir, Role::Owner).await.unwrap();
        lock.projects().update(&Project { owner_id: heir, ..locked.project }).await.unwrap();
        refused(move_while_locked(&database, &fixture, lock).await, NOT_IN_TARGET);
        assert_eq!(owner.get(fixture.path()).await.ok(), fixture.task);
    }

    async fn a_move_succeeds_only_before_the_owner_leaves_the_target(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS {
            let fixture = Fixture::with_owner_in_target(&one, "editor").await;
            let sequence = last_sequence(&one).await;
            let by = if round % 2 == 0 { &fixture.owner } else { &fixture.editor };
            let leaving = request(&through(&other, by), Method::DELETE, member_path(&fixture.target, &fixture.owner), Value::Null);
            let path = format!("{}/move", fixture.path());
            let moving = request(&fixture.editor, Method::POST, path, json!({"project_id": fixture.target}));
            let (moved, left) = both(moving, leaving).await;
            assert_eq!(outcome(&left), DONE);
            match outcome(&moved) {
                OK => {
                    let events = events_after(&one, sequence).await;
                    let removed = index_of(&events, "member.removed", &fixture.target);
                    assert!(index_of(&events, "task.moved", &fixture.target) < removed, "{events:?}");
                }
                FORBIDDEN => drop(fixture.owner.get(fixture.path()).await.ok()),
                end => panic!("{end:?}"),
            }
        }
    }

    async fn a_move_by_the_owner_succeeds_only_before_the_transfer(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for _ in 0..ROUNDS {
            let fixture = Fixture::new(&one).await;
            fixture.owner.patch(member_path(&fixture.source, &fixture.editor), json!({"role": "owner"})).await.ok();
            let sequence = last_sequence(&one).await;
            let transfer = request(
                &through(&other, &fixture.editor),
                Method::PATCH,
                member_path(&fixture.source, &fixture.owner),
                json!({"role": "owner"}),
            );
            let path = format!("{}/move", fixture.path());
            let moving = request(&fixture.editor, Method::POST, path, json!({"project_id": fixture.target}));
            let (moved, transferred) = both(moving, transfer).await;
            assert_eq!(outcome(&transferred), OK);
            match outcome(&moved) {
                OK => {
                    let events = events_after(&one, sequence).await;
                    let transferred = index_of(&events, "project.updated", &fixture.source);
                    assert!(index_of(&events, "task.moved", &fixture.source) < transferred, "{events:?}");
                }
                FORBIDDEN => drop(fixture.owner.get(fixture.path()).await.ok()),
                end => panic!("{end:?}"),
            }
        }
    }
}
