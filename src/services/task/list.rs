//! Task lists: by offset and by cursor.

use super::Tasks;
use super::cursor::TaskCursorScope;
use crate::contract::ProjectId;
use crate::contract::error::ErrorLocation;
use crate::contract::page::{CursorMeta, CursorParams, Page, Paging, Sort};
use crate::contract::task::Task;
use crate::contract::task::query::TaskCursorPage;
use crate::contract::task::query::{
    AssigneeFilter, ProjectTaskCursorQuery, ProjectTaskQuery, TaskCursorQuery, TaskFilterParams, TaskQuery, TaskSort,
};
use crate::repositories::{Assignee, CursorPage, CursorRequest, ProjectTaskPage, TaskFilter, VisibleTaskPage};
use crate::services::caller::Caller;
use crate::services::error::Error;
use crate::services::event::cursor::EventCursorScope;
use crate::services::permissions::{Action, require};
use crate::services::read_limits::LimitedRead;
use crate::services::search;

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
        let tasks = self.project_page(caller, project, query.filter, sort, query.paging).await?;
        authorize_page(tasks, || Error::NotFound("project"))
    }

    /// Lists the tasks of all projects of which the caller is a member.
    pub async fn list(&self, caller: Caller, query: TaskQuery) -> Result<Page<Task>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        if let Some(project) = query.project_id {
            let tasks = self.project_page(caller, project, query.filter, sort, query.paging).await?;
            return authorize_page(tasks, unknown_project);
        }
        let filter = self.filter(caller, query.filter);
        let reader = self.0.read_unindexed(caller.user).await?;
        check_assignee_filter(reader.task_lists().list_visible(caller.user, &filter, sort, query.paging).await?)
    }

    /// Lists the tasks of a project by cursor.
    pub async fn list_project_by_cursor(
        &self,
        caller: Caller,
        project: ProjectId,
        query: ProjectTaskCursorQuery,
    ) -> Result<TaskCursorPage, Error> {
        let list = TaskCursorScope {
            reader: caller.user,
            path: "/v2/projects/{project_id}/tasks",
            project: Some(project),
            conditions: &query.filter,
            sort: Sort::new(query.sort, query.dir),
        };
        let (request, feed_position) = self.cursor_request(&list, &query.paging).await?;
        let filter = self.filter(caller, query.filter.clone());
        let reader = self.read_tasks(caller, &filter, 0).await?;
        let tasks = reader.task_lists().list_in_project_by_cursor(project, caller.user, &filter, &request).await?;
        let page = authorize_page(tasks, || Error::NotFound("project"))?;
        Ok(self.cursor_page(&list, &query.paging, page, feed_position))
    }

    /// Lists the tasks of all projects of which the caller is a member, by cursor.
    pub async fn list_by_cursor(&self, caller: Caller, query: TaskCursorQuery) -> Result<TaskCursorPage, Error> {
        let list = TaskCursorScope {
            reader: caller.user,
            path: "/v2/tasks",
            project: query.project_id,
            conditions: &query.filter,
            sort: Sort::new(query.sort, query.dir),
        };
        let (request, feed_position) = self.cursor_request(&list, &query.paging).await?;
        let filter = self.filter(caller, query.filter.clone());
        let page = if let Some(project) = query.project_id {
            let reader = self.read_tasks(caller, &filter, 0).await?;
            authorize_page(
                reader.task_lists().list_in_project_by_cursor(project, caller.user, &filter, &request).await?,
                unknown_project,
            )?
        } else {
            let reader = self.0.read_unindexed(caller.user).await?;
            check_assignee_filter(reader.task_lists().list_visible_by_cursor(caller.user, &filter, &request).await?)?
        };
        Ok(self.cursor_page(&list, &query.paging, page, feed_position))
    }

    /// Returns the storage request of a page, and the end of the feed when the first page was read.
    async fn cursor_request(
        &self,
        list: &TaskCursorScope<'_>,
        paging: &CursorParams,
    ) -> Result<(CursorRequest, i64), Error> {
        let (after, feed_position) = match &paging.cursor {
            Some(cursor) => {
                let (after, feed_position) = list.decode(&self.0.signer, cursor)?;
                (Some(after), feed_position)
            }
            None => (None, self.0.store.read().events().bounds().await?.end),
        };
        Ok((CursorRequest { sort: list.sort, after, limit: paging.limit }, feed_position))
    }

    fn cursor_page(
        &self,
        list: &TaskCursorScope<'_>,
        paging: &CursorParams,
        page: CursorPage,
        feed_position: i64,
    ) -> TaskCursorPage {
        let signer = &self.0.signer;
        let next_cursor = page.next.map(|key| list.encode(signer, &key, feed_position));
        let sync_cursor = EventCursorScope::ascending(list.reader).encode(signer, feed_position);
        let meta = CursorMeta { limit: paging.limit, has_more: next_cursor.is_some(), next_cursor, sync_cursor };
        TaskCursorPage { data: page.items, meta }
    }

    async fn project_page(
        &self,
        caller: Caller,
        project: ProjectId,
        conditions: TaskFilterParams,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTaskPage<Page<Task>>>, Error> {
        let filter = self.filter(caller, conditions);
        let reader = self.read_tasks(caller, &filter, paging.offset()).await?;
        Ok(reader.task_lists().list_in_project(project, caller.user, &filter, sort, paging).await?)
    }

    /// Returns repositories for the tasks of a project. Every sort order has an index; filters and large offsets scan.
    async fn read_tasks(&self, caller: Caller, filter: &TaskFilter, offset: u64) -> Result<LimitedRead<'_>, Error> {
        if filter.is_unfiltered() && offset <= MAX_INDEXED_OFFSET {
            return self.0.read_indexed(caller.user).await;
        }
        self.0.read_unindexed(caller.user).await
    }

    fn filter(&self, caller: Caller, conditions: TaskFilterParams) -> TaskFilter {
        TaskFilter {
            statuses: conditions.status.unwrap_or_default(),
            priorities: conditions.priority.unwrap_or_default(),
            assignee: conditions.assignee_id.map(|assignee| match assignee {
                AssigneeFilter::Me => Assignee::User(caller.user),
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
fn authorize_page<P>(tasks: Option<ProjectTaskPage<P>>, missing: impl FnOnce() -> Error) -> Result<P, Error> {
    let tasks = tasks.ok_or_else(missing)?;
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

/// Error for a project that is given as a query parameter.
fn unknown_project() -> Error {
    Error::reference(ErrorLocation::Query, "project_id", "must refer to an existing project.")
}
