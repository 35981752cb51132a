//! Removes for good what was in the trash for long enough: tasks, projects, accounts.
//!
//! In small transactions, so that nobody waits for long. Whatever was begun and not ended goes on the next time.

use std::time::Duration;

use super::{Assignment, Failure};
use crate::contract::{ProjectId, Timestamp, UserId};

/// As many rows go in one transaction.
const AT_ONCE: u64 = 500;

/// What can be restored at the last moment must be there until its request is over.
const MARGIN: Duration = Duration::from_hours(1);

pub(super) async fn run(retention: Duration, assignment: &Assignment) -> Result<(), Failure> {
    let before = assignment.now().minus(retention).minus(MARGIN);
    purge_tasks(before, assignment).await?;
    while let ids @ [_, ..] = &assignment.store.read().upkeep().list_expired_projects(before, AT_ONCE).await?[..] {
        for id in ids {
            purge_project(*id, assignment).await?;
        }
    }
    while let ids @ [_, ..] = &assignment.store.read().upkeep().list_expired_users(before, AT_ONCE).await?[..] {
        for id in ids {
            purge_user(*id, assignment).await?;
        }
    }
    assignment.done().await
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
    loop {
        let transaction = assignment.begin().await?;
        let purged = transaction.upkeep().purge_tasks_of(project, AT_ONCE).await?;
        if purged < AT_ONCE {
            transaction.upkeep().purge_project(project).await?;
            return Ok(transaction.commit().await?);
        }
        transaction.commit().await?;
    }
}

/// Nothing of a person is left. What others own stays as it is, made by nobody.
async fn purge_user(user: UserId, assignment: &Assignment) -> Result<(), Failure> {
    for project in assignment.store.read().upkeep().list_owned_projects(user).await? {
        purge_project(project, assignment).await?;
    }
    for project in assignment.store.read().upkeep().list_foreign_projects(user).await? {
        let transaction = assignment.begin().await?;
        transaction.upkeep().withdraw(user, project, assignment.now()).await?;
        transaction.commit().await?;
    }
    let transaction = assignment.begin().await?;
    transaction.upkeep().purge_user(user).await?;
    Ok(transaction.commit().await?)
}
