//! Notes which invitations were not answered in time. They count as expired by then anyway; now it is written down.

use super::{Assignment, Failure};

/// As many rows go in one transaction.
const AT_ONCE: u64 = 500;

pub(super) async fn run(assignment: &Assignment) -> Result<(), Failure> {
    loop {
        let transaction = assignment.begin().await?;
        let expired = transaction.invitations().expire(assignment.now(), AT_ONCE).await?;
        if expired < AT_ONCE {
            return assignment.commit(transaction).await;
        }
        transaction.commit().await?;
    }
}
