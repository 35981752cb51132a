//! Task lists: by offset and by cursor.

use super::Tasks;
use super::cursor::TaskCursorScope;
use crate::contract::error::ErrorLocation;
use crate::contract::page::{CursorMeta, CursorParams, Page, Paging, Sort};
use crate::contract::task::Task;
use crate::contract::task::query::TaskCursorPage;
use crate::contract::task::query::{
    AssigneeFilter, ProjectTaskCursorQuery, ProjectTaskQuery, TaskCursorQuery, TaskFilterParams, TaskQuery, TaskSort,
};
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Assignee, CursorRequest, ProjectTaskPage, TaskFilter, VisibleTaskPage};
use crate::services::event::cursor::EventCursorScope;
use crate::services::permissions::{Action, require};
use crate::services::read_limits::LimitedRead;
use crate::services::search;
use crate::services::{Caller, Error};

/// Maximum offset of an indexed read, which skips that many rows.
const MAX_INDEXED_OFFSET: u64 = 1_000;

impl Tasks {
    /// Lists the tasks of a project.
    pub async fn list_in_project(
        &self,
        caller: Caller,
        project: ProjectId,
        query: ProjectTaskQuery,
    ) -> Result<Page<Task>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        let filter = self.filter(caller.user, query.filter);
        self.page(caller.user, Some(project), &filter, sort, query.paging, unknown_path_project).await
    }

    /// Lists the tasks of all projects of which the caller is a member.
    pub async fn list(&self, caller: Caller, query: TaskQuery) -> Result<Page<Task>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        let filter = self.filter(caller.user, query.filter);
        self.page(caller.user, query.project_id, &filter, sort, query.paging, unknown_project).await
    }

    /// Lists the tasks of a project by cursor.
    pub async fn list_project_by_cursor(
        &self,
        caller: Caller,
        project: ProjectId,
        query: ProjectTaskCursorQuery,
    ) -> Result<TaskCursorPage, Error> {
        let scope = TaskCursorScope {
            reader: caller.user,
            list: "project",
            project: Some(project),
            conditions: query.filter,
            sort: Sort::new(query.sort, query.dir),
            epoch: None,
        };
        self.cursor_page(scope, &query.paging, unknown_path_project).await
    }

    /// Lists the tasks of all projects of which the caller is a member, by cursor.
    pub async fn list_by_cursor(&self, caller: Caller, query: TaskCursorQuery) -> Result<TaskCursorPage, Error> {
        let scope = TaskCursorScope {
            reader: caller.user,
            list: "all",
            project: query.project_id,
            conditions: query.filter,
            sort: Sort::new(query.sort, query.dir),
            epoch: None,
        };
        self.cursor_page(scope, &query.paging, unknown_project).await
    }

    async fn page(
        &self,
        reader: UserId,
        project: Option<ProjectId>,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
        unknown: fn() -> Error,
    ) -> Result<Page<Task>, Error> {
        let Some(project) = project else {
            let repositories = self.0.read_unindexed(reader).await?;
            return check_assignee_filter(repositories.task_lists().list_visible(reader, filter, sort, paging).await?);
        };
        let repositories = self.read_tasks(reader, filter, paging.offset()).await?;
        authorize_page(repositories.task_lists().list_in_project(project, reader, filter, sort, paging).await?, unknown)
    }

    /// Returns a page of a list whose epoch is not known yet.
    async fn cursor_page(
        &self,
        mut scope: TaskCursorScope,
        paging: &CursorParams,
        unknown: fn() -> Error,
    ) -> Result<TaskCursorPage, Error> {
        let (reader, signer) = (scope.reader, &self.0.signer);
        let filter = self.filter(reader, scope.conditions.clone());
        let mut request = CursorRequest { sort: scope.sort, after: None, limit: paging.limit };
        // Sync starts where the feed ended before the first page was read.
        let mut first_end = None;
        let mut feed = None;
        if paging.cursor.is_some() || scope.project.is_none() {
            let bounds = self.0.store.read().events().bounds().await?;
            (scope.epoch, feed) = (bounds.epoch, Some(bounds));
        }
        if let Some(cursor) = &paging.cursor {
            let (after, feed_end) = scope.decode(signer, cursor)?;
            (request.after, first_end) = (Some(after), Some(feed_end));
        }
        let page = if let Some(project) = scope.project {
            let repositories = self.read_tasks(reader, &filter, 0).await?;
            let found = repositories.task_lists().list_in_project_by_cursor(project, reader, &filter, &request).await?;
            feed = feed.or(found.as_ref().map(|found| found.feed));
            authorize_page(found, unknown)?
        } else {
            let repositories = self.0.read_unindexed(reader).await?;
            check_assignee_filter(repositories.task_lists().list_visible_by_cursor(reader, &filter, &request).await?)?
        };
        scope.epoch = feed.and_then(|feed| feed.epoch);
        let feed_end = first_end.or(feed.map(|feed| feed.end)).unwrap_or_default();
        let next_cursor = page.next.map(|key| scope.encode(signer, &key, feed_end));
        let sync_cursor = EventCursorScope::ascending(reader, scope.epoch).encode(signer, feed_end);
        let meta = CursorMeta { limit: paging.limit, has_more: next_cursor.is_some(), next_cursor, sync_cursor };
        Ok(TaskCursorPage { data: page.items, meta })
    }

    /// Returns repositories for the tasks of a project.
    /// Every sort order has an index; filters and large offsets scan.
    async fn read_tasks(&self, reader: UserId, filter: &TaskFilter, offset: u64) -> Result<LimitedRead<'_>, Error> {
        if filter.is_unfiltered() && offset <= MAX_INDEXED_OFFSET {
            return self.0.read_indexed(reader).await;
        }
        self.0.read_unindexed(reader).await
    }

    fn filter(&self, reader: UserId, conditions: TaskFilterParams) -> TaskFilter {
        TaskFilter {
            statuses: conditions.status.unwrap_or_default(),
            priorities: conditions.priority.unwrap_or_default(),
            assignee: conditions.assignee_id.map(|assignee| match assignee {
                AssigneeFilter::Me => Assignee::User(reader),
                AssigneeFilter::User(id) => Assignee::User(id),
                AssigneeFilter::Unassigned => Assignee::Unassigned,
            }),
            labels: conditions.label.unwrap_or_default(),
            due_before: conditions.due_before,
            due_after: conditions.due_after,
            created_after: conditions.created_after,
            updated_after: conditions.updated_after,
            terms: search::terms(conditions.q.as_deref()),
            deleted_since: conditions.deleted.then(|| self.0.trash_cutoff()),
            not_archived: false,
        }
    }
}

/// Checks access to the project of a page, and the assignee filter.
fn authorize_page<P>(tasks: Option<ProjectTaskPage<P>>, unknown: fn() -> Error) -> Result<P, Error> {
    let tasks = tasks.ok_or_else(unknown)?;
    require(tasks.role, Action::Read)?;
    if tasks.assignee_is_valid {
        return Ok(tasks.page);
    }
    Err(Error::reference(ErrorLocation::Query, "assignee_id", "must be a member of the project."))
}

fn check_assignee_filter<P>(tasks: VisibleTaskPage<P>) -> Result<P, Error> {
    if tasks.assignee_is_valid {
        return Ok(tasks.page);
    }
    Err(Error::reference(ErrorLocation::Query, "assignee_id", "must be a user who shares a project with you."))
}

fn unknown_path_project() -> Error {
    Error::NotFound("project")
}

/// Error for a project that is given as a query parameter.
fn unknown_project() -> Error {
    Error::reference(ErrorLocation::Query, "project_id", "must refer to an existing project.")
}
