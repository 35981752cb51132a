//! Projects.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::ProjectId;
use crate::contract::page::ListOf as _;
use crate::contract::project::{CreateProject, Project, ProjectList, ProjectQuery, UpdateProject};
use crate::services::Services;

pub(in crate::api) struct ProjectsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/projects", tag = "Tag::Projects")]
impl ProjectsApi {
    /// List projects
    ///
    /// Returns the projects the caller is a member of. Archived projects are included unless filtered out.
    #[oai(path = "/", method = "get", operation_id = "listProjects")]
    async fn list(&self, auth: Auth, query: QueryParams<ProjectQuery>) -> Reply<OkJson<ProjectList>> {
        let page = self.services.projects.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&ProjectList::new(page, query.0.paging)))
    }

    /// Create a project
    ///
    /// Creates a project owned by the caller.
    #[oai(path = "/", method = "post", operation_id = "createProject")]
    async fn create(&self, write: AuthWrite, body: JsonBody<CreateProject>) -> Reply<Created<Project>> {
        Ok(self.services.projects.create(&write.0, body.0).await?.into())
    }

    /// Get a project
    ///
    /// Returns a project. Members only.
    #[oai(path = "/:project_id", method = "get", operation_id = "getProject")]
    async fn get(&self, auth: Auth, project_id: PathParam<ProjectId>) -> Reply<OkJson<Project>> {
        Ok(OkJson::with_etag(&self.services.projects.get(auth.0, project_id.0).await?))
    }

    /// Update a project
    ///
    /// Changes the fields in the body and keeps the others. Owner only. An archived project only accepts `"archived":
    /// false`, alone or together with other changes.
    #[oai(path = "/:project_id", method = "patch", operation_id = "updateProject")]
    async fn update(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: JsonBody<UpdateProject>,
    ) -> Reply<OkJson<Project>> {
        Ok(self.services.projects.update(&write.0, project_id.0, body.0).await?.into())
    }

    /// Delete a project
    ///
    /// Moves a project and its tasks to the trash, where they can be restored for 30 days (configurable by the
    /// operator). Owner only.
    #[oai(path = "/:project_id", method = "delete", operation_id = "deleteProject")]
    async fn delete(&self, write: AuthWrite, project_id: PathParam<ProjectId>) -> Reply<NoContent> {
        Ok(self.services.projects.delete(&write.0, project_id.0).await?.into())
    }

    /// Restore a project
    ///
    /// Restores a project from the trash, together with the tasks that were deleted with it; tasks deleted earlier stay
    /// in the trash. Owner only. A project that is not in the trash is returned unchanged. After the retention period
    /// the response is 404.
    #[oai(path = "/:project_id/restore", method = "post", operation_id = "restoreProject")]
    async fn restore(&self, write: AuthWrite, project_id: PathParam<ProjectId>) -> Reply<OkJson<Project>> {
        Ok(self.services.projects.restore(&write.0, project_id.0).await?.into())
    }
}
