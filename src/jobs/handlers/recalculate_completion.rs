//! How much of a project is done.

use crate::contract::ProjectId;
use crate::jobs::context::{JobContext, JobError};

/// Computes it from the counts, which the writers keep.
pub(super) async fn run(project: ProjectId, context: &JobContext) -> Result<(), JobError> {
    let transaction = context.begin().await?;
    transaction.projects().recalculate_completion(project).await?;
    context.commit(transaction).await
}
