//! Weekly digests: one job plans the digests of all users who are due, and each digest is a job of its own.

use chrono::DateTime;
use chrono_tz::Tz;

use super::emails::greeting_name;
use super::job_handlers::JobHandlers;
use crate::contract::page::Page;
use crate::contract::task::Task;
use crate::contract::{Timestamp, UserId};
use crate::jobs::context::{JobContext, JobResult};
use crate::mail::{DigestEmail, DigestProject, DigestTask, DigestTasks, SingleLine};
use crate::services::Digest;

impl JobHandlers {
    pub(super) async fn plan_digests(&self, context: &JobContext) -> JobResult {
        loop {
            let transaction = context.begin().await?;
            if !self.services.digests.enqueue_due(&*transaction).await? {
                return context.commit(transaction).await;
            }
            transaction.commit().await?;
        }
    }

    pub(super) async fn send_weekly_digest(&self, user: UserId, moment: Timestamp, context: &JobContext) -> JobResult {
        let Some(digest) = self.services.digests.build(user, moment).await? else { return Ok(()) };
        let email = render_digest(&digest, moment, self.links.home());
        self.send(&digest.user, email.render()?, context).await
    }
}

fn render_digest(digest: &Digest, moment: Timestamp, home: String) -> DigestEmail {
    let tasks = |page: &Page<Task>| DigestTasks {
        first: page.items.iter().filter_map(|task| due_task(task, moment, digest.timezone)).collect(),
        more: page.total.count.saturating_sub(page.items.len() as u64),
        more_is_exact: page.total.is_exact,
    };
    let projects = digest.projects.items.iter().map(|project| DigestProject {
        name: SingleLine::new(&project.name),
        done: project.task_counts.done,
        total: project.task_counts.total,
    });
    DigestEmail {
        name: greeting_name(&digest.user),
        assigned: tasks(&digest.assigned),
        unassigned: tasks(&digest.unassigned),
        projects: projects.collect(),
        home,
    }
}

fn due_task(task: &Task, moment: Timestamp, timezone: Tz) -> Option<DigestTask> {
    let due = task.due_at?;
    let local = DateTime::from_timestamp_millis(due.0)?.with_timezone(&timezone);
    Some(DigestTask {
        title: SingleLine::new(&task.title),
        due: local.format("%a %-d %b %Y, %H:%M").to_string(),
        is_overdue: due < moment,
    })
}
