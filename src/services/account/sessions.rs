//! Sessions of an account.

use std::sync::Arc;

use crate::contract::SessionId;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::account::session::{SessionInfo, SessionQuery};
use crate::contract::page::{Page, Sort};
use crate::services::{Caller, Error, NewAuditEntry, ServiceContext, WriteContext};

/// Sessions of an account.
#[derive(Clone)]
pub struct Sessions(pub(crate) Arc<ServiceContext>);

impl Sessions {
    /// Lists the caller's active sessions.
    pub async fn list(&self, caller: Caller, query: &SessionQuery) -> Result<Page<SessionInfo>, Error> {
        let sort = Sort::new(query.sort, query.dir);
        let now = self.0.clock.now();
        let repositories = self.0.read_unindexed(caller.user).await?;
        let mut page = repositories.sessions().list(caller.user, now, sort, query.paging).await?;
        for session in &mut page.items {
            session.current = Some(session.id) == caller.session();
        }
        Ok(page)
    }

    /// Ends one of the caller's sessions, which may be the current one.
    pub async fn revoke(&self, write: &WriteContext, id: SessionId) -> Result<(), Error> {
        let caller = write.caller;
        caller.require_session()?;
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        let session = transaction.sessions().find(id).await?;
        let session = session
            .filter(|session| session.ended_at.is_none() && session.expires_at > now)
            .ok_or(Error::NotFound("session"))?;
        if session.user_id != caller.user {
            return Err(Error::NotOwner);
        }
        if !transaction.sessions().end(id, now).await? {
            return Err(Error::NotFound("session"));
        }
        let revoked = NewAuditEntry::by_caller(AuditEntryType::SessionRevoked, write).target(id.0);
        self.0.audit(&*transaction, revoked, now).await?;
        self.0.commit_and_revoke(transaction, &[id], now).await
    }
}
