//! Moving a task to another project grants no rights over it: its owner keeps sight of it, and its comments keep their
//! authors.

use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::{Store as _, Transaction};
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::comment::concurrency::until_one_waits;
use crate::api::comment::crud::{at, comment, comments_on};
use crate::api::fixtures::common::{NOBODY, log_in_again};
use crate::api::fixtures::events::{beyond, end};
use crate::api::fixtures::members::{ROUNDS, at as through, both, membership, outcome, request, two_processes};
use crate::api::fixtures::positions::{everything, relocate};
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

/// A project with a task, its owner, and an editor who owns the target project.
struct World {
    owner: Client,
    editor: Client,
    source: String,
    target: String,
    task: Value,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let source = owner.project().await;
        let editor = member(app, &source, "editor").await;
        let target = editor.project().await;
        let task = owner.task(&source, json!({"title": "A task"})).await;
        Self { owner, editor, source, target, task }
    }

    async fn with_owner_in_target(app: &TestApp, role: &str) -> Self {
        let world = Self::new(app).await;
        add_member(app, &world.target, &world.owner, role).await;
        world
    }

    async fn move_to(&self, client: &Client, project: &str) -> Answer {
        relocate(client, &self.task, &json!({"project_id": project})).await
    }

    fn path(&self) -> String {
        format!("/v1/tasks/{}", self.task.id())
    }
}

fn refused(answer: Answer, message: &str) {
    assert_eq!(answer.fails(403, "FORBIDDEN")["message"], message);
}

/// Sends a move while the transaction holds one of the projects, commits the transaction, and returns the answer.
async fn move_while_locked(database: &TestDatabase, world: &World, lock: Box<dyn Transaction>) -> Answer {
    let body = json!({"project_id": world.target});
    let path = format!("{}/move", world.path());
    let moving = tokio::spawn(request(&world.editor, Method::POST, path, body));
    until_one_waits(database).await;
    lock.commit().await.unwrap();
    moving.await.unwrap()
}

/// The place of the first event of a type in a project, in the order of the feed.
fn place_of(events: &[Value], kind: &str, project: &str) -> usize {
    events.iter().position(|event| event["type"] == kind && event["project_id"] == project).unwrap()
}

