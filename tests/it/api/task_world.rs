//! A world of tasks that changes at random, and the order that the contract promises, worked out anew: what the walks
//! by cursors are measured by.

use std::collections::HashSet;
use std::time::Duration;

use pocket_tasks::contract::list::{Direction, Sort};
use pocket_tasks::contract::task::{Task, TaskPriority, TaskSort, TaskStatus};
use pocket_tasks::contract::text::{Label, OrderKey, TaskDescription, TaskTitle};
use pocket_tasks::contract::{ProjectId, SessionId, TaskId, Timestamp, UserId};
use pocket_tasks::services::{Caller, Credential};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, Options, Random, TestApp, TestDatabase};

/// Titles that a linguistic collation, bytes, and upper and lower case each order otherwise.
const TITLES: [&str; 24] = [
    "Äpfel", "äpfel", "ÄPFEL", "apfel", "Apfel", "Zebra", "zebra", "_", "b-a", "b a", "ba", "B_a", "10", "9", "😀",
    "😀 ", "ΟΔΟΣ", "οδος", "οδοσ", "İ", "ß", "SS", "e\u{301}", "é",
];
const PRIORITIES: [TaskPriority; 4] =
    [TaskPriority::None, TaskPriority::None, TaskPriority::Medium, TaskPriority::Urgent];
const STATUSES: [TaskStatus; 2] = [TaskStatus::Todo, TaskStatus::InProgress];
/// The first and the last time that can be written among them: no due time comes after both.
const DUE: [Option<i64>; 7] = [
    None,
    None,
    None,
    Some(1_769_850_000_000),
    Some(1_769_850_000_001),
    Some(-62_167_219_200_000),
    Some(253_402_300_799_999),
];

/// What a task is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(i64),
    Text(String),
    /// No due time: after all.
    Nothing,
}

pub(super) fn key(sort: TaskSort, task: &Task) -> Key {
    match sort {
        TaskSort::CreatedAt => Key::Number(task.created_at.0),
        TaskSort::UpdatedAt => Key::Number(task.updated_at.0),
        TaskSort::DueAt => task.due_at.map_or(Key::Nothing, |time| Key::Number(time.0)),
        TaskSort::Priority => Key::Number(task.priority as i64),
        // As the database folds them: both small sigmas are one.
        TaskSort::Title => Key::Text(task.title.to_lowercase().replace('ς', "σ")),
        TaskSort::Position => Key::Text(task.position.to_string()),
    }
}

/// The filters, and what they let through.
pub(super) type Filter = (Value, fn(&Task, UserId) -> bool);

pub(super) fn filters() -> [Filter; 8] {
    [
        (json!({}), |task, _| task.deleted_at.is_none()),
        (json!({"deleted": true}), |task, _| task.deleted_at.is_some()),
        (json!({"status": ["todo"]}), |task, _| task.deleted_at.is_none() && task.status == TaskStatus::Todo),
        (json!({"priority": ["none", "urgent"], "label": ["a"]}), |task, _| {
            let has_label = task.labels.iter().any(|label| &**label == "a");
            task.deleted_at.is_none() && task.priority != TaskPriority::Medium && has_label
        }),
        (json!({"assignee_id": "me"}), |task, me| task.deleted_at.is_none() && task.assignee_id == Some(me)),
        (json!({"q": "Ä"}), |task, _| task.deleted_at.is_none() && task.title.to_lowercase().contains('ä')),
        (json!({"due_before": "2026-01-31T09:00:00.001Z"}), |task, _| {
            task.deleted_at.is_none() && task.due_at.is_some_and(|time| time.0 < 1_769_850_000_001)
        }),
        (json!({"deleted": true, "assignee_id": "none"}), |task, _| {
            task.deleted_at.is_some() && task.assignee_id.is_none()
        }),
    ]
}

pub(super) struct World {
    pub(super) app: TestApp,
    pub(super) owner: Client,
    pub(super) caller: Caller,
    pub(super) projects: Vec<ProjectId>,
    pub(super) tasks: Vec<Task>,
    pub(super) random: Random,
    /// A position is never given twice in a project.
    places: HashSet<(ProjectId, String)>,
    now: Timestamp,
}

impl World {
    pub(super) async fn new(database: &TestDatabase) -> Self {
        let app = TestApp::new(database, Options::default()).await;
        let owner = app.user().await;
        let mut projects = Vec::new();
        for _ in 0..3 {
            projects.push(ProjectId::parse(&owner.project().await).unwrap());
        }
        // What sort of session it is is no matter to lists.
        let caller = Caller {
            user: UserId::parse(owner.user_id()).unwrap(),
            by: Credential::Session(SessionId::generate()),
            until: None,
        };
        let now = app.clock.now();
        let (places, random) = (HashSet::new(), Random::new());
        let mut world = Self { app, owner, caller, projects, tasks: Vec::new(), random, places, now };
        let mut tasks: Vec<Task> = (0..120).map(|_| world.new_task()).collect();
        for task in &mut tasks {
            task.deleted_at = world.random.percent(25).then_some(now);
        }
        world.store(&[], &tasks).await;
        // Somebody else's, which nobody here may see.
        let stranger = world.app.user().await;
        let project = stranger.project().await;
        stranger.task(&project, json!({"title": "Äpfel", "labels": ["a"], "assignee_id": stranger.user_id()})).await;
        world
    }

