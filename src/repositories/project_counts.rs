//! Counters of projects, compared with what they count.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::{ProjectId, Timestamp};

/// Counters of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectCounts {
    /// Number of tasks that are not deleted.
    pub task_total: i64,
    /// Number of those that are done.
    pub task_done: i64,
    /// Bytes of stored text, including the trash.
    pub stored_bytes: i64,
    /// Share of the tasks that are done, in percent.
    pub completion_percentage: i64,
}

/// A project whose counters are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountMismatch {
    /// The project.
    pub project: ProjectId,
    /// The counters.
    pub stored: ProjectCounts,
    /// Counters as they should be.
    pub counted: ProjectCounts,
}

/// Comparison of some projects.
#[derive(Debug, Clone, Default)]
pub struct ComparedCounts {
    /// Number of projects that were compared.
    pub compared: u64,
    /// The last of them.
    pub last: Option<ProjectId>,
    /// Those whose counters are wrong.
    pub mismatches: Vec<CountMismatch>,
}

/// Counters of projects.
#[async_trait]
pub trait ProjectCountRepository: Send + Sync {
    /// Compares the counters of at most `limit` projects after one, by id, without those about to be purged.
    ///
    /// A completion percentage that a job is going to recalculate is not compared.
    async fn compare(
        &self,
        after: Option<ProjectId>,
        trash_cutoff: Timestamp,
        limit: u64,
    ) -> Result<ComparedCounts, StoreError>;

    /// Locks a project, and sets its counters to what they count.
    async fn recount(&self, project: ProjectId) -> Result<(), StoreError>;
}
