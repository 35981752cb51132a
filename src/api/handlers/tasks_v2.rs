//! Lists of tasks that are walked by cursors.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, PathParam, QueryParams};
use crate::api::respond::OkJson;
use crate::contract::ProjectId;
use crate::contract::task::query::{ProjectTaskCursorQuery, TaskCursorPage, TaskCursorQuery};
use crate::services::Services;

pub(in crate::api) struct TasksV2Api {
    pub(super) services: Arc<Services>,
}

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
        auth: Auth,
        project_id: PathParam<ProjectId>,
        query: QueryParams<ProjectTaskCursorQuery>,
    ) -> Reply<OkJson<TaskCursorPage>> {
        Ok(OkJson::new(&self.services.tasks.list_project_by_cursor(auth.0, project_id.0, query.0).await?))
    }

    /// List all tasks by cursors
    ///
    /// Lists the tasks of all projects of which the caller is a member. All filters must hold. To go on, ask again with
    /// the `next_cursor` of the page before and the same filters and sort. Every task whose sort value does not change
    /// meanwhile is given exactly once, whatever is created or deleted.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasksV2")]
    async fn walk_visible(&self, auth: Auth, query: QueryParams<TaskCursorQuery>) -> Reply<OkJson<TaskCursorPage>> {
        Ok(OkJson::new(&self.services.tasks.list_by_cursor(auth.0, query.0).await?))
    }
}
