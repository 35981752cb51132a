//! The audit log.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::account::audit_entry::{AuditEntry, AuditEntrySort, AuditEntryType};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::{Timestamp, UserId};

/// An entry, with the account whose log has it.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    /// Account whose log has the entry; `None` for logins with an unknown address.
    pub user_id: Option<UserId>,
    /// Operating-system user of the operator who did it.
    pub operator: Option<String>,
    /// The entry.
    pub entry: AuditEntry,
}

/// Conditions on entries of all accounts, all of which must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter {
    /// Account whose log has the entry.
    pub user: Option<UserId>,
    /// Type of the entry.
    pub kind: Option<AuditEntryType>,
    /// Time at or after which it happened last.
    pub since: Option<Timestamp>,
}

/// The audit log.
#[async_trait]
pub trait AuditLogRepository: Send + Sync {
    /// Adds an entry. If there is one with the same repeat key, that one is counted up instead.
    async fn add(&self, record: &AuditRecord, repeat_key: Option<&str>) -> Result<(), StoreError>;

    /// Counts the entries of one type of an account since a time.
    async fn count(&self, user: Option<UserId>, kind: AuditEntryType, since: Timestamp) -> Result<u64, StoreError>;

    /// Lists the entries of an account.
    async fn list(
        &self,
        user: UserId,
        kind: Option<AuditEntryType>,
        sort: Sort<AuditEntrySort>,
        paging: Paging,
    ) -> Result<Page<AuditEntry>, StoreError>;

    /// Lists at most `limit` entries of all accounts, the newest first.
    async fn list_all(&self, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditRecord>, StoreError>;
}
