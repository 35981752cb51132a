//! How much of a project is done.

use super::{Assignment, Failure};
use crate::contract::ProjectId;

/// Computes it from the counts, which the writers keep.
pub(super) async fn run(project: ProjectId, assignment: &Assignment) -> Result<(), Failure> {
    let transaction = assignment.begin().await?;
    transaction.projects().recalculate_completion(project).await?;
    assignment.commit(transaction).await
}
