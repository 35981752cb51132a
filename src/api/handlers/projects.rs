//! Projects, with their trash.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, MergePatch, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::ProjectId;
use crate::contract::page::ListOf as _;
use crate::contract::project::{NewProject, Project, ProjectList, ProjectQuery, UpdateProject};
use crate::services::Services;

pub(in crate::api) struct ProjectsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/projects", tag = "Tag::Projects")]
impl ProjectsApi {
    /// List projects
    ///
    /// Lists the projects of which the caller is a member; archived ones too, unless filtered.
    #[oai(path = "/", method = "get", operation_id = "listProjects")]
    async fn list(&self, auth: Auth, query: QueryParams<ProjectQuery>) -> Reply<OkJson<ProjectList>> {
        let page = self.services.projects.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&ProjectList::new(page, query.0.paging)))
    }

    /// Create a project
    ///
    /// Creates a project that the caller owns.
    #[oai(path = "/", method = "post", operation_id = "createProject")]
    async fn create(&self, write: AuthWrite, body: JsonBody<NewProject>) -> Reply<Created<Project>> {
        Ok(self.services.projects.create(&write.0, body.0).await?.into())
    }

    /// Get a project
    ///
    /// Gives a project of which the caller is a member.
    #[oai(path = "/:project_id", method = "get", operation_id = "getProject")]
    async fn get(&self, auth: Auth, project_id: PathParam<ProjectId>) -> Reply<OkJson<Project>> {
        Ok(OkJson::with_etag(&self.services.projects.get(auth.0, project_id.0).await?))
    }

    /// Update a project
    ///
    /// Changes what the body names and leaves the rest. Only the owner may. While a project is archived, the only change
    /// accepted is `"archived": false`, optionally together with others.
    #[oai(path = "/:project_id", method = "patch", operation_id = "updateProject")]
    async fn update(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: MergePatch<UpdateProject>,
    ) -> Reply<OkJson<Project>> {
        Ok(self.services.projects.update(&write.0, project_id.0, body.0).await?.into())
    }

    /// Delete a project
    ///
    /// Puts a project into the trash, and its tasks with it. Only the owner may. It can be restored
    /// for 30 days, unless the operator keeps the trash shorter or longer.
    #[oai(path = "/:project_id", method = "delete", operation_id = "deleteProject")]
    async fn delete(&self, write: AuthWrite, project_id: PathParam<ProjectId>) -> Reply<NoContent> {
        self.services.projects.delete(&write.0, project_id.0).await?;
        Ok(NoContent)
    }

    /// Restore a project
    ///
    /// Takes a project out of the trash, with the tasks that were deleted with it; tasks that were in the trash before
    /// stay there. Only the owner may. A project that is not in the trash is left as it is; one that was there for too
    /// long is a 404.
    #[oai(path = "/:project_id/restore", method = "post", operation_id = "restoreProject")]
    async fn restore(&self, write: AuthWrite, project_id: PathParam<ProjectId>) -> Reply<OkJson<Project>> {
        Ok(self.services.projects.restore(&write.0, project_id.0).await?.into())
    }
}
