//! Tasks, with their trash.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, MergePatch, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::task::batch::{TaskBatch, TaskBatchResult};
use crate::contract::task::query::{ProjectTaskQuery, TaskQuery};
use crate::contract::task::{MoveTask, NewTask, Task, TaskList, UpdateTask};
use crate::contract::{ProjectId, TaskId};
use crate::services::Services;

pub(in crate::api) struct TasksApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tasks")]
impl TasksApi {
    /// List the tasks of a project
    ///
    /// Lists the tasks of a project, or with `deleted=true` those in its trash. All filters must hold. Deprecated: its
    /// pages move when tasks come and go, and the later ones cost more; `listProjectTasksV2` has neither problem.
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
    /// Adds a task at the end of a project. Editors and the owner may, unless the project is archived.
    #[oai(path = "/projects/:project_id/tasks", method = "post", operation_id = "createTask")]
    async fn create(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: JsonBody<NewTask>,
    ) -> Reply<Created<Task>> {
        Ok(self.services.tasks.create(&write.0, project_id.0, body.0).await?.into())
    }

    /// Change many tasks at once
    ///
    /// Creates, changes and deletes up to 100 tasks of a project in their order, all or none. A failure names the
    /// operation by its index, as in `operations[3].title`. Editors and the owner may, unless the project is archived.
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
    /// Lists the tasks of all projects of which the caller is a member. All filters must hold. Deprecated: its pages
    /// move when tasks come and go; those of `listTasksV2` do not.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasks", deprecated = true)]
    async fn list(&self, auth: Auth, query: QueryParams<TaskQuery>) -> Reply<OkJson<TaskList>> {
        let paging = query.0.paging;
        let page = self.services.tasks.list(auth.0, query.0).await?;
        Ok(OkJson::new(&TaskList::new(page, paging)))
    }

    /// Get a task
    ///
    /// Gives a task of a project of which the caller is a member.
    #[oai(path = "/tasks/:task_id", method = "get", operation_id = "getTask")]
    async fn get(&self, auth: Auth, task_id: PathParam<TaskId>) -> Reply<OkJson<Task>> {
        Ok(OkJson::with_etag(&self.services.tasks.get(auth.0, task_id.0).await?))
    }

    /// Update a task
    ///
    /// Changes what the body names and leaves the rest, so two people who change different fields at once both
    /// succeed. `completed_at` follows the status. Editors and the owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id", method = "patch", operation_id = "updateTask")]
    async fn update(
        &self,
        write: AuthWrite,
        task_id: PathParam<TaskId>,
        body: MergePatch<UpdateTask>,
    ) -> Reply<OkJson<Task>> {
        Ok(self.services.tasks.update(&write.0, task_id.0, body.0).await?.into())
    }

    /// Delete a task
    ///
    /// Puts a task into the trash, from which it can be restored for 30 days, unless the operator keeps it shorter or
    /// longer. Editors and the owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id", method = "delete", operation_id = "deleteTask")]
    async fn delete(&self, write: AuthWrite, task_id: PathParam<TaskId>) -> Reply<NoContent> {
        self.services.tasks.delete(&write.0, task_id.0).await?;
        Ok(NoContent)
    }

    /// Restore a task
    ///
    /// Takes a task out of the trash. One that is not there is left as it is; one that was there for too long, or whose
    /// project is in the trash, is a 404. An assignee who has left the project meanwhile is taken off. Editors and the
    /// owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id/restore", method = "post", operation_id = "restoreTask")]
    async fn restore(&self, write: AuthWrite, task_id: PathParam<TaskId>) -> Reply<OkJson<Task>> {
        Ok(self.services.tasks.restore(&write.0, task_id.0).await?.into())
    }

    /// Move a task
    ///
    /// Moves a task to another place in its project, to another project, or both: `before_id` or `after_id` names its
    /// new neighbour there; without one it goes to the end of the other project. An assignee who is no member there is
    /// taken off. A task that is there already stays as it is. The others keep their versions, and all but always
    /// their positions: only where a gap was halved a hundred times are those nearby spread anew.
    ///
    /// Requires the role editor or owner in both projects, neither of which may be archived. If the caller does not own
    /// the source project, its owner must be a member of the target project; otherwise the request is rejected with 403.
    #[oai(path = "/tasks/:task_id/move", method = "post", operation_id = "moveTask")]
    async fn relocate(
        &self,
        write: AuthWrite,
        task_id: PathParam<TaskId>,
        body: JsonBody<MoveTask>,
    ) -> Reply<OkJson<Task>> {
        Ok(self.services.tasks.move_task(&write.0, task_id.0, body.0).await?.into())
    }
}
