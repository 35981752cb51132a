//! The audit log of an account, as its owner reads it. `services::audit` writes it.

use std::sync::Arc;

use crate::contract::account::audit_entry::{AuditEntry, AuditLogQuery};
use crate::contract::page::{Page, Sort};
use crate::services::{Caller, Error, ServiceContext};

/// The audit log.
#[derive(Clone)]
pub struct AuditLog(pub(crate) Arc<ServiceContext>);

impl AuditLog {
    /// Lists the entries of the caller's account.
    pub async fn list(&self, caller: Caller, query: &AuditLogQuery) -> Result<Page<AuditEntry>, Error> {
        caller.require_session()?;
        let sort = Sort::new(query.sort, query.dir);
        let repositories = self.0.read_unindexed(caller.user).await?;
        Ok(repositories.audit_log().list(caller.user, query.kind, sort, query.paging).await?)
    }
}
