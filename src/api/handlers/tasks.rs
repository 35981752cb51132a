//! Tasks, with their trash.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::payload::{Body, Changing, Created, Done, Failure, Filtering, Found, Patch, Query, Reaching, SignedIn};
use super::{Rules, Tag};
use crate::contract::list::{ListOf as _, TaskList};
use crate::contract::task::{NewTask, ProjectTaskQuery, Task, TaskQuery, UpdateTask};
use crate::contract::{ProjectId, TaskId};

pub(in crate::api) struct TasksApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tasks")]
impl TasksApi {
    /// List the tasks of a project
    ///
    /// Lists the tasks of a project, or with `deleted=true` those in its trash. All filters must hold.
    #[oai(path = "/projects/:project_id/tasks", method = "get", operation_id = "listProjectTasks")]
    async fn list_in_project(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        project_id: Path<ProjectId>,
        query: Query<ProjectTaskQuery>,
    ) -> Result<Found<TaskList>, Failure<Reaching>> {
        let paging = query.0.paging;
        let page = rules.tasks.list_in_project(caller.0, project_id.0, query.0).await?;
        Ok(Found(TaskList::new(page, paging)))
    }

    /// Create a task
    ///
    /// Adds a task at the end of a project. Editors and the owner may, unless the project is archived.
    #[oai(path = "/projects/:project_id/tasks", method = "post", operation_id = "createTask")]
    async fn create(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        project_id: Path<ProjectId>,
        body: Body<NewTask>,
    ) -> Result<Created<Task>, Failure<Changing>> {
        let body = rules.tasks.create(caller.0, project_id.0, body.0).await?;
        Ok(Created { location: format!("/v1/tasks/{}", body.id), body })
    }

    /// List all tasks
    ///
    /// Lists the tasks of all projects of which the caller is a member. All filters must hold.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasks")]
    async fn list(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        query: Query<TaskQuery>,
    ) -> Result<Found<TaskList>, Failure<Filtering>> {
        let paging = query.0.paging;
        let page = rules.tasks.list(caller.0, query.0).await?;
        Ok(Found(TaskList::new(page, paging)))
    }

    /// Get a task
    ///
    /// Gives a task of a project of which the caller is a member.
    #[oai(path = "/tasks/:task_id", method = "get", operation_id = "getTask")]
    async fn get(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        task_id: Path<TaskId>,
    ) -> Result<Found<Task>, Failure<Reaching>> {
        Ok(Found(rules.tasks.get(caller.0, task_id.0).await?))
    }

    /// Update a task
    ///
    /// Changes what the body names and leaves the rest, so two people who change different fields at once both
    /// succeed. `completed_at` follows the status. Editors and the owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id", method = "patch", operation_id = "updateTask")]
    async fn update(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        task_id: Path<TaskId>,
        body: Patch<UpdateTask>,
    ) -> Result<Found<Task>, Failure<Changing>> {
        Ok(Found(rules.tasks.update(caller.0, task_id.0, body.0).await?))
    }

    /// Delete a task
    ///
    /// Puts a task into the trash, from which it can be restored for 30 days, unless the operator keeps it shorter or
    /// longer. Editors and the owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id", method = "delete", operation_id = "deleteTask")]
    async fn delete(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        task_id: Path<TaskId>,
    ) -> Result<Done, Failure<Changing>> {
        rules.tasks.delete(caller.0, task_id.0).await?;
        Ok(Done)
    }

    /// Restore a task
    ///
    /// Takes a task out of the trash. One that is not there is left as it is; one that was there for too long, or whose
    /// project is in the trash, is a 404. An assignee who has left the project meanwhile is taken off. Editors and the
    /// owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id/restore", method = "post", operation_id = "restoreTask")]
    async fn restore(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        task_id: Path<TaskId>,
    ) -> Result<Found<Task>, Failure<Changing>> {
        Ok(Found(rules.tasks.restore(caller.0, task_id.0).await?))
    }
}
