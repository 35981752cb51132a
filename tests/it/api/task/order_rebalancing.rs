//! Order of tasks after thousands of moves designed to lengthen their positions.

use std::collections::HashMap;

use pocket_tasks::contract::page::Direction;
use pocket_tasks::contract::task::MoveTask;
use pocket_tasks::contract::{ProjectId, SessionId, TaskId, UserId};
use pocket_tasks::repositories::Store as _;
use pocket_tasks::services::{Caller, Credential, RequestMetadata, WriteContext};
use serde_json::{Value, json};

use crate::api::fixtures::positions::{ordered_tasks, task_counts};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, Random, TestApp, TestDatabase};

/// Maximum length of a position.
const MAX_LEN: usize = 64;

/// Expected state of a task.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    version: i64,
    deleted: bool,
}

/// One project whose tasks are moved below HTTP, which is ten times faster.
struct Shelf {
    database: TestDatabase,
    app: TestApp,
    owner: Client,
    write: WriteContext,
    project: String,
    /// Expected order, with the version of each task and whether it is deleted.
    row: Vec<Known>,
    positions: HashMap<String, String>,
}

impl Shelf {
    async fn new(database: &TestDatabase, size: usize) -> Self {
        let app = TestApp::new(database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let user = UserId::parse(owner.user_id()).unwrap();
        let caller = Caller { user, credential: Credential::Session(SessionId::generate()), expires_at: None };
        let write = WriteContext { caller, idempotency: None, if_match: None, request: RequestMetadata::default() };
        let database = database.clone();
        let mut this = Self { database, app, owner, write, project, row: Vec::new(), positions: HashMap::new() };
        for _ in 0..size {
            this.create().await;
        }
        this
    }

    async fn create(&mut self) {
        let task = self.owner.task(&self.project, json!({"title": "x"})).await;
        self.row.push(Known { id: task.id(), version: 1, deleted: false });
        self.positions.insert(task.id(), task["position"].as_str().unwrap().to_owned());
    }

    /// Deletes or restores a task.
    async fn toggle(&mut self, index: usize) {
        let known = &mut self.row[index];
        if known.deleted {
            self.owner.post_empty(format!("/v1/tasks/{}/restore", known.id)).await.ok();
        } else {
            self.owner.delete(format!("/v1/tasks/{}", known.id)).await.no_content();
        }
        (known.deleted, known.version) = (!known.deleted, known.version + 1);
    }

    fn deleted(&self) -> Vec<usize> {
        (0..self.row.len()).filter(|index| self.row[*index].deleted).collect()
    }

    fn live(&self) -> Vec<usize> {
        (0..self.row.len()).filter(|index| !self.row[*index].deleted).collect()
    }

    fn index_of(&self, id: &str) -> usize {
        self.row.iter().position(|known| known.id == id).unwrap()
    }

    /// Moves the task at one index next to the task at another.
    async fn put(&mut self, from: usize, near: usize, before: bool) {
        let neighbour = self.row[near].id.clone();
        let id = TaskId::parse(&neighbour);
        let (before_id, after_id) = if before { (id, None) } else { (None, id) };
        let to = MoveTask { project_id: None, before_id, after_id };
        let between = if before { from + 1..near } else { near + 1..from };
        // A task that already has this place among the visible tasks is not moved past deleted ones.
        let stays = (from < near) == before && self.row[between].iter().all(|known| known.deleted);
        let known = self.row.remove(from);
        let moved = TaskId::parse(&known.id).unwrap();
        let answer = self.app.services.tasks.move_task(&self.write, moved, to).await.unwrap();
        let task: Value = serde_json::from_str(answer.body.as_deref().unwrap()).unwrap();
        let index = if stays { from } else { self.index_of(&neighbour) + usize::from(!before) };
        let version = known.version + i64::from(index != from);
        assert_eq!(task["version"], version);
        let position = task["position"].as_str().unwrap().to_owned();
        assert!(position.len() <= MAX_LEN, "{position}");
        self.positions.insert(known.id.clone(), position);
        self.row.insert(index, Known { version, ..known });
    }

    /// Checks the order, and returns the number of tasks whose position differs from that of their last move.
    async fn check(&mut self) -> usize {
        let project = ProjectId::parse(&self.project).unwrap();
        let store = self.database.store().await;
        let found = store.read().tasks().list_positions(project, "", Direction::Asc, 10_000).await.unwrap();
        let order: Vec<String> = found.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(order, self.row.iter().map(|known| known.id.clone()).collect::<Vec<_>>());
        assert!(found.iter().all(|(_, position)| position.len() <= MAX_LEN), "{found:?}");
        assert!(found.windows(2).all(|pair| pair[0].1.as_bytes() < pair[1].1.as_bytes()), "{found:?}");
        let old: Vec<Option<String>> =
            found.iter().map(|(id, position)| self.positions.insert(id.to_string(), position.to_string())).collect();
        old.iter().zip(&found).filter(|(old, (_, position))| old.as_deref() != Some(&**position)).count()
    }

    /// Restores all tasks and checks the result over HTTP.
    async fn check_from_outside(&mut self) {
        for index in self.deleted() {
            self.toggle(index).await;
        }
        let found = ordered_tasks(&self.owner, &self.project).await;
        let found: Vec<_> = found.iter().map(|task| (task.id(), task["version"].as_i64().unwrap())).collect();
        let expected: Vec<_> = self.row.iter().map(|known| (known.id.clone(), known.version)).collect();
        assert_eq!(found, expected, "the versions and the order");
        let total = i64::try_from(expected.len()).unwrap();
        assert_eq!(task_counts(&self.owner, &self.project).await, (total, 0));
    }
}

/// Number of moves for each pattern: thousands in total on SQLite, fewer on PostgreSQL, and more in `make chaos`.
fn moves(database: &TestDatabase) -> usize {
    let in_chaos = if std::env::var_os("CHAOS_ROUNDS").is_some() { 5 } else { 1 };
    in_chaos * if database.is_postgres() { 500 } else { 800 }
}

on_both_databases! {
    async fn thousands_of_moves_to_one_end_change_no_other_task(database: TestDatabase) {
        let mut shelf = Shelf::new(&database, 20).await;
        for _ in 0..moves(&database) {
            shelf.put(19, 0, false).await;
            assert_eq!(shelf.check().await, 0, "another task changed its position");
        }
        for _ in 0..moves(&database) {
            shelf.put(0, 19, true).await;
            assert_eq!(shelf.check().await, 0, "another task changed its position");
        }
        shelf.check_from_outside().await;
    }

    async fn thousands_of_moves_into_one_gap_keep_the_order_and_short_keys(database: TestDatabase) {
        // Many tasks on both sides, few enough above that keys are rebalanced up to the end of the project.
        for above in [30, 2] {
            let mut shelf = Shelf::new(&database, 60).await;
            let mut lower = shelf.row[60 - above - 1].id.clone();
            let mut upper = shelf.row[60 - above].id.clone();
            let mut spread = 0;
            for turn in 0..moves(&database) / 2 {
                let live = shelf.live();
                if turn % 2 == 0 {
                    let id = shelf.row[live[0]].id.clone();
                    shelf.put(live[0], shelf.index_of(&lower), false).await;
                    lower = id;
                } else {
                    let last = live[live.len() - 1];
                    let id = shelf.row[last].id.clone();
                    shelf.put(last, shelf.index_of(&upper), true).await;
                    upper = id;
                }
                spread += shelf.check().await;
                if turn % 10 == 9 {
                    // Some nearby tasks are deleted and keep their places.
                    shelf.toggle(shelf.index_of(&lower) - 1).await;
                    if let [oldest, _, _, _, _, ..] = shelf.deleted()[..] {
                        shelf.toggle(oldest).await;
                    }
                }
                if turn % 100 == 99 {
                    // A new task is added after all rebalanced ones.
                    shelf.create().await;
                    shelf.check().await;
                }
            }
            assert!(spread > 0, "the keys were never rebalanced, so the test proves nothing");
            shelf.check_from_outside().await;
        }
    }

    async fn thousands_of_moves_to_any_place_keep_the_order(database: TestDatabase) {
        let mut random = Random::new();
        let mut shelf = Shelf::new(&database, 30).await;
        for index in [0, 9, 10, 20, 29] {
            shelf.toggle(index).await;
        }
        for _ in 0..moves(&database) {
            let live = shelf.live();
            let (from, near) = (live[random.below(live.len())], live[random.below(live.len())]);
            if from != near {
                shelf.put(from, near, random.below(2) == 0).await;
                shelf.check().await;
            }
        }
        shelf.check_from_outside().await;
    }
}
