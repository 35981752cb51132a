//! The audit log: who did what with an account, by which credential, from where, and when.
//!
//! Entries are written in the transaction of the change; a failed login has one of its own. Each account has a log: what
//! a user does to another account is in both, in the second one without the credential and the location of the user.
//!
//! The size is bounded, because strangers can cause failed logins and users can repeat their changes. Failures from one
//! address within an hour are one entry with a count. Beyond a number of entries a day, those of one type and day are
//! one entry with a count and without details.

use std::time::Duration;

use uuid::Uuid;

use super::caller::Credential;
use super::context::ServiceContext;
use super::operator::Operator;
use super::request::RequestMetadata;
use super::unit_of_work::WriteContext;
use crate::contract::account::audit_entry::{AuditEntry, AuditEntryType};
use crate::contract::project::Role;
use crate::contract::strings::{ClientAddress, UserAgent};
use crate::contract::{AuditEntryId, AuditTargetId, ProjectId, SessionId, Timestamp, UserId};
use crate::repositories::{AuditRecord, StoreError, Transaction};

/// Maximum number of entries of one type of an account in a day. By type, so that many entries of one do not hide another.
const MAX_PER_DAY: u64 = 100;

/// Maximum number of entries for failed logins of an account in a day.
const MAX_FAILURES_PER_DAY: u64 = 50;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A new entry, without its id and time.
#[derive(Debug, Clone)]
pub(crate) struct NewAuditEntry {
    account: Option<UserId>,
    kind: AuditEntryType,
    actor: Option<UserId>,
    operator: Option<Operator>,
    credential: Option<Credential>,
    /// Session that began with a login.
    session: Option<SessionId>,
    request: RequestMetadata,
    target: Option<Uuid>,
    project: Option<ProjectId>,
    role: Option<Role>,
}

impl NewAuditEntry {
    /// An action of the caller.
    pub(crate) fn by_caller(kind: AuditEntryType, write: &WriteContext) -> Self {
        let caller = write.caller;
        Self { credential: Some(caller.credential), ..Self::by_user(kind, caller.user, &write.request) }
    }

    /// An action of a user without a session or API token.
    pub(crate) fn by_user(kind: AuditEntryType, user: UserId, request: &RequestMetadata) -> Self {
        Self { actor: Some(user), ..Self::by_stranger(kind, Some(user), request) }
    }

    /// An action of an unknown person on an account, if there is one.
    pub(crate) fn by_stranger(kind: AuditEntryType, account: Option<UserId>, request: &RequestMetadata) -> Self {
        Self {
            account,
            kind,
            actor: None,
            operator: None,
            credential: None,
            session: None,
            request: request.clone(),
            target: None,
            project: None,
            role: None,
        }
    }

    /// An action of the operator on an account.
    pub(crate) fn by_operator(kind: AuditEntryType, account: UserId, operator: &Operator) -> Self {
        let entry = Self::by_stranger(kind, Some(account), &RequestMetadata::default());
        Self { operator: Some(operator.clone()), ..entry }
    }

    pub(crate) fn session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    pub(crate) fn with(self, credential: Option<Credential>) -> Self {
        Self { credential, ..self }
    }

    pub(crate) fn target(self, id: Uuid) -> Self {
        Self { target: Some(id), ..self }
    }

    pub(crate) fn in_project(self, id: ProjectId) -> Self {
        Self { project: Some(id), ..self }
    }

    pub(crate) fn role(self, role: Role) -> Self {
        Self { role: Some(role), ..self }
    }

    /// The same entry for the log of the account to which it was done. Credential and location stay private.
    fn for_account(&self, account: UserId) -> Self {
        let request = RequestMetadata { request_id: self.request.request_id.clone(), ..RequestMetadata::default() };
        Self { account: Some(account), credential: None, session: None, request, ..self.clone() }
    }

    /// An entry that stands for all further ones of the same type on one day.
    fn without_details(&self) -> Self {
        let request = RequestMetadata::default();
        Self { credential: None, session: None, request, target: None, project: None, role: None, ..self.clone() }
    }

    fn record(self, at: Timestamp) -> AuditRecord {
        let session = self.session.or(match self.credential {
            Some(Credential::Session(id)) => Some(id),
            _ => None,
        });
        let api_token_id = match self.credential {
            Some(Credential::ApiToken { id, .. }) => Some(id),
            _ => None,
        };
        let entry = AuditEntry {
            id: AuditEntryId::generate(),
            kind: self.kind,
            actor_id: self.actor,
            by_operator: self.operator.is_some(),
            session_id: session,
            api_token_id,
            client_address: self.request.address.map(|ip| ClientAddress::new_unchecked(ip.to_string())),
            user_agent: self.request.user_agent.map(UserAgent::new_unchecked),
            request_id: self.request.request_id,
            target_id: self.target.map(AuditTargetId),
            project_id: self.project,
            role: self.role,
            count: 1,
            created_at: at,
            last_at: at,
        };
        AuditRecord { user_id: self.account, operator: self.operator.map(|operator| operator.to_string()), entry }
    }
}

impl ServiceContext {
    /// Adds an entry in the transaction of its change.
    pub(crate) async fn audit(
        &self,
        transaction: &dyn Transaction,
        entry: NewAuditEntry,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_failed_login = entry.kind == AuditEntryType::LoginFailed;
        let limit = if is_failed_login { MAX_FAILURES_PER_DAY } else { MAX_PER_DAY };
        let log = transaction.audit_log();
        let account = entry.account.map_or_else(|| "-".to_owned(), |id| id.to_string());
        if log.count(entry.account, entry.kind, now - DAY).await? >= limit {
            let key = format!("{account} {} {}", entry.kind.as_str(), period(now, DAY));
            return log.add(&entry.without_details().record(now), Some(&key)).await;
        }
        let key = is_failed_login.then(|| {
            let from = entry.request.network().map(|network| network.to_string()).unwrap_or_default();
            format!("{account} {} {} {from}", entry.kind.as_str(), period(now, HOUR))
        });
        log.add(&entry.record(now), key.as_deref()).await
    }

    /// Adds an entry to the logs of the caller and of the other account that it concerns.
    pub(crate) async fn audit_both(
        &self,
        transaction: &dyn Transaction,
        entry: NewAuditEntry,
        other: UserId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if entry.account == Some(other) {
            return self.audit(transaction, entry, now).await;
        }
        // In the order of the accounts: both may update a shared row, and concurrent requests must not deadlock.
        let mut entries = [entry.for_account(other), entry];
        entries.sort_unstable_by_key(|entry| entry.account);
        for entry in entries {
            self.audit(transaction, entry, now).await?;
        }
        Ok(())
    }

    /// Records a wrong password of an authenticated caller, in a transaction of its own.
    pub(crate) async fn record_wrong_password(&self, write: &WriteContext) -> Result<(), StoreError> {
        let caller = write.caller;
        let entry = NewAuditEntry::by_stranger(AuditEntryType::LoginFailed, Some(caller.user), &write.request);
        let transaction = self.store.begin().await?;
        self.audit(&*transaction, entry.with(Some(caller.credential)), self.clock.now()).await?;
        transaction.commit().await
    }
}

/// Number of a period, counted from 1970.
fn period(at: Timestamp, length: Duration) -> i64 {
    at.0.div_euclid(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}
