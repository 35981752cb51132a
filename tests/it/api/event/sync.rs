//! Synchronization of a client that lists everything once and then applies the events of the feed, while others write.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use poem::http::Method;
use serde_json::{Value, json};
use tokio::task::{JoinSet, yield_now};

use crate::api::fixtures::common::send;
use crate::api::fixtures::events::{page, rest};
use crate::api::fixtures::members::{join, new_member, remove};
use crate::api::task::cursors::with_query;
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::client::Ids as _;
use crate::support::{Client, Random, TestApp};

const WRITERS: usize = 3;
const WRITES: usize = 50;

/// Next operation of a writer, chosen beforehand.
#[derive(Clone, Copy)]
struct Choice {
    what: usize,
    which: [usize; 3],
}

/// Resources that the writers change.
#[derive(Clone)]
struct Fixture {
    writer: Client,
    /// The reader is not a member of the last project.
    projects: [String; 3],
    /// User who is added and removed.
    helper: Client,
    tasks: Arc<Mutex<Vec<String>>>,
}

impl Fixture {
    fn task(&self, which: usize) -> String {
        let tasks = self.tasks.lock().unwrap();
        tasks[which % tasks.len()].clone()
    }

    async fn write(&self, Choice { what, which: [one, two, three] }: Choice) {
        let (task, project) = (self.task(one), &self.projects[two % 3]);
        let path = format!("/v1/tasks/{task}");
        let assignee = if three % 2 == 0 { Value::Null } else { json!(self.helper.user_id()) };
        let title = format!("{}", three % 1_000);
        let (method, path, body) = match what {
            0..20 => (
                Method::POST,
                format!("/v1/projects/{project}/tasks"),
                json!({"title": title, "assignee_id": assignee}),
            ),
            20..40 => {
                (Method::PATCH, path, json!({"title": title, "status": if two % 2 == 0 { "done" } else { "todo" }}))
            }
            40..50 => (Method::PATCH, path, json!({"assignee_id": assignee})),
            50..60 => (Method::DELETE, path, Value::Null),
            60..70 => (Method::POST, format!("{path}/restore"), Value::Null),
            70..80 => (Method::POST, format!("{path}/move"), json!({"project_id": project})),
            80..90 => (Method::POST, format!("{path}/move"), json!({"before_id": self.task(two)})),
            90..97 => (
                Method::POST,
                format!("/v1/projects/{project}/tasks/batch"),
                json!({"operations": [
                    {"op": "create", "title": title}, {"op": "update", "task_id": task, "due_at": "2027-01-01T00:00:00Z"},
                    {"op": "delete", "task_id": self.task(three)},
                ]}),
            ),
            _ => (Method::DELETE, format!("/v1/projects/{project}/members/{}", self.helper.user_id()), Value::Null),
        };
        let answer = send(&self.writer, &method, &path, &body).await;
        // A write that conflicts with another writer is rejected.
        assert!(!answer.status.is_server_error(), "{method} {path}: {}", answer.text);
        if answer.status == 201 {
            self.tasks.lock().unwrap().push(answer.body.id());
        }
    }
}

/// Client-side copy of one list.
struct Copy {
    list: String,
    tasks: BTreeMap<String, Value>,
    sync: String,
}

impl Copy {
    /// Reads a list by cursor in pages of the given size.
    async fn walk(reader: &Client, list: &str, limit: usize) -> Self {
        let (mut tasks, mut sync, mut cursor) = (BTreeMap::new(), None::<String>, String::new());
        loop {
            let page = reader.get(with_query(list, &format!("limit={limit}{cursor}"))).await.ok();
            let here = page["meta"]["sync_cursor"].as_str().unwrap().to_owned();
            assert_eq!(sync.get_or_insert(here.clone()), &here, "the sync cursor is the same on all pages");
            for task in page["data"].as_array().unwrap() {
                tasks.insert(task.id(), task.clone());
            }
            match page["meta"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Self { list: list.to_owned(), tasks, sync: sync.unwrap() },
            }
        }
    }

    /// Applies an event. The task alone decides whether the list contains it.
    fn apply(&mut self, event: &Value, projects: &[String]) {
        if !event["type"].as_str().unwrap().starts_with("task.") {
            return;
        }
        let task = &event["data"];
        let home = task["project_id"].as_str().unwrap();
        let is_mine = projects
            .iter()
            .any(|project| project == home && (!self.list.contains("/projects/") || self.list.contains(home)));
        let is_trash = self.list.contains("deleted=true");
        if is_mine && task["deleted_at"].is_null() != is_trash {
            self.tasks.insert(task.id(), task.clone());
        } else {
            self.tasks.remove(&task.id());
        }
    }
}

/// Every list without a filter, and the deleted tasks, in several orders.
fn lists(project: &str) -> Vec<String> {
    let mut lists = Vec::new();
    for path in ["/v2/tasks".to_owned(), format!("/v2/projects/{project}/tasks")] {
        for sort in ["created_at", "updated_at", "due_at", "priority", "title", "position"] {
            for query in
                [format!("sort={sort}&dir=asc"), format!("sort={sort}&dir=desc"), format!("sort={sort}&deleted=true")]
            {
                lists.push(format!("{path}?{query}"));
            }
        }
    }
    lists
}

