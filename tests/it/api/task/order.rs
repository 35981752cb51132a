//! Order of tasks under random changes, compared with a model.

use std::fmt::Write as _;

use serde_json::json;

use crate::api::fixtures::positions::{move_task, ordered_tasks, task_counts};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Random, TestApp};

/// Expected state of a task.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    version: i64,
    trashed: bool,
}

/// Three projects as lists of tasks, with deleted tasks at their positions.
struct Model {
    owner: Client,
    projects: Vec<String>,
    rows: Vec<Vec<Known>>,
    random: Random,
    /// Log of the steps, for failure messages.
    story: String,
}

impl Model {
    async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let mut projects = Vec::new();
        for _ in 0..3 {
            projects.push(owner.project().await);
        }
        Self { owner, projects, rows: vec![Vec::new(); 3], random: Random::new(), story: String::new() }
    }

    /// Picks a task that is deleted, or one that is not.
    fn pick(&mut self, trashed: bool) -> Option<(usize, usize)> {
        let all: Vec<(usize, usize)> = (0..3)
            .flat_map(|row| (0..self.rows[row].len()).map(move |index| (row, index)))
            .filter(|&(row, index)| self.rows[row][index].trashed == trashed)
            .collect();
        (!all.is_empty()).then(|| all[self.random.below(all.len())])
    }

    async fn step(&mut self) {
        match self.random.below(10) {
            0 => self.create().await,
            1 => self.delete().await,
            2 => self.restore().await,
            _ => self.move_randomly().await,
        }
    }

    async fn create(&mut self) {
        let row = self.random.below(3);
        let task = self.owner.task(&self.projects[row], json!({"title": "x"})).await;
        self.rows[row].push(Known { id: task.id(), version: 1, trashed: false });
        write!(self.story, " create({row})").unwrap();
    }

    async fn delete(&mut self) {
        let Some((row, index)) = self.pick(false) else { return };
        let known = &mut self.rows[row][index];
        self.owner.delete(format!("/v1/tasks/{}", known.id)).await.no_content();
        (known.trashed, known.version) = (true, known.version + 1);
        write!(self.story, " delete({row}.{index})").unwrap();
    }

    async fn restore(&mut self) {
        let Some((row, index)) = self.pick(true) else { return };
        let known = &mut self.rows[row][index];
        self.owner.post_empty(format!("/v1/tasks/{}/restore", known.id)).await.ok();
        (known.trashed, known.version) = (false, known.version + 1);
        write!(self.story, " restore({row}.{index})").unwrap();
    }

    async fn move_randomly(&mut self) {
        let Some((row, index)) = self.pick(false) else { return };
        let known = self.rows[row][index].clone();
        let (mut to, mut target, mut slot) = (json!({}), row, index);
        if self.random.below(4) == 0 {
            target = self.random.below(3);
            to["project_id"] = json!(self.projects[target]);
            slot = if target == row { index } else { self.rows[target].len() };
        } else if let Some((other, near)) = self.pick(false).filter(|near| *near != (row, index)) {
            let before = self.random.below(2) == 0;
            to["project_id"] = json!(self.projects[other]);
            to[if before { "before_id" } else { "after_id" }] = json!(self.rows[other][near].id);
            let shifted = usize::from(other == row && index < near);
            let between = if before { index + 1..near } else { near + 1..index };
            // A task that already has this place among the visible tasks is not moved past deleted ones.
            let is_near = other == row && (index < near) == before;
            if !is_near || self.rows[row][between].iter().any(|known| !known.trashed) {
                (target, slot) = (other, near + usize::from(!before) - shifted);
            }
        }
        write!(self.story, " move({row}.{index} to {target}.{slot})").unwrap();
        let answer = move_task(&self.owner, &json!({"id": known.id}), &to).await.ok();
        let version = known.version + i64::from((row, index) != (target, slot));
        assert_eq!(answer["version"], version, "{}", self.story);
        self.rows[row].remove(index);
        self.rows[target].insert(slot, Known { version, ..known });
    }

    async fn check(&self) {
        for (project, row) in self.projects.iter().zip(&self.rows) {
            let expected: Vec<(String, i64)> =
                row.iter().filter(|known| !known.trashed).map(|known| (known.id.clone(), known.version)).collect();
            let found = ordered_tasks(&self.owner, project).await;
            let found: Vec<_> = found.iter().map(|task| (task.id(), task["version"].as_i64().unwrap())).collect();
            assert_eq!(found, expected, "{}", self.story);
            let total = i64::try_from(expected.len()).unwrap();
            assert_eq!(task_counts(&self.owner, project).await, (total, 0), "{}", self.story);
        }
    }
}

on_both_databases! {
    async fn random_moves_match_the_model(app: TestApp) {
        let mut model = Model::new(&app).await;
        for _ in 0..12 {
            model.create().await;
        }
        for _ in 0..300 {
            model.step().await;
            model.check().await;
        }
    }
}
