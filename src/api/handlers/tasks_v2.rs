//! Task lists with cursors.

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
        Ok(OkJson::new(&self.services.tasks.list_project_by_cursor(auth.0, project_id.0, query.0).await?))
    }

    /// List all tasks by cursor
    ///
    /// Returns the tasks of all projects of the caller that match all filters. For the next page, pass `next_cursor`
    /// with the same filters and sort. A task whose sort value does not change in the meantime is returned exactly
    /// once, even while others are created or deleted.
    #[oai(path = "/tasks", method = "get", operation_id = "listTasksV2")]
    async fn list(&self, auth: Auth, query: QueryParams<TaskCursorQuery>) -> Reply<OkJson<TaskCursorPage>> {
        Ok(OkJson::new(&self.services.tasks.list_by_cursor(auth.0, query.0).await?))
    }
}
