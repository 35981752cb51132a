//! Projects.

pub(crate) mod counters;
pub(crate) mod invitations;
pub(crate) mod members;

use std::sync::Arc;

use crate::contract::ProjectId;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::event::EventType;
use crate::contract::page::{Page, Sort};
use crate::contract::project::{CreateProject, Project, ProjectQuery, Role, TaskCounts, UpdateProject};
use crate::repositories::{CounterDelta, ProjectFilter, Repositories, ResourceRef, project_bytes};
use crate::services::event::publish::without_caller_role;
use crate::services::idempotency::fresh;
use crate::services::patch::merge;
use crate::services::permissions::{Action, require, require_for_change};
use crate::services::search;
use crate::services::{
    Caller, Error, NewAuditEntry, ReplayAccess, ServiceContext, WriteContext, WriteOutcome, lock_caller,
};

/// Projects.
#[derive(Clone)]
pub struct Projects(pub(crate) Arc<ServiceContext>);

impl Projects {
    /// Lists the projects of which the caller is a member.
    pub async fn list(&self, caller: Caller, query: &ProjectQuery) -> Result<Page<Project>, Error> {
        let filter = ProjectFilter {
            archived: query.archived,
            role: query.role,
            terms: search::terms(query.q.as_deref()),
            deleted_since: query.deleted.then(|| self.0.trash_cutoff()),
        };
        let sort = Sort::new(query.sort, query.dir);
        Ok(self.0.read_unindexed(caller.user).await?.projects().list(caller.user, &filter, sort, query.paging).await?)
    }

    /// Returns a project.
    pub async fn get(&self, caller: Caller, id: ProjectId) -> Result<Project, Error> {
        find_authorized(Action::Read, self.0.store.read(), caller, id).await
    }

    /// Creates a project owned by the caller.
    pub async fn create(&self, write: &WriteContext, new: CreateProject) -> Result<WriteOutcome<Project>, Error> {
        let now = self.0.clock.now();
        let project = Project {
            id: ProjectId::generate(),
            name: new.name,
            description: new.description,
            color: new.color,
            archived: new.archived,
            owner_id: write.caller.user,
            role: Some(Role::Owner),
            deleted_at: None,
            task_counts: TaskCounts { total: 0, done: 0 },
            completion_percentage: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let unit = fresh!(self.0.begin(write).await?);
        lock_caller(&*unit, write.caller).await?;
        self.0.policy.quotas.require_new_project(&*unit, project.owner_id, project_bytes(&project)).await?;
        unit.projects().add(&project).await?;
        let event =
            write.event_context(now).created(EventType::ProjectCreated, project.id, &without_caller_role(&project));
        unit.publish_and_commit(
            WriteOutcome::current(&project).created(ResourceRef::Project(project.id)),
            ReplayAccess::Project(project.id, Action::ChangeProject),
            &[event],
        )
        .await
    }

    /// Updates a project.
    /// An archived project accepts changes only together with `archived: false`.
    pub async fn update(
        &self,
        write: &WriteContext,
        id: ProjectId,
        patch: UpdateProject,
    ) -> Result<WriteOutcome<Project>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let project = lock_active(&*unit, write.caller, id).await?;
        require(project.role, Action::ChangeProject)?;
        let mut changed = Project {
            name: patch.name.unwrap_or_else(|| project.name.clone()),
            description: merge(patch.description, project.description.as_ref()),
            color: merge(patch.color, project.color.as_ref()),
            archived: patch.archived.unwrap_or(project.archived),
            ..project.clone()
        };
        let is_changed = changed != project;
        let stays_archived = project.archived && changed.archived;
        require_for_change(project.role, Action::ChangeProject, is_changed && stays_archived)?;
        write.check_if_match(&project)?;
        if !is_changed {
            return unit.unchanged(WriteOutcome::current(&project)).await;
        }
        changed.version += 1;
        changed.updated_at = self.0.clock.now();
        let bytes = project_bytes(&changed) - project_bytes(&project);
        self.0.policy.quotas.require_text(&*unit, project.owner_id, bytes).await?;
        unit.projects().update(&changed).await?;
        if bytes != 0 {
            unit.projects().adjust_counters(id, CounterDelta { bytes, ..CounterDelta::default() }, None).await?;
        }
        let event =
            write.event_context(changed.updated_at).project_event(EventType::ProjectUpdated, &project, &changed);
        unit.publish_and_commit(
            WriteOutcome::current(&changed),
            ReplayAccess::Project(id, Action::ChangeProject),
            &[event],
        )
        .await
    }

