//! Removes for good what was in the trash for long enough: tasks, projects, accounts.
//!
//! In small transactions, so that nobody waits for long. Whatever was begun and not ended goes on the next time.

use std::collections::HashSet;
use std::time::Duration;

use super::{Assignment, Failure};
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};
use crate::services::Services;

/// As many rows go in one transaction.
const AT_ONCE: u64 = 500;

/// As many places of the feed are looked through in one transaction.
const PLACES_AT_ONCE: i64 = 2_000;

/// What can be restored at the last moment must be there until its request is over.
const MARGIN: Duration = Duration::from_hours(1);

/// What goes as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whole {
    Project(ProjectId),
    Account(UserId),
}

pub(super) async fn run(services: &Services, assignment: &Assignment) -> Result<(), Failure> {
    let before = assignment.now().minus(services.retention()).minus(MARGIN);
    purge_tasks(before, assignment).await?;
    // What cannot be removed does not stop the rest, only the end of the job.
    let (mut failed, mut failure) = (HashSet::new(), None);
    loop {
        let mut found = expired(before, AT_ONCE + failed.len() as u64, assignment).await?;
        found.retain(|one| !failed.contains(one));
        if found.is_empty() {
            return match failure {
                Some(failure) => Err(failure),
                None => assignment.done().await,
            };
        }
        for one in found {
            let purged = match one {
                Whole::Project(project) => purge_project(project, assignment).await,
                Whole::Account(user) => purge_user(user, services, assignment).await,
            };
            if let Err(error) = purged {
                tracing::warn!(%error, "something in the trash cannot be removed for good");
                failed.insert(one);
                failure = Some(error);
            }
        }
    }
}

/// Some of what was in the trash for long enough.
async fn expired(before: Timestamp, limit: u64, assignment: &Assignment) -> Result<Vec<Whole>, Failure> {
    let upkeep = assignment.store.read().upkeep();
    let projects = upkeep.list_expired_projects(before, limit).await?.into_iter().map(Whole::Project);
    let accounts = upkeep.list_expired_users(before, limit).await?.into_iter().map(Whole::Account);
    Ok(projects.chain(accounts).collect())
}

async fn purge_tasks(before: Timestamp, assignment: &Assignment) -> Result<(), Failure> {
    loop {
        let transaction = assignment.begin().await?;
        let purged = transaction.upkeep().purge_tasks(before, AT_ONCE).await?;
        transaction.commit().await?;
        if purged < AT_ONCE {
            return Ok(());
        }
    }
}

async fn purge_project(project: ProjectId, assignment: &Assignment) -> Result<(), Failure> {
    for webhook in assignment.store.read().upkeep().list_webhooks_for(project).await? {
        purge_deliveries(webhook, assignment).await?;
    }
    loop {
        let transaction = assignment.begin().await?;
        let upkeep = transaction.upkeep();
        // Until there is none, because another job may be at it too.
        if upkeep.purge_tasks_of(project, AT_ONCE).await? + upkeep.purge_events_of(project, AT_ONCE).await? == 0 {
            transaction.upkeep().purge_project(project).await?;
            return Ok(transaction.commit().await?);
        }
        transaction.commit().await?;
    }
}

/// Removes the deliveries of a webhook: there may be very many, and they would go with it in one statement.
pub(super) async fn purge_deliveries(webhook: WebhookId, assignment: &Assignment) -> Result<(), Failure> {
    loop {
        let transaction = assignment.begin().await?;
        let purged = transaction.upkeep().purge_deliveries_of(webhook, AT_ONCE).await?;
        transaction.commit().await?;
        if purged < AT_ONCE {
            return Ok(());
        }
    }
}

/// Nothing of a person is left. What others own stays as it is, made by nobody.
async fn purge_user(user: UserId, services: &Services, assignment: &Assignment) -> Result<(), Failure> {
    for project in assignment.store.read().upkeep().list_owned_projects(user).await? {
        purge_project(project, assignment).await?;
    }
    for project in assignment.store.read().upkeep().list_foreign_projects(user).await? {
        services.presence.withdraw(user, project).await?;
    }
    for webhook in assignment.store.read().upkeep().list_webhooks_of(user).await? {
        purge_deliveries(webhook, assignment).await?;
    }
    let mut place = 0;
    loop {
        let transaction = assignment.begin().await?;
        let Some(last) = transaction.upkeep().forget_in_feed(user, place, PLACES_AT_ONCE).await? else { break };
        transaction.commit().await?;
        place = last;
    }
    let transaction = assignment.begin().await?;
    transaction.upkeep().purge_user(user).await?;
    Ok(transaction.commit().await?)
}
