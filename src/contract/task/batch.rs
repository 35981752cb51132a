//! Batches of task operations.
//!
//! The derive macro cannot combine `deny_unknown_fields` with a discriminator or flattened fields, so these types omit
//! it. The published schema forbids unknown fields in every body.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Object, Union};

use super::{CreateTask, Task, TaskPriority, TaskStatus, UpdateTask};
use crate::contract::strings::TaskTitle;
use crate::contract::{TaskId, UserId, world};

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

impl Example for TaskBatch {
    fn example() -> Self {
        let task = CreateTask {
            title: TaskTitle::new_unchecked("Order the tiles"),
            description: None,
            status: TaskStatus::Todo,
            priority: TaskPriority::High,
            due_at: Some(world::january(30, 16, 0)),
            assignee_id: Some(UserId::example()),
            labels: Vec::new(),
        };
        let changes = UpdateTask {
            title: None,
            description: MaybeUndefined::Undefined,
            status: Some(TaskStatus::Done),
            priority: None,
            due_at: MaybeUndefined::Undefined,
            assignee_id: MaybeUndefined::Undefined,
            labels: None,
        };
        Self {
            operations: vec![
                BatchOperation::Create(BatchCreate { task }),
                BatchOperation::Update(BatchUpdate { task_id: TaskId::example(), changes }),
                BatchOperation::Delete(BatchDelete { task_id: world::deleted_task() }),
            ],
        }
    }
}

/// Result of a batch.
#[derive(Debug, Clone, Object)]
pub struct TaskBatchResult {
    /// One result per operation, in order: the task, or `null` after a deletion.
    #[oai(validator(max_items = 100))]
    pub results: Vec<Option<Task>>,
}