    /// Soft-deletes a project and its contents.
    pub async fn delete(&self, write: &WriteContext, id: ProjectId) -> Result<WriteOutcome<()>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let project = lock_active(&*unit, write.caller, id).await?;
        require_for_change(project.role, Action::DeleteProject, project.archived)?;
        write.check_if_match(&project)?;
        let now = self.0.clock.now();
        let deleted =
            Project { deleted_at: Some(now), updated_at: now, version: project.version + 1, ..project.clone() };
        unit.projects().update(&deleted).await?;
        let entry = NewAuditEntry::by_caller(AuditEntryType::ProjectDeleted, write).in_project(id);
        self.0.audit(&*unit, entry, now).await?;
        let event = write.event_context(now).project_event(EventType::ProjectDeleted, &project, &deleted);
        unit.publish_and_commit(WriteOutcome::done(), ReplayAccess::Project(id, Action::DeleteProject), &[event]).await
    }

    /// Restores a soft-deleted project, or returns an active one unchanged.
    pub async fn restore(&self, write: &WriteContext, id: ProjectId) -> Result<WriteOutcome<Project>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        lock_caller(&*unit, write.caller).await?;
        let since = self.0.trash_cutoff();
        let project = lock(&*unit, write.caller, id).await?;
        let project = project
            .filter(|project| project.deleted_at.is_none_or(|at| at > since))
            .ok_or(Error::NotFound("project"))?;
        require_for_change(project.role, Action::DeleteProject, project.archived)?;
        if project.deleted_at.is_none() {
            return unit.unchanged(WriteOutcome::current(&project)).await;
        }
        let now = self.0.clock.now();
        let restored = Project { deleted_at: None, updated_at: now, version: project.version + 1, ..project.clone() };
        self.0.policy.quotas.require_restored_project(&*unit, project.owner_id).await?;
        unit.projects().update(&restored).await?;
        let entry = NewAuditEntry::by_caller(AuditEntryType::ProjectRestored, write).in_project(id);
        self.0.audit(&*unit, entry, now).await?;
        let event = write.event_context(now).project_event(EventType::ProjectRestored, &project, &restored);
        unit.publish_and_commit(
            WriteOutcome::current(&restored),
            ReplayAccess::Project(id, Action::DeleteProject),
            &[event],
        )
        .await
    }
}

/// Finds a project that is not deleted, and checks a permission to read.
pub(crate) async fn find_authorized(
    action: Action,
    repositories: &dyn Repositories,
    caller: Caller,
    id: ProjectId,
) -> Result<Project, Error> {
    let project = ensure_not_deleted(repositories.projects().find(id, caller.user).await?)?;
    require(project.role, action)?;
    Ok(project)
}

/// Locks a project that is not deleted.
pub(crate) async fn lock_active(
    repositories: &dyn Repositories,
    caller: Caller,
    id: ProjectId,
) -> Result<Project, Error> {
    ensure_not_deleted(lock(repositories, caller, id).await?)
}

fn ensure_not_deleted(project: Option<Project>) -> Result<Project, Error> {
    project.filter(|project| project.deleted_at.is_none()).ok_or(Error::NotFound("project"))
}

async fn lock(repositories: &dyn Repositories, caller: Caller, id: ProjectId) -> Result<Option<Project>, Error> {
    Ok(repositories.projects().lock(id, caller.user).await?.map(|locked| locked.project))
}
