//! Tasks.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::task::batch::{TaskBatch, TaskBatchResult};
use crate::contract::task::query::{
    ProjectTaskCursorQuery, ProjectTaskQuery, TaskCursorPage, TaskCursorQuery, TaskQuery,
};
use crate::contract::task::{CreateTask, MoveTask, Task, TaskList, UpdateTask};
use crate::contract::{ProjectId, TaskId};
use crate::services::Services;

pub(in crate::api) struct TasksApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tasks")]
impl TasksApi {
    /// List the tasks of a project
    ///
    /// Returns the tasks of a project that match all filters, or with `deleted=true` those in its trash. Deprecated:
    /// pages shift when tasks are created or deleted, and later pages are slower. Use `listProjectTasksV2` instead.
    #[oai(path = "/projects/:project_id/tasks", method = "get", operation_id = "listProjectTasks", deprecated = true)]
    async fn list_in_project(
        &self,
        auth: Auth,
        project_id: PathParam<ProjectId>,
        query: QueryParams<ProjectTaskQuery>,
    ) -> Reply<OkJson<TaskList>> {
        let paging = query.0.paging;
        let page = self.services.tasks.list_in_project(auth.0, project_id.0, query.0).await?;
        Ok(OkJson::new(&TaskList::new(page, paging)))
    }

    /// Create a task
    ///
    /// Adds a task to the end of the project. Archived projects reject the request.
    #[oai(path = "/projects/:project_id/tasks", method = "post", operation_id = "createTask")]
    async fn create(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: JsonBody<CreateTask>,
    ) -> Reply<Created<Task>> {
        Ok(self.services.tasks.create(&write.0, project_id.0, body.0).await?.into())
    }

    /// Create, update and delete tasks in a batch
    ///
    /// Applies up to 100 operations to the tasks of a project, in order. Either all of them succeed or none is applied.
    /// An error names the operation by its index, as in `operations[3].title`. Archived
    /// projects reject the request.
    #[oai(path = "/projects/:project_id/tasks/batch", method = "post", operation_id = "batchTasks")]
    async fn batch(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: JsonBody<TaskBatch>,
    ) -> Reply<OkJson<TaskBatchResult>> {
        Ok(self.services.tasks.batch(&write.0, project_id.0, body.0).await?.into())
    }

    /// List all tasks
    ///
    /// Returns the tasks of all projects of the caller that match all filters. Deprecated: pages shift when tasks are
    /// created or deleted. Use `listTasksV2` instead.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasks", deprecated = true)]
    async fn list(&self, auth: Auth, query: QueryParams<TaskQuery>) -> Reply<OkJson<TaskList>> {
        let paging = query.0.paging;
        let page = self.services.tasks.list(auth.0, query.0).await?;
        Ok(OkJson::new(&TaskList::new(page, paging)))
    }

    /// Get a task
    ///
    /// Returns a task. Members of its project only.
    #[oai(path = "/tasks/:task_id", method = "get", operation_id = "getTask")]
    async fn get(&self, auth: Auth, task_id: PathParam<TaskId>) -> Reply<OkJson<Task>> {
        Ok(OkJson::with_etag(&self.services.tasks.get(auth.0, task_id.0).await?))
    }

    /// Update a task
    ///
    /// Changes the fields in the body and keeps the others, so concurrent updates of different fields both succeed.
    /// `completed_at` follows the status. Archived projects reject the request.
    #[oai(path = "/tasks/:task_id", method = "patch", operation_id = "updateTask")]
    async fn update(
        &self,
        write: AuthWrite,
        task_id: PathParam<TaskId>,
        body: JsonBody<UpdateTask>,
    ) -> Reply<OkJson<Task>> {
        Ok(self.services.tasks.update(&write.0, task_id.0, body.0).await?.into())
    }

    /// Delete a task
    ///
    /// Moves a task to the trash, where it can be restored for 30 days (configurable by the operator). Requires the
    /// editor role. Archived projects reject the request.
    #[oai(path = "/tasks/:task_id", method = "delete", operation_id = "deleteTask")]
    async fn delete(&self, write: AuthWrite, task_id: PathParam<TaskId>) -> Reply<NoContent> {
        Ok(self.services.tasks.delete(&write.0, task_id.0).await?.into())
    }

    /// Restore a task
    ///
    /// Restores a task from the trash. A task that is not in the trash is returned unchanged. After the retention
    /// period, or while its project is in the trash, the response is 404. An assignee who has left the project in the
    /// meantime is removed. Archived projects reject the request.
    #[oai(path = "/tasks/:task_id/restore", method = "post", operation_id = "restoreTask")]
    async fn restore(&self, write: AuthWrite, task_id: PathParam<TaskId>) -> Reply<OkJson<Task>> {
        Ok(self.services.tasks.restore(&write.0, task_id.0).await?.into())
    }

    /// Move a task
    ///
    /// Moves a task to another position in its project, to another project, or both. `before_id` or `after_id` is its
    /// new neighbour; without either the task moves to the end of the other project. An assignee who is not a member
    /// there is removed. A task that is already in place stays unchanged. Other tasks keep their versions and almost
    /// always their positions: nearby positions are redistributed only when there is no room left between two
    /// neighbours.
    ///
    /// Requires the role editor or owner in both projects, neither of which may be archived. If the caller does not own
    /// the source project, its owner must be a member of the target project; otherwise the request is rejected with
    /// 403.
    #[oai(path = "/tasks/:task_id/move", method = "post", operation_id = "moveTask")]
    async fn move_task(
        &self,
        write: AuthWrite,
        task_id: PathParam<TaskId>,
        body: JsonBody<MoveTask>,
    ) -> Reply<OkJson<Task>> {
        Ok(self.services.tasks.move_task(&write.0, task_id.0, body.0).await?.into())
    }
}

pub(in crate::api) struct TasksV2Api {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Tasks")]
impl TasksV2Api {
    /// List the tasks of a project by cursor
    ///
    /// Returns the tasks of a project that match all filters, or with `deleted=true` those in its trash. For the next
    /// page, pass `next_cursor` with the same filters and sort. A task whose sort value does not change in the meantime
    /// is returned exactly once, even while others are created or deleted, and a late page is as fast as the first.
    #[oai(path = "/projects/:project_id/tasks", method = "get", operation_id = "listProjectTasksV2")]
    async fn list_in_project(
        &self,
        auth: Auth,
        project_id: PathParam<ProjectId>,
        query: QueryParams<ProjectTaskCursorQuery>,
    ) -> Reply<OkJson<TaskCursorPage>> {
        Ok(OkJson::written(&self.services.tasks.list_project_by_cursor(auth.0, project_id.0, query.0).await?))
    }

    /// List all tasks by cursor
    ///
    /// Returns the tasks of all projects of the caller that match all filters. For the next page, pass `next_cursor`
    /// with the same filters and sort. A task whose sort value does not change in the meantime is returned exactly
    /// once, even while others are created or deleted.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasksV2")]
    async fn list(&self, auth: Auth, query: QueryParams<TaskCursorQuery>) -> Reply<OkJson<TaskCursorPage>> {
        Ok(OkJson::written(&self.services.tasks.list_by_cursor(auth.0, query.0).await?))
    }
}
