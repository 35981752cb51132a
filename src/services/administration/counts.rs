//! Counters of projects: comparison with what they count, and repair.

use super::Administration;
use crate::repositories::CountMismatch;
use crate::services::Error;
use crate::services::operator::Operator;

/// Number of projects per query, so that none takes long.
const PORTION_SIZE: u64 = 50;

/// Result of a comparison of all projects.
#[derive(Debug, Clone, Default)]
pub struct CountsReport {
    /// Number of projects that were compared.
    pub compared: u64,
    /// Projects with a wrong counter.
    pub mismatches: Vec<CountMismatch>,
}

impl Administration {
    /// Compares the counters of all projects with what they count. Writes in the meantime do not disturb it.
    pub async fn compare_counts(&self) -> Result<CountsReport, Error> {
        let (mut report, mut after) = (CountsReport::default(), None);
        loop {
            let counts = self.0.store.read_unindexed().project_counts();
            let portion = counts.compare(after, self.0.trash_cutoff(), PORTION_SIZE).await?;
            report.compared += portion.compared;
            report.mismatches.extend(portion.mismatches);
            match portion.last {
                Some(last) if portion.compared == PORTION_SIZE => after = Some(last),
                _ => return Ok(report),
            }
        }
    }

    /// Counts again what the counters of all projects count, and repairs those that are wrong.
    pub async fn repair_counts(&self, operator: &Operator) -> Result<CountsReport, Error> {
        let report = self.compare_counts().await?;
        for mismatch in &report.mismatches {
            let transaction = self.0.store.begin().await?;
            transaction.project_counts().recount(mismatch.project).await?;
            transaction.commit().await?;
            tracing::info!(%operator, project.id = %mismatch.project, "counters of a project repaired");
        }
        Ok(report)
    }
}
