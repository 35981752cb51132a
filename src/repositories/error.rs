//! Errors of storage.

/// An error of storage.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, overloaded, full or read-only. A retry may succeed.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row was moved while its lock was awaited. A new transaction may find it.
    #[error("the row was moved while its lock was awaited")]
    ConcurrentMove,
    /// Stored data is corrupt on disk. Storage has already logged that.
    #[error("the database is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A defect: the statement was refused, or a stored value cannot be decoded.
    #[error("the database failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
