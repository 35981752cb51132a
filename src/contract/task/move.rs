//! Moving a task.

use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::contract::{ProjectId, TaskId};

/// Where to move a task. Without `before_id` and `after_id` it goes to the end of another project, or stays.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct MoveTask {
    /// The project to move the task to; absent: the one that it is in.
    pub project_id: Option<ProjectId>,
    /// Places the task right before this one of that project. Not together with `after_id`.
    pub before_id: Option<TaskId>,
    /// Places the task right after this one of that project. Not together with `before_id`.
    pub after_id: Option<TaskId>,
}

impl Example for MoveTask {
    /// Where the task is already, so that it can be tried out.
    fn example() -> Self {
        Self { project_id: Some(ProjectId::example()), before_id: None, after_id: None }
    }
}
