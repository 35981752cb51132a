//! Moving a task, and changing many at once.
//!
//! The members of a batch have a tag, and hold the bodies of the single operations; neither agrees with what the derive
//! macro does to refuse unknown fields. The published document refuses them in every body.

use poem_openapi::types::Example;
use poem_openapi::{Object, Union};

use super::{NewTask, Task, UpdateTask};
use crate::contract::TaskId;

/// Creates a task at the end of the project.
#[derive(Debug, Clone, Object)]
pub struct BatchCreate {
    /// The task.
    #[oai(flatten)]
    pub task: NewTask,
}

/// Changes a task: what is absent stays, `null` clears.
#[derive(Debug, Clone, Object)]
pub struct BatchUpdate {
    /// The task to change; it must be in this project.
    pub task_id: TaskId,
    /// What changes.
    #[oai(flatten)]
    pub changes: UpdateTask,
}

/// Puts a task into the trash.
#[derive(Debug, Clone, Object)]
pub struct BatchDelete {
    /// The task to delete; it must be in this project.
    pub task_id: TaskId,
}

/// One operation of a batch; `op` says which.
#[derive(Debug, Clone, Union)]
#[oai(discriminator_name = "op", one_of = true)]
pub enum BatchOperation {
    /// Creates a task at the end of the project.
    #[oai(mapping = "create")]
    Create(BatchCreate),
    /// Changes a task.
    #[oai(mapping = "update")]
    Update(BatchUpdate),
    /// Puts a task into the trash.
    #[oai(mapping = "delete")]
    Delete(BatchDelete),
}

/// Operations on the tasks of a project, done in their order, all or none.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct TaskBatch {
    /// The operations. A later one finds what an earlier one did.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub operations: Vec<BatchOperation>,
}

impl Example for TaskBatch {
    fn example() -> Self {
        Self { operations: vec![BatchOperation::Create(BatchCreate { task: NewTask::example() })] }
    }
}

/// What a batch did.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct TaskBatchResult {
    /// For each operation, in their order: the task as that operation left it, or `null` for one that it deleted.
    #[oai(validator(max_items = 100))]
    pub results: Vec<Option<Task>>,
}

impl Example for TaskBatchResult {
    fn example() -> Self {
        Self { results: vec![Some(Task::example()), None] }
    }
}
