//! Projects, with their trash.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::extract::{Auth, IdempotentWrite, IfMatch, IfNoneMatch, JsonBody, MergePatch, QueryParams};
use super::respond::{Changing, Done, Failure, Found, Fresh, Made, Matching, Reaching, Tagged, Usual};
use super::{Service, Tag};
use crate::contract::ProjectId;
use crate::contract::page::ListOf as _;
use crate::contract::project::{NewProject, Project, ProjectList, ProjectQuery, UpdateProject};
use crate::contract::resource::StaleProject;
use crate::services::{Answer, WriteContext};

pub(in crate::api) struct ProjectsApi;

#[OpenApi(prefix_path = "/v1/projects", tag = "Tag::Projects")]
impl ProjectsApi {
    /// List projects
    ///
    /// Lists the projects of which the caller is a member; archived ones too, unless filtered.
    #[oai(path = "/", method = "get", operation_id = "listProjects")]
    async fn list(
        &self,
        caller: Auth,
        services: Service<'_>,
        query: QueryParams<ProjectQuery>,
    ) -> Result<Found<ProjectList>, Failure<Usual>> {
        let page = services.projects.list(caller.0, &query.0).await?;
        Ok(Found(ProjectList::new(page, query.0.paging)))
    }

    /// Create a project
    ///
    /// Creates a project that the caller owns.
    #[oai(path = "/", method = "post", operation_id = "createProject")]
    async fn create(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        body: JsonBody<NewProject>,
    ) -> Result<Made<Project>, Failure<Reaching>> {
        Ok(Made(services.projects.create(&write.0, body.0).await?))
    }

    /// Get a project
    ///
    /// Gives a project of which the caller is a member.
    #[oai(path = "/:project_id", method = "get", operation_id = "getProject")]
    async fn get(
        &self,
        caller: Auth,
        services: Service<'_>,
        #[oai(name = "If-None-Match")] known: IfNoneMatch,
        project_id: Path<ProjectId>,
    ) -> Result<Fresh<Project>, Failure<Reaching>> {
        let project = services.projects.get(caller.0, project_id.0).await?;
        Ok(Fresh { answer: Answer::found(&project), known: known.0 })
    }

    /// Update a project
    ///
    /// Changes what the body names and leaves the rest. Only the owner may. While a project is archived, the only change
    /// accepted is `"archived": false`, optionally together with others.
    #[oai(path = "/:project_id", method = "patch", operation_id = "updateProject")]
    async fn update(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        project_id: Path<ProjectId>,
        body: MergePatch<UpdateProject>,
    ) -> Result<Tagged<Project>, Failure<Matching<Changing, StaleProject>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        Ok(Tagged(services.projects.update(&write, project_id.0, body.0).await?))
    }

    /// Delete a project
    ///
    /// Puts a project into the trash, and its tasks with it. Only the owner may. It can be restored
    /// for 30 days, unless the operator keeps the trash shorter or longer.
    #[oai(path = "/:project_id", method = "delete", operation_id = "deleteProject")]
    async fn delete(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        project_id: Path<ProjectId>,
    ) -> Result<Done, Failure<Matching<Reaching, StaleProject>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        services.projects.delete(&write, project_id.0).await?;
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
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        project_id: Path<ProjectId>,
    ) -> Result<Tagged<Project>, Failure<Reaching>> {
        Ok(Tagged(services.projects.restore(&write.0, project_id.0).await?))
    }
}
