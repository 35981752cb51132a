//! Batch of task operations in one transaction: all or none.

use std::collections::HashSet;

use super::{
    Tasks, apply_patch, confirms_assignee, done_delta, ensure_not_deleted, lock_project_for_write, new_task,
    require_member, require_membership_of, soft_deleted,
};
use crate::contract::error::ErrorLocation;
use crate::contract::event::EventType;
use crate::contract::project::Project;
use crate::contract::task::batch::{BatchOperation, TaskBatch, TaskBatchResult};
use crate::contract::task::{CreateTask, Task, UpdateTask};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{Completion, CounterDelta, NewEvent, task_bytes};
use crate::services::event::publish::EventContext;
use crate::services::idempotency::fresh;
use crate::services::permissions::{Action, require};
use crate::services::project::counters::CounterChange;
use crate::services::{Error, ReplayAccess, UnitOfWork, WriteContext, WriteOutcome};

struct Batch<'a> {
    unit: &'a UnitOfWork<'a>,
    user: UserId,
    /// Project before the batch.
    project: Project,
    /// Bytes of text of the owner before the batch.
    owner_bytes: i64,
    now: Timestamp,
    last_position: String,
    /// New tasks, inserted together at the end.
    new: Vec<Task>,
    delta: CounterDelta,
    events: Vec<NewEvent>,
    context: EventContext,
    /// Verified members, so that each is looked up once.
    members: HashSet<UserId>,
}

impl Tasks {
    /// Applies all operations, or none.
    pub async fn batch(
        &self,
        write: &WriteContext,
        project: ProjectId,
        batch: TaskBatch,
    ) -> Result<WriteOutcome<TaskBatchResult>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let locked = lock_project_for_write(&unit, write.caller, project).await?;
        let now = self.0.clock.now();
        let mut run = Batch {
            unit: &unit,
            user: write.caller.user,
            project: locked.project,
            owner_bytes: locked.owner_bytes,
            now,
            context: write.event_context(now),
            last_position: locked.last_position,
            new: Vec::new(),
            delta: CounterDelta::default(),
            events: Vec::new(),
            members: HashSet::new(),
        };
        let mut results = Vec::with_capacity(batch.operations.len());
        let mut failures = Vec::new();
        for (index, operation) in batch.operations.into_iter().enumerate() {
            match run.apply(operation).await.map_err(|error| error.at_operation(index)) {
                Ok(result) => results.push(result),
                // Other operations may be invalid too; all details are reported together.
                Err(Error::Invalid(details)) => failures.extend(details),
                Err(error) => return Err(error),
            }
        }
        if !failures.is_empty() {
            return Err(Error::Invalid(failures));
        }
        let events = run.finish().await?;
        let outcome = WriteOutcome::result(&TaskBatchResult { results });
        if events.is_empty() {
            return Ok(outcome);
        }
        unit.publish_and_commit(outcome, ReplayAccess::Project(project, Action::WriteTasks), &events).await
    }
}

impl Batch<'_> {
    async fn apply(&mut self, operation: BatchOperation) -> Result<Option<Task>, Error> {
        match operation {
            BatchOperation::Create(create) => self.create(create.task).await.map(Some),
            BatchOperation::Update(update) => self.update(update.task_id, update.changes).await.map(Some),
            BatchOperation::Delete(delete) => self.delete(delete.task_id).await.map(|()| None),
        }
    }

    async fn create(&mut self, new: CreateTask) -> Result<Task, Error> {
        self.require_member(new.assignee_id).await?;
        let task = new_task(self.user, self.project.id, new, &self.last_position, self.now);
        self.last_position = task.position.to_string();
        self.delta.total += 1;
        self.delta.done += done_delta(&task);
        self.delta.bytes += task_bytes(&task);
        self.events.push(self.context.created(EventType::TaskCreated, self.project.id, &task));
        self.new.push(task.clone());
        Ok(task)
    }

    async fn update(&mut self, id: TaskId, patch: UpdateTask) -> Result<Task, Error> {
        let task = self.find(id).await?;
        if confirms_assignee(&task, &patch) {
            require_membership_of(&**self.unit, self.project.id, task.assignee_id).await?;
        }
        let Some(changed) = apply_patch(&task, patch, self.now) else { return Ok(task) };
        if changed.assignee_id != task.assignee_id {
            self.require_member(changed.assignee_id).await?;
        }
        self.unit.tasks().update(&changed).await?;
        self.delta.done += done_delta(&changed) - done_delta(&task);
        self.delta.bytes += task_bytes(&changed) - task_bytes(&task);
        self.events.push(self.context.task_event(EventType::TaskUpdated, &task, &changed));
        Ok(changed)
    }

    async fn delete(&mut self, id: TaskId) -> Result<(), Error> {
        let task = self.find(id).await?;
        let deleted = soft_deleted(task.clone(), self.now);
        self.unit.tasks().update(&deleted).await?;
        self.delta.total -= 1;
        self.delta.done -= done_delta(&deleted);
        self.events.push(self.context.task_event(EventType::TaskDeleted, &task, &deleted));
        Ok(())
    }

    async fn find(&self, id: TaskId) -> Result<Task, Error> {
        let refused = |why| Err(Error::reference(ErrorLocation::Body, "task_id", why));
        let Ok(found) = ensure_not_deleted(self.unit.tasks().find(id, self.user).await?) else {
            return refused("must refer to an existing task.");
        };
        require(found.role, Action::Read)?;
        if found.task.project_id != self.project.id {
            return refused("must refer to a task of the same project.");
        }
        Ok(found.task)
    }

    async fn require_member(&mut self, assignee: Option<UserId>) -> Result<(), Error> {
        let Some(user) = assignee.filter(|user| !self.members.contains(user)) else { return Ok(()) };
        require_member(&**self.unit, self.project.id, assignee).await?;
        self.members.insert(user);
        Ok(())
    }

    async fn finish(self) -> Result<Vec<NewEvent>, Error> {
        let quotas = &self.unit.context().policy.quotas;
        quotas.require_tasks(self.project.task_counts.total, self.delta.total)?;
        quotas.check_text(self.owner_bytes, self.delta.bytes)?;
        self.unit.tasks().add(&self.new).await?;
        if !self.events.is_empty() {
            let last = self.new.last().map(|task| &*task.position);
            let before = Completion::from(&self.project);
            let (project, delta, now) = (self.project.id, self.delta, self.now);
            CounterChange { project, delta, last_position: last, before, now }.apply(self.unit).await?;
        }
        Ok(self.events)
    }
}
