//! Batches of task operations.
//!
//! The derive macro cannot combine `deny_unknown_fields` with a discriminator or flattened fields, so these types omit
//! it. The published schema forbids unknown fields in every body.

use poem_openapi::{Object, Union};

use super::{CreateTask, Task, UpdateTask};
use crate::contract::TaskId;
use crate::contract::macros::example;

/// Operation that creates a task at the end of the project.
#[derive(Debug, Clone, Object)]
pub struct BatchCreate {
    /// Task to create.
    #[oai(flatten)]
    pub task: CreateTask,
}

/// Operation that updates a task. Absent fields keep their value; `null` clears a field.
#[derive(Debug, Clone, Object)]
pub struct BatchUpdate {
    /// Id of the task to update, which must be in this project.
    pub task_id: TaskId,
    /// Changes to the task.
    #[oai(flatten)]
    pub changes: UpdateTask,
}

/// Operation that moves a task to the trash.
#[derive(Debug, Clone, Object)]
pub struct BatchDelete {
    /// Id of the task to delete, which must be in this project.
    pub task_id: TaskId,
}

/// Operation of a batch. `op` determines its kind.
#[derive(Debug, Clone, Union)]
#[oai(discriminator_name = "op", one_of = true)]
pub enum BatchOperation {
    /// Operation that creates a task at the end of the project.
    #[oai(mapping = "create")]
    Create(BatchCreate),
    /// Changes a task.
    #[oai(mapping = "update")]
    Update(BatchUpdate),
    /// Operation that moves a task to the trash.
    #[oai(mapping = "delete")]
    Delete(BatchDelete),
}

/// Operations on the tasks of a project, executed in order and atomically.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct TaskBatch {
    /// Operations in order. Later operations see the effects of earlier ones.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub operations: Vec<BatchOperation>,
}

example!(TaskBatch { operations: vec![BatchOperation::Create(BatchCreate { task: CreateTask::example() })] });

/// Result of a batch.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct TaskBatchResult {
    /// One result per operation, in order: the task, or `null` after a deletion.
    #[oai(validator(max_items = 100))]
    pub results: Vec<Option<Task>>,
}

example!(TaskBatchResult { results: vec![Some(Task::example()), None] });