on_both_databases! {
    async fn an_editor_cannot_take_a_task_out_of_its_owners_sight(app: TestApp) {
        let world = World::new(&app).await;
        let said = comment(&world.owner, &world.task.id(), "Keep this here").await;
        let neighbour = world.editor.task(&world.target, json!({"title": "x"})).await;
        let (before, place) = (everything(&world.owner).await, end(&app).await);
        for to in [
            json!({"project_id": world.target}),
            json!({"project_id": world.target, "after_id": neighbour["id"]}),
            // The rule precedes the check of the neighbour.
            json!({"project_id": world.target, "before_id": NOBODY}),
        ] {
            refused(relocate(&world.editor, &world.task, &to).await, NOT_IN_TARGET);
        }
        assert_eq!(everything(&world.owner).await, before);
        assert_eq!(world.owner.get(at(&said)).await.ok(), said);
        assert_eq!(beyond(&app, place).await, [Value::Null; 0]);
        // Within the project the editor still moves the task.
        let first = world.owner.task(&world.source, json!({"title": "x"})).await;
        relocate(&world.editor, &world.task, &json!({"after_id": first["id"]})).await.ok();
    }

    async fn an_editor_cannot_change_the_owners_comment_in_a_project_of_their_own(app: TestApp) {
        let world = World::with_owner_in_target(&app, "viewer").await;
        let said = comment(&world.owner, &world.task.id(), "I did not agree to this").await;
        world.move_to(&world.editor, &world.target).await.ok();
        for body in [json!({"body": "I agree"}), json!({})] {
            refused(world.editor.patch(at(&said), body).await, NOT_THE_AUTHOR);
        }
        let own = world.editor.get(format!("/v1/projects/{}", world.target)).await.ok();
        assert_eq!(own["role"], "owner");
        world.move_to(&world.editor, &world.source).await.ok();
        assert_eq!(world.owner.get(at(&said)).await.ok(), said);
        world.owner.patch(at(&said), json!({"body": "Still mine"})).await.ok();
    }

    async fn any_role_of_the_source_owner_in_the_target_allows_a_move(app: TestApp) {
        for role in ["viewer", "editor"] {
            let world = World::with_owner_in_target(&app, role).await;
            let moved = world.move_to(&world.editor, &world.target).await.ok();
            assert_eq!(moved["project_id"], world.target);
            assert_eq!(world.owner.get(world.path()).await.ok(), moved, "the owner still sees the task");
        }
    }

    async fn an_owner_moves_a_task_to_any_project_that_takes_it(app: TestApp) {
        let owner = app.user().await;
        let host = app.user().await;
        let (source, target) = (owner.project().await, host.project().await);
        add_member(&app, &target, &owner, "editor").await;
        let task = owner.task(&source, json!({"title": "x"})).await;
        let moved = relocate(&owner, &task, &json!({"project_id": target})).await.ok();
        assert_eq!(host.get(format!("/v1/tasks/{}", task.id())).await.ok(), moved);
        // There the owner is an editor, whose host would lose sight of the task.
        refused(relocate(&owner, &task, &json!({"project_id": source})).await, NOT_IN_TARGET);
        relocate(&host, &task, &json!({"project_id": source})).await.fails(403, "FORBIDDEN");
        add_member(&app, &source, &host, "viewer").await;
        relocate(&owner, &task, &json!({"project_id": source})).await.ok();
    }

    async fn a_new_owner_and_not_the_former_one_counts_for_a_move(app: TestApp) {
        let world = World::new(&app).await;
        let heir = member(&app, &world.source, "editor").await;
        add_member(&app, &world.target, &heir, "viewer").await;
        refused(world.move_to(&world.editor, &world.target).await, NOT_IN_TARGET);
        world.owner.patch(membership(&world.source, &heir), json!({"role": "owner"})).await.ok();
        world.move_to(&world.editor, &world.target).await.ok();
    }

    async fn a_stale_version_is_reported_only_to_a_caller_who_may_move(app: TestApp) {
        let world = World::new(&app).await;
        let stale = world.editor.get(world.path()).await.header("etag").to_owned();
        world.owner.patch(world.path(), json!({"title": "Changed"})).await.ok();
        let request = || {
            let call = world.editor.call(Method::POST, format!("{}/move", world.path()));
            call.header("if-match", &stale).json(&json!({"project_id": world.target})).send()
        };
        refused(request().await, NOT_IN_TARGET);
        add_member(&app, &world.target, &world.owner, "viewer").await;
        request().await.fails(412, "PRECONDITION_FAILED");
    }

    async fn an_archived_project_is_reported_only_to_a_caller_who_may_move(app: TestApp) {
        let world = World::new(&app).await;
        let archived = async |owner: &Client, project: &str, archived: bool| {
            owner.patch(format!("/v1/projects/{project}"), json!({"archived": archived})).await.ok();
        };
        for (owner, project) in [(&world.owner, &world.source), (&world.editor, &world.target)] {
            archived(owner, project, true).await;
            refused(world.move_to(&world.editor, &world.target).await, NOT_IN_TARGET);
            add_member(&app, &world.target, &world.owner, "viewer").await;
            world.move_to(&world.editor, &world.target).await.fails(403, "PROJECT_ARCHIVED");
            remove_member(&app, &world.target, &world.owner).await;
            archived(owner, project, false).await;
        }
    }

    async fn a_refused_move_leaves_its_idempotency_key_free(app: TestApp) {
        let world = World::new(&app).await;
        let key = new_key();
        let request = || {
            let call = world.editor.call(Method::POST, format!("{}/move", world.path())).header(KEY, &key);
            call.json(&json!({"project_id": world.target})).send()
        };
        refused(request().await, NOT_IN_TARGET);
        add_member(&app, &world.target, &world.owner, "viewer").await;
        let first = request().await;
        assert_first(&first, "moveTask");
        assert_replay(&first, &request().await, "moveTask");
    }

    async fn a_replayed_deletion_of_a_comment_takes_the_role_where_the_task_is_now(app: TestApp) {
        let world = World::with_owner_in_target(&app, "editor").await;
        let said = comment(&world.editor, &world.task.id(), "Delete me").await;
        let key = new_key();
        let request = || world.owner.call(Method::DELETE, at(&said)).header(KEY, &key).send();
        let first = request().await;
        assert_first(&first, "deleteComment");
        // The owner of the source is an editor in the target, who could not have deleted the comment there.
        world.move_to(&world.owner, &world.target).await.ok();
        request().await.fails(403, "FORBIDDEN");
        world.move_to(&world.owner, &world.source).await.ok();
        assert_replay(&first, &request().await, "deleteComment");
    }

    async fn a_comment_is_read_and_deleted_by_the_rules_of_the_tasks_current_project(app: TestApp) {
        let world = World::with_owner_in_target(&app, "viewer").await;
        let bystander = member(&app, &world.source, "editor").await;
        let said = comment(&bystander, &world.task.id(), "Mine").await;
        let moved = world.move_to(&world.editor, &world.target).await.ok();
        let place = end(&app).await;
        bystander.delete(at(&said)).await.fails(403, "FORBIDDEN");
        world.owner.delete(at(&said)).await.fails(403, "FORBIDDEN");
        world.editor.delete(at(&said)).await.no_content();
        // The project that the task left hears of neither the comment nor later changes of the task.
        world.editor.post(comments_on(&world.task.id()), json!({"body": "x"})).await.created();
        world.editor.patch(world.path(), json!({"title": "y"})).await.ok();
        let events = beyond(&app, place).await;
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event["project_id"] == moved["project_id"]), "{events:?}");
    }

    async fn only_a_move_changes_the_project_of_a_task(app: TestApp) {
        let world = World::with_owner_in_target(&app, "editor").await;
        let body = json!({"project_id": world.target});
        world.editor.patch(world.path(), body).await.invalid(&["project_id:unknown_field"]);
        let operation = json!({"op": "update", "task_id": world.task["id"], "project_id": world.target});
        let batch = format!("/v1/projects/{}/tasks/batch", world.source);
        let answer = world.editor.post(batch, json!({"operations": [operation]})).await;
        answer.invalid(&["operations[0].project_id:unknown_field"]);
        // The target's batch does not reach into the source either.
        let operation = json!({"op": "update", "task_id": world.task["id"], "title": "x"});
        let batch = format!("/v1/projects/{}/tasks/batch", world.target);
        let answer = world.editor.post(batch, json!({"operations": [operation]})).await;
        answer.invalid(&["operations[0].task_id:reference"]);
        assert_eq!(world.owner.get(world.path()).await.ok(), world.task);
    }

    async fn a_task_is_restored_only_where_it_was_deleted(app: TestApp) {
        let world = World::with_owner_in_target(&app, "viewer").await;
        world.editor.delete(world.path()).await.no_content();
        world.move_to(&world.editor, &world.target).await.fails(404, "NOT_FOUND");
        let restored = world.owner.post_empty(format!("{}/restore", world.path())).await.ok();
        assert_eq!(restored["project_id"], world.source);
        // In the target it takes the role editor there.
        world.move_to(&world.editor, &world.target).await.ok();
        world.editor.delete(world.path()).await.no_content();
        world.owner.post_empty(format!("{}/restore", world.path())).await.fails(403, "FORBIDDEN");
        world.editor.post_empty(format!("{}/restore", world.path())).await.ok();
    }

    async fn a_membership_outlasts_the_trash_of_the_owners_account(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (kept, lost) =
            (World::with_owner_in_target(&app, "viewer").await, World::with_owner_in_target(&app, "viewer").await);
        for world in [&kept, &lost] {
            world.owner.delete("/v1/me").await.no_content();
            // The account took the project along.
            world.move_to(&world.editor, &world.target).await.fails(404, "NOT_FOUND");
        }
        // A member in the trash can be removed, and is missed once the account and its project are back.
        lost.editor.delete(membership(&lost.target, &lost.owner)).await.no_content();
        for world in [&kept, &lost] {
            log_in_again(&app, &world.owner).await;
        }
        kept.move_to(&kept.editor, &kept.target).await.ok();
        refused(lost.move_to(&lost.editor, &lost.target).await, NOT_IN_TARGET);
    }

    async fn a_move_that_waited_sees_that_the_owner_left_the_target(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let world = World::with_owner_in_target(&app, "editor").await;
        let (target, owner) =
            (ProjectId::parse(&world.target).unwrap(), UserId::parse(world.owner.user_id()).unwrap());
        let lock = others.begin().await.unwrap();
        lock.projects().lock(target, owner).await.unwrap();
        lock.members().remove(target, owner).await.unwrap();
        refused(move_while_locked(&database, &world, lock).await, NOT_IN_TARGET);
        assert_eq!(world.owner.get(world.path()).await.ok(), world.task);
    }

    async fn a_move_that_waited_sees_that_the_source_has_a_new_owner(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let others = database.another_store().await;
        let world = World::new(&app).await;
        let owner = &world.owner;
        owner.patch(membership(&world.source, &world.editor), json!({"role": "owner"})).await.ok();
        let (source, heir) = (ProjectId::parse(&world.source).unwrap(), UserId::parse(owner.user_id()).unwrap());
        let editor = UserId::parse(world.editor.user_id()).unwrap();
        // The editor owns the source now, and hands it back while the move waits.
        let lock = others.begin().await.unwrap();
        let locked = lock.projects().lock(source, editor).await.unwrap().unwrap();
        lock.members().set_role(source, editor, Role::Editor).await.unwrap();
        lock.members().set_role(source, heir, Role::Owner).await.unwrap();
        lock.projects().update(&Project { owner_id: heir, ..locked.project }).await.unwrap();
        refused(move_while_locked(&database, &world, lock).await, NOT_IN_TARGET);
        assert_eq!(owner.get(world.path()).await.ok(), world.task);
    }

    async fn a_move_happens_only_before_the_owner_leaves_the_target(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS {
            let world = World::with_owner_in_target(&one, "editor").await;
            let place = end(&one).await;
            let by = if round % 2 == 0 { &world.owner } else { &world.editor };
            let leaving = request(&through(&other, by), Method::DELETE, membership(&world.target, &world.owner), Value::Null);
            let path = format!("{}/move", world.path());
            let moving = request(&world.editor, Method::POST, path, json!({"project_id": world.target}));
            let (moved, left) = both(moving, leaving).await;
            assert_eq!(outcome(&left), DONE);
            match outcome(&moved) {
                OK => {
                    let events = beyond(&one, place).await;
                    let removed = place_of(&events, "member.removed", &world.target);
                    assert!(place_of(&events, "task.moved", &world.target) < removed, "{events:?}");
                }
                FORBIDDEN => drop(world.owner.get(world.path()).await.ok()),
                end => panic!("{end:?}"),
            }
        }
    }

    async fn a_move_by_the_owner_happens_only_before_the_project_is_transferred(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for _ in 0..ROUNDS {
            let world = World::new(&one).await;
            world.owner.patch(membership(&world.source, &world.editor), json!({"role": "owner"})).await.ok();
            let place = end(&one).await;
            let transfer = request(
                &through(&other, &world.editor),
                Method::PATCH,
                membership(&world.source, &world.owner),
                json!({"role": "owner"}),
            );
            let path = format!("{}/move", world.path());
            let moving = request(&world.editor, Method::POST, path, json!({"project_id": world.target}));
            let (moved, transferred) = both(moving, transfer).await;
            assert_eq!(outcome(&transferred), OK);
            match outcome(&moved) {
                OK => {
                    let events = beyond(&one, place).await;
                    let transferred = place_of(&events, "project.updated", &world.source);
                    assert!(place_of(&events, "task.moved", &world.source) < transferred, "{events:?}");
                }
                FORBIDDEN => drop(world.owner.get(world.path()).await.ok()),
                end => panic!("{end:?}"),
            }
        }
    }
}