    fn new_task(&mut self) -> Task {
        // Half of them in the first project, which is walked alone.
        let project_id = if self.random.percent(50) { self.projects[0] } else { self.random.one_of(&self.projects) };
        let created_at = self.time();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.next().to_be_bytes());
        id[8..].copy_from_slice(&self.random.next().to_be_bytes());
        let labels = ["a", "b"].into_iter().filter(|_| self.random.percent(60)).map(Label::trusted).collect();
        Task {
            id: TaskId(Uuid::from_bytes(id)),
            project_id,
            title: TaskTitle::trusted(self.random.one_of(&TITLES)),
            description: None,
            status: self.random.one_of(&STATUSES),
            priority: self.random.one_of(&PRIORITIES),
            due_at: self.random.one_of(&DUE).map(Timestamp),
            assignee_id: self.random.percent(50).then_some(self.caller.user),
            labels,
            position: self.place(project_id),
            created_by: Some(self.caller.user),
            completed_at: None,
            deleted_at: None,
            version: 1,
            created_at,
            updated_at: self.time(),
        }
    }

    /// One of few, so that many tasks share it.
    fn time(&mut self) -> Timestamp {
        let age = self.random.one_of(&[0, 1, 2, 60_000, 3_600_000]);
        self.now.minus(Duration::from_millis(age))
    }

    /// Free in its project, and perhaps taken in another.
    fn place(&mut self, project: ProjectId) -> OrderKey {
        loop {
            let place: String = (0..6).map(|_| char::from(self.random.one_of(b"0Aaz"))).collect();
            if self.places.insert((project, place.clone())) {
                return OrderKey::trusted(place);
            }
        }
    }

    /// Writes new and changed tasks, and counts as the service does.
    async fn store(&mut self, changed: &[(usize, Task)], new: &[Task]) {
        let transaction = self.app.store.begin().await.unwrap();
        transaction.tasks().add(new).await.unwrap();
        let mut counts: Vec<(ProjectId, i64)> = Vec::new();
        for task in new {
            counts.push((task.project_id, i64::from(task.deleted_at.is_none())));
        }
        for (index, task) in changed {
            transaction.tasks().update(task).await.unwrap();
            let before = &self.tasks[*index];
            counts.push((before.project_id, -i64::from(before.deleted_at.is_none())));
            counts.push((task.project_id, i64::from(task.deleted_at.is_none())));
        }
        for project in &self.projects {
            let total = counts.iter().filter(|(of, _)| of == project).map(|(_, count)| count).sum();
            transaction.projects().count_tasks(*project, total, 0, None).await.unwrap();
        }
        transaction.commit().await.unwrap();
        for (index, task) in changed {
            self.tasks[*index] = task.clone();
        }
        self.tasks.extend_from_slice(new);
    }

    /// Makes a task, or deletes, restores, moves or changes one.
    pub(super) async fn change(&mut self) {
        // Not more and more of them, which would take longer and longer to walk.
        if self.tasks.len() < 160 && self.random.percent(35) {
            let task = self.new_task();
            return self.store(&[], &[task]).await;
        }
        let index = self.random.below(self.tasks.len());
        let mut task = self.tasks[index].clone();
        match self.random.below(8) {
            0 | 1 => task.deleted_at = if task.deleted_at.is_none() { Some(self.now) } else { None },
            2 => task.title = TaskTitle::trusted(self.random.one_of(&TITLES)),
            3 => task.priority = self.random.one_of(&PRIORITIES),
            4 => task.due_at = self.random.one_of(&DUE).map(Timestamp),
            5 => task.updated_at = self.time(),
            6 => {
                task.project_id = self.random.one_of(&self.projects);
                task.position = self.place(task.project_id);
            }
            // Nothing that anything is sorted by.
            _ => {
                task.description = Some(TaskDescription::trusted("Changed"));
                task.status = self.random.one_of(&STATUSES);
            }
        }
        self.store(&[(index, task)], &[]).await;
    }

    /// The whole list as it is now, in order.
    pub(super) fn list(&self, project: Option<ProjectId>, filter: &Filter, sort: Sort<TaskSort>) -> Vec<(Key, TaskId)> {
        let mut list: Vec<_> = self
            .tasks
            .iter()
            .filter(|task| project.is_none_or(|project| task.project_id == project) && filter.1(task, self.caller.user))
            .map(|task| (key(sort.field, task), task.id))
            .collect();
        list.sort();
        if sort.direction == Direction::Desc {
            list.reverse();
        }
        list
    }
}
