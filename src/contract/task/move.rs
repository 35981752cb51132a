//! Moves of a task within its project or to another project.

use poem_openapi::Object;

use crate::contract::macros::example;
use crate::contract::{ProjectId, TaskId, world};

/// Destination of a task.
///
/// Without `before_id` and `after_id`, the task moves to the end of the given project, or stays if it is already there.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct MoveTask {
    /// Target project. Defaults to the current project of the task.
    pub project_id: Option<ProjectId>,
    /// Task of the target project to insert before. Cannot be combined with `after_id`.
    pub before_id: Option<TaskId>,
    /// Task of the target project to insert after. Cannot be combined with `before_id`.
    pub after_id: Option<TaskId>,
}

example!(MoveTask { project_id: None, before_id: None, after_id: Some(world::batch_task()) });
