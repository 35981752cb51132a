//! Lists of tasks: what a caller asks for, in the words of storage.

use super::Caller;
use super::error::Error;
use super::permissions::{Action, require};
use super::projects::words;
use super::tasks::Tasks;
use crate::contract::ProjectId;
use crate::contract::error::Place;
use crate::contract::list::{Page, Paging, Sort};
use crate::contract::task::{AssigneeFilter, ProjectTaskQuery, Task, TaskConditions, TaskQuery, TaskSort};
use crate::repositories::{Assignee, ProjectTasks, TaskFilter};

impl Tasks {
    /// The tasks of one project.
    pub async fn list_in_project(
        &self,
        caller: Caller,
        project: ProjectId,
        query: ProjectTaskQuery,
    ) -> Result<Page<Task>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        let tasks = self.tasks_of(caller, project, query.conditions, sort, query.paging).await?;
        let tasks = tasks.ok_or(Error::NotFound("project"))?;
        require(tasks.role, Action::Read)?;
        known_assignee(tasks.assignee_known)?;
        Ok(tasks.page)
    }

    /// The tasks of all projects of which the caller is a member.
    pub async fn list(&self, caller: Caller, query: TaskQuery) -> Result<Page<Task>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        if let Some(project) = query.project_id {
            let tasks = self.tasks_of(caller, project, query.conditions, sort, query.paging).await?;
            // Here the project is no address but a part of the question.
            let tasks = tasks.ok_or_else(|| Error::reference(Place::Query, "project_id", "names no project."))?;
            require(tasks.role, Action::Read)?;
            known_assignee(tasks.assignee_known)?;
            return Ok(tasks.page);
        }
        let filter = self.filter(caller, query.conditions);
        let tasks = self.store().read().tasks().list_visible(caller.user, &filter, sort, query.paging).await?;
        if !tasks.assignee_known {
            return Err(Error::reference(Place::Query, "assignee_id", "names nobody who shares a project with you."));
        }
        Ok(tasks.page)
    }

    async fn tasks_of(
        &self,
        caller: Caller,
        project: ProjectId,
        conditions: TaskConditions,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTasks>, Error> {
        let filter = self.filter(caller, conditions);
        Ok(self.store().read().tasks().list_in_project(project, caller.user, &filter, sort, paging).await?)
    }

    fn filter(&self, caller: Caller, conditions: TaskConditions) -> TaskFilter {
        TaskFilter {
            statuses: conditions.status.unwrap_or_default(),
            priorities: conditions.priority.unwrap_or_default(),
            assignee: conditions.assignee_id.map(|assignee| match assignee {
                AssigneeFilter::Me => Assignee::User(caller.user),
                AssigneeFilter::User(id) => Assignee::User(id),
                AssigneeFilter::Nobody => Assignee::Nobody,
            }),
            labels: conditions.label.unwrap_or_default(),
            due_before: conditions.due_before,
            due_after: conditions.due_after,
            created_after: conditions.created_after,
            updated_after: conditions.updated_after,
            words: words(conditions.q.as_deref()),
            deleted_since: conditions.deleted.then(|| self.trash_since()),
        }
    }
}

fn known_assignee(known: bool) -> Result<(), Error> {
    if known {
        return Ok(());
    }
    Err(Error::reference(Place::Query, "assignee_id", "names no member of the project."))
}
