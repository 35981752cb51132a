//! Permanently removes tasks, projects and accounts that were soft-deleted longer ago than the retention period.
//!
//! Small transactions keep locks short. The next run resumes an interrupted removal.

use std::collections::HashSet;
use std::time::Duration;

use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};
use crate::jobs::context::{JobContext, JobResult};
use crate::services::Services;

const BATCH_SIZE: u64 = 500;

/// Positions of the feed scanned in one transaction.
const EVENT_BATCH_SIZE: i64 = 2_000;

/// Time for a restore request that began at the last moment.
const GRACE: Duration = Duration::from_hours(1);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum PurgeTarget {
    Project(ProjectId),
    Account(UserId),
}

pub(super) async fn run(services: &Services, context: &JobContext) -> JobResult {
    let before = context.now() - services.retention() - GRACE;
    purge_tasks(before, context).await?;
    // A failed removal fails the job, but only after everything else was removed.
    let (mut failed, mut failure) = (HashSet::new(), None);
    loop {
        let mut found = expired(before, BATCH_SIZE + failed.len() as u64, context).await?;
        found.retain(|one| !failed.contains(one));
        if found.is_empty() {
            return match failure {
                Some(failure) => Err(failure),
                None => Ok(()),
            };
        }
        for one in found {
            let purged = match one {
                PurgeTarget::Project(project) => purge_project(project, context).await,
                PurgeTarget::Account(user) => purge_user(user, services, context).await,
            };
            if let Err(error) = purged {
                tracing::warn!(%error, "failed to purge a soft-deleted project or account");
                failed.insert(one);
                failure = Some(error);
            }
        }
    }
}

async fn expired(before: Timestamp, limit: u64, context: &JobContext) -> JobResult<Vec<PurgeTarget>> {
    let maintenance = context.store.read().maintenance();
    let projects = maintenance.list_expired_projects(before, limit).await?.into_iter().map(PurgeTarget::Project);
    let accounts = maintenance.list_expired_users(before, limit).await?.into_iter().map(PurgeTarget::Account);
    Ok(projects.chain(accounts).collect())
}

async fn purge_tasks(before: Timestamp, context: &JobContext) -> JobResult {
    loop {
        let began = context.now();
        let transaction = context.begin().await?;
        let purged = transaction.maintenance().purge_tasks(before, BATCH_SIZE).await?;
        transaction.commit().await?;
        if purged == 0 {
            return Ok(());
        }
        context.pause_after(began).await;
    }
}

async fn purge_project(project: ProjectId, context: &JobContext) -> JobResult {
    for webhook in context.store.read().webhook_maintenance().list_project_webhooks(project).await? {
        purge_deliveries(webhook, context).await?;
    }
    loop {
        let began = context.now();
        let transaction = context.begin().await?;
        let maintenance = transaction.maintenance();
        // Until none is left, because another job may purge the same project.
        if maintenance.purge_project_tasks(project, BATCH_SIZE).await?
            + maintenance.purge_project_events(project, BATCH_SIZE).await?
            == 0
        {
            transaction.maintenance().purge_project(project).await?;
            return Ok(transaction.commit().await?);
        }
        transaction.commit().await?;
        context.pause_after(began).await;
    }
}

/// Removes the deliveries of a webhook in batches; a cascade would remove them all in one statement.
pub(super) async fn purge_deliveries(webhook: WebhookId, context: &JobContext) -> JobResult {
    loop {
        let began = context.now();
        let transaction = context.begin().await?;
        let purged = transaction.webhook_maintenance().purge_webhook_deliveries(webhook, BATCH_SIZE).await?;
        transaction.commit().await?;
        if purged < BATCH_SIZE {
            return Ok(());
        }
        context.pause_after(began).await;
    }
}

/// Removes an account and anonymizes its content in projects of others.
async fn purge_user(user: UserId, services: &Services, context: &JobContext) -> JobResult {
    for project in context.store.read().maintenance().list_owned_projects(user).await? {
        purge_project(project, context).await?;
    }
    for project in context.store.read().maintenance().list_foreign_projects(user).await? {
        let mut began = context.now();
        while services.account_deletion.anonymize_in_project(user, project).await? {
            context.pause_after(began).await;
            began = context.now();
        }
    }
    for webhook in context.store.read().webhook_maintenance().list_user_webhooks(user).await? {
        purge_deliveries(webhook, context).await?;
    }
    let mut place = 0;
    loop {
        let began = context.now();
        let transaction = context.begin().await?;
        let Some(last) = transaction.maintenance().anonymize_events(user, place, EVENT_BATCH_SIZE).await? else {
            break;
        };
        transaction.commit().await?;
        place = last;
        context.pause_after(began).await;
    }
    loop {
        let began = context.now();
        let transaction = context.begin().await?;
        let purged = transaction.maintenance().purge_audit_log(user, BATCH_SIZE).await?;
        transaction.commit().await?;
        if purged < BATCH_SIZE {
            break;
        }
        context.pause_after(began).await;
    }
    let transaction = context.begin().await?;
    transaction.maintenance().purge_user(user).await?;
    Ok(transaction.commit().await?)
}
