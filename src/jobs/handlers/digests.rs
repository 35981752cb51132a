//! The weekly digest: a job makes those of all who are due, each of which is a job of its own.

use chrono::DateTime;
use chrono_tz::Tz;

use super::JobHandlers;
use crate::contract::page::Page;
use crate::contract::task::Task;
use crate::contract::{Timestamp, UserId};
use crate::jobs::context::{JobContext, JobError};
use crate::mail::{Digest, DigestProject, DigestTask, DigestTasks, Line};
use crate::services;

impl JobHandlers {
    pub(super) async fn plan_digests(&self, context: &JobContext) -> Result<(), JobError> {
        loop {
            let transaction = context.begin().await?;
            if !self.services.digests.enqueue_due(&*transaction).await? {
                return context.commit(transaction).await;
            }
            transaction.commit().await?;
        }
    }

    pub(super) async fn weekly_digest(&self, user: UserId, moment: i64, context: &JobContext) -> Result<(), JobError> {
        let moment = Timestamp(moment);
        if let Some(digest) = self.services.digests.build(user, moment).await? {
            let content = render_digest(&digest, moment, self.links.home()).render()?;
            self.send(&digest.user, content, context).await?;
        }
        context.complete().await
    }
}

fn render_digest(digest: &services::Digest, moment: Timestamp, home: String) -> Digest {
    let tasks = |page: &Page<Task>| DigestTasks {
        first: page.items.iter().filter_map(|task| due_task(task, moment, digest.timezone)).collect(),
        more: page.total - page.items.len() as u64,
    };
    let projects = digest.projects.items.iter().map(|project| DigestProject {
        name: Line::new(&project.name),
        done: project.task_counts.done,
        total: project.task_counts.total,
    });
    Digest {
        name: Line::new(&digest.user.name),
        mine: tasks(&digest.assigned),
        nobodys: tasks(&digest.unassigned),
        projects: projects.collect(),
        home,
    }
}

fn due_task(task: &Task, moment: Timestamp, timezone: Tz) -> Option<DigestTask> {
    let due = task.due_at?;
    let local = DateTime::from_timestamp_millis(due.0)?.with_timezone(&timezone);
    Some(DigestTask {
        title: Line::new(&task.title),
        due: local.format("%a %-d %b %Y, %H:%M").to_string(),
        is_overdue: due < moment,
    })
}
