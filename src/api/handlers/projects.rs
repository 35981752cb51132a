//! Projects, with their trash.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::payload::{Body, Changing, Created, Done, Failure, Found, Patch, Query, Reaching, SignedIn, Usual};
use super::{Rules, Tag};
use crate::contract::ProjectId;
use crate::contract::list::{ListOf as _, ProjectList};
use crate::contract::project::{NewProject, Project, ProjectQuery, UpdateProject};

pub(in crate::api) struct ProjectsApi;

#[OpenApi(prefix_path = "/v1/projects", tag = "Tag::Projects")]
impl ProjectsApi {
    /// List projects
    ///
    /// Lists the projects of which the caller is a member; archived ones too, unless filtered.
    #[oai(path = "/", method = "get", operation_id = "listProjects")]
    async fn list(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        query: Query<ProjectQuery>,
    ) -> Result<Found<ProjectList>, Failure<Usual>> {
        let page = rules.projects.list(caller.0, &query.0).await?;
        Ok(Found(ProjectList::new(page, query.0.paging)))
    }

    /// Create a project
    ///
    /// Creates a project that the caller owns.
    #[oai(path = "/", method = "post", operation_id = "createProject")]
    async fn create(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        body: Body<NewProject>,
    ) -> Result<Created<Project>, Failure<Usual>> {
        let body = rules.projects.create(caller.0, body.0).await?;
        Ok(Created { location: format!("/v1/projects/{}", body.id), body })
    }

    /// Get a project
    ///
    /// Gives a project of which the caller is a member.
    #[oai(path = "/:project_id", method = "get", operation_id = "getProject")]
    async fn get(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        project_id: Path<ProjectId>,
    ) -> Result<Found<Project>, Failure<Reaching>> {
        Ok(Found(rules.projects.get(caller.0, project_id.0).await?))
    }

    /// Update a project
    ///
    /// Changes what the body names and leaves the rest. Only the owner may. While a project is archived, the only change
    /// accepted is `"archived": false`, optionally together with others.
    #[oai(path = "/:project_id", method = "patch", operation_id = "updateProject")]
    async fn update(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        project_id: Path<ProjectId>,
        body: Patch<UpdateProject>,
    ) -> Result<Found<Project>, Failure<Changing>> {
        Ok(Found(rules.projects.update(caller.0, project_id.0, body.0).await?))
    }

    /// Delete a project
    ///
    /// Puts a project into the trash, and its tasks with it. Only the owner may. It can be restored
    /// for 30 days, unless the operator keeps the trash shorter or longer.
    #[oai(path = "/:project_id", method = "delete", operation_id = "deleteProject")]
    async fn delete(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        project_id: Path<ProjectId>,
    ) -> Result<Done, Failure<Reaching>> {
        rules.projects.delete(caller.0, project_id.0).await?;
        Ok(Done)
    }

    /// Restore a project
    ///
    /// Takes a project out of the trash, with the tasks that were deleted with it; tasks that were in the trash before
    /// stay there. Only the owner may. A project that is not in the trash is left as it is; one that was there for too
    /// long is a 404.
    #[oai(path = "/:project_id/restore", method = "post", operation_id = "restoreProject")]
    async fn restore(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        project_id: Path<ProjectId>,
    ) -> Result<Found<Project>, Failure<Reaching>> {
        Ok(Found(rules.projects.restore(caller.0, project_id.0).await?))
    }
}
