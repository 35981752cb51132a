//! Lists of tasks that are walked by cursors.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::extract::{Auth, QueryParams};
use super::respond::{Failure, Found, Walking, WalkingAll};
use super::{Service, Tag};
use crate::contract::ProjectId;
use crate::contract::task::query::{ProjectTaskCursorQuery, TaskCursorPage, TaskCursorQuery};

pub(in crate::api) struct TasksV2Api;

#[OpenApi(prefix_path = "/v2", tag = "Tag::Tasks")]
impl TasksV2Api {
    /// List the tasks of a project by cursors
    ///
    /// Lists the tasks of a project, or with `deleted=true` those in its trash. All filters must hold. To go on, ask
    /// again with the `next_cursor` of the page before and the same filters and sort. Every task whose sort value does not
    /// change meanwhile is given exactly once, whatever is created or deleted, and a late page costs no more than
    /// the first.
    #[oai(path = "/projects/:project_id/tasks", method = "get", operation_id = "listProjectTasksV2")]
    async fn walk_project(
        &self,
        caller: Auth,
        services: Service<'_>,
        project_id: Path<ProjectId>,
        query: QueryParams<ProjectTaskCursorQuery>,
    ) -> Result<Found<TaskCursorPage>, Failure<Walking>> {
        Ok(Found(services.tasks.list_project_by_cursor(caller.0, project_id.0, query.0).await?))
    }

    /// List all tasks by cursors
    ///
    /// Lists the tasks of all projects of which the caller is a member. All filters must hold. To go on, ask again with
    /// the `next_cursor` of the page before and the same filters and sort. Every task whose sort value does not change
    /// meanwhile is given exactly once, whatever is created or deleted.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasksV2")]
    async fn walk_visible(
        &self,
        caller: Auth,
        services: Service<'_>,
        query: QueryParams<TaskCursorQuery>,
    ) -> Result<Found<TaskCursorPage>, Failure<WalkingAll>> {
        Ok(Found(services.tasks.list_by_cursor(caller.0, query.0).await?))
    }
}