on_both_databases! {
    async fn a_list_with_later_events_applied_equals_the_current_list(app: TestApp) {
        let mut random = Random::new();
        let owner = app.user().await;
        let projects = [owner.project().await, owner.project().await, owner.project().await];
        let (reader, helper) = (new_member(&app, &owner, &projects[0], "viewer").await, app.user().await);
        join(&owner, &projects[1], &reader, "viewer").await;
        for project in &projects {
            join(&owner, project, &helper, "editor").await;
        }
        let mut tasks = Vec::new();
        for number in 0..20 {
            tasks.push(
                owner.task(&projects[number % 3], json!({"title": "x", "assignee_id": helper.user_id()})).await.id(),
            );
        }
        let fixture =
            Fixture { writer: owner.clone(), projects: projects.clone(), helper, tasks: Arc::new(Mutex::new(tasks)) };
        let (mut writers, done) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for _ in 0..WRITERS {
            let choices: Vec<Choice> = (0..WRITES)
                .map(|_| Choice { what: random.below(100), which: [(); 3].map(|()| random.below(1 << 20)) })
                .collect();
            let fixture = fixture.clone();
            writers.spawn(async move {
                for choice in choices {
                    fixture.write(choice).await;
                    yield_now().await;
                }
            });
        }
        let reading = {
            let (reader, done, lists) = (reader.clone(), Arc::clone(&done), lists(&projects[0]));
            let limits: Vec<usize> = lists.iter().map(|_| random.one_of(&[3, 3, 7, 100])).collect();
            tokio::spawn(async move {
                let mut copies = Vec::new();
                for (list, limit) in lists.iter().zip(limits).cycle() {
                    copies.push(Copy::walk(&reader, list, limit).await);
                    if done.load(Ordering::SeqCst) && copies.len() >= lists.len() {
                        break;
                    }
                }
                copies
            })
        };
        soon(writers.join_all()).await;
        done.store(true, Ordering::SeqCst);
        let copies = soon(reading).await.unwrap();
        let mut changed = 0;
        for mut copy in copies {
            let (events, _) = rest(&reader, "limit=100", Some(copy.sync.clone())).await;
            let before = copy.tasks.clone();
            for event in &events {
                copy.apply(event, &projects[..2]);
            }
            let now = Copy::walk(&reader, &copy.list, 100).await;
            assert_eq!(copy.tasks, now.tasks, "{} after {} events", copy.list, events.len());
            changed += usize::from(before != now.tasks);
        }
        assert!(changed > 0, "no write happened during a listing, so the test proves nothing");
    }

    async fn the_sync_cursor_is_taken_before_the_list_is_read(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        owner.task(&project, json!({"title": "0"})).await;
        let number = |task: &Value| task["title"].as_str().unwrap().parse::<usize>().unwrap();
        let writing = {
            let (owner, project) = (owner.clone(), project.clone());
            tokio::spawn(async move {
                for title in 1..=200 {
                    owner.task(&project, json!({"title": title.to_string()})).await;
                }
            })
        };
        let mut looks = Vec::new();
        for list in ["/v2/tasks".to_owned(), format!("/v2/projects/{project}/tasks")].iter().cycle() {
            let is_last = writing.is_finished();
            let page = owner.get(format!("{list}?limit=1&sort=position&dir=desc")).await.ok();
            looks.push((number(&page["data"][0]), page["meta"]["sync_cursor"].as_str().unwrap().to_owned()));
            if is_last {
                break;
            }
        }
        soon(writing).await.unwrap();
        for (newest, sync) in looks {
            // The feed continues at the latest with the task after those that were listed.
            let (events, ..) = page(&owner, &format!("limit=1&type=task.created&cursor={sync}")).await;
            let first = events.first().map_or(201, |event| number(&event["data"]));
            assert!(first <= newest + 1, "the newest listed task was {newest}, but the first event is for {first}");
        }
    }

    async fn the_sync_cursor_misses_nothing_and_repeats_little(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for title in ["a", "b", "c", "d"] {
            owner.task(&project, json!({"title": title})).await;
        }
        let list = format!("/v2/projects/{project}/tasks?sort=title");
        let first = owner.get(format!("{list}&limit=2")).await.ok();
        let between = owner.task(&project, json!({"title": "0"})).await;
        let next = first["meta"]["next_cursor"].as_str().unwrap();
        let second = owner.get(format!("{list}&limit=3&cursor={next}")).await.ok();
        assert_eq!(second["meta"]["sync_cursor"], first["meta"]["sync_cursor"]);
        assert_eq!(second["meta"]["next_cursor"], Value::Null);
        let sync = first["meta"]["sync_cursor"].as_str().unwrap().to_owned();
        let (events, _) = rest(&owner, "limit=1", Some(sync.clone())).await;
        let [event] = &events[..] else { panic!("{events:#?}") };
        assert_eq!(event["data"], between);
        // The sync cursor is valid for the feed of this reader only, and not for the list.
        let viewer = new_member(&app, &owner, &project, "viewer").await;
        viewer.get(format!("/v1/events?cursor={sync}")).await.fails(400, "INVALID_CURSOR");
        owner.get(format!("{list}&cursor={sync}")).await.fails(400, "INVALID_CURSOR");
        owner.get(format!("/v1/events?order=desc&cursor={sync}")).await.fails(400, "INVALID_CURSOR");
        let newest = owner.get(list).await.ok();
        assert_ne!(newest["meta"]["sync_cursor"], sync);
        remove(&viewer, &project, &viewer).await.no_content();
    }
}
