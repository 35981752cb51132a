//! Unit of work: the transaction of a write, with its idempotency key.
//!
//! The claim on the key, the change and the stored outcome are in one transaction. A key is therefore used up only by
//! a request that changed something; a request that fails or changes nothing rolls the claim back. A duplicate request
//! receives the stored outcome before it does any work (see `idempotency`).

use std::ops::Deref;

use tokio::sync::OwnedSemaphorePermit;

use super::caller::{Caller, Credential};
use super::compression::compress;
use super::context::ServiceContext;
use super::error::Error;
use super::etag::{ETagCondition, check_if_match};
use super::idempotency::{KEY_TTL, KeyState, aad};
use super::outcome::WriteOutcome;
use super::permissions::Action;
use super::request::RequestMetadata;
use crate::contract::account::user::User;
use crate::contract::resource::{CurrentResource, Resource};
use crate::contract::{ProjectId, TaskId};
use crate::repositories::{
    Credentials, IdempotentRequest, KeyClaim, LongTexts, RequiredAccess, StoredResponse, Transaction,
    extract_long_texts,
};

/// Caller and preconditions of a write.
#[derive(Debug, Clone)]
pub struct WriteContext {
    /// Caller.
    pub caller: Caller,
    /// Idempotency key and fingerprint of the request, if it has a key.
    pub idempotency: Option<IdempotentRequest>,
    /// Value of `If-Match`.
    pub if_match: Option<ETagCondition>,
    /// Metadata of the request, for events and the audit log.
    pub request: RequestMetadata,
}

impl WriteContext {
    /// Refuses the write if the resource is not at a version that the caller has seen.
    pub(crate) fn check_if_match<R: Resource + Clone + Into<CurrentResource>>(
        &self,
        resource: &R,
    ) -> Result<(), Error> {
        check_if_match(self.if_match.as_ref(), resource)
    }
}

/// Access that a caller needs to see a stored response again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplayAccess {
    /// The same user; nothing else is checked.
    CallerOnly,
    /// Permission for an action in a project.
    Project(ProjectId, Action),
    /// Permission for an action in the project of a task, which may move.
    Task(TaskId, ProjectId, Action),
}

impl ReplayAccess {
    fn stored(self) -> Option<RequiredAccess> {
        let (project, task, action) = match self {
            Self::CallerOnly => return None,
            Self::Project(project, action) => (project, None, action),
            Self::Task(task, project, action) => (project, Some(task), action),
        };
        Some(RequiredAccess { project, task, role: action.min_role() })
    }
}

/// Transaction of a write. Dropping it rolls back the changes and the key claim.
pub(crate) struct UnitOfWork<'a> {
    // Field order matters: the transaction must end before the key lock is released.
    transaction: Box<dyn Transaction>,
    _key_lock: Option<OwnedSemaphorePermit>,
    context: &'a ServiceContext,
    write: &'a WriteContext,
}

impl Deref for UnitOfWork<'_> {
    type Target = dyn Transaction;

    fn deref(&self) -> &Self::Target {
        &*self.transaction
    }
}

impl<'a> UnitOfWork<'a> {
    pub(crate) const fn context(&self) -> &ServiceContext {
        self.context
    }

    /// Returns the caller.
    pub(crate) const fn caller(&self) -> Caller {
        self.write.caller
    }

    /// Stores the outcome and commits a change without events.
    pub(crate) async fn commit<T>(
        self,
        outcome: WriteOutcome<T>,
        access: ReplayAccess,
    ) -> Result<WriteOutcome<T>, Error> {
        self.store_outcome(&outcome, access).await?;
        self.commit_transaction().await?;
        Ok(outcome)
    }

    /// Stores the outcome with the idempotency key, if the request has one.
    async fn store_outcome<T>(&self, outcome: &WriteOutcome<T>, access: ReplayAccess) -> Result<(), Error> {
        let Some((key, response)) = self.response(outcome, access).await? else { return Ok(()) };
        Ok(self.transaction.idempotency().store_response(self.write.caller.user, key, &response).await?)
    }

    /// Returns the idempotency key with the response to store, if the request has a key.
    pub(crate) async fn response<T>(
        &self,
        outcome: &WriteOutcome<T>,
        access: ReplayAccess,
    ) -> Result<Option<(&'a str, StoredResponse)>, Error> {
        let write = self.write;
        let Some(request) = &write.idempotency else { return Ok(None) };
        let user = self.write.caller.user;
        let aad = aad(user, &request.key);
        let access = access.stored();
        let body = match &outcome.body {
            Some(body) => {
                let stored = self.shorten(body, access).await?;
                Some(self.context.sealer.seal(&aad, &compress(stored.as_deref().unwrap_or(body))?)?)
            }
            None => None,
        };
        let stored =
            StoredResponse { effect: outcome.effect, etag: outcome.etag.clone(), encrypted_body: body, access };
        Ok(Some((&request.key, stored)))
    }

    /// Moves the long texts of a response about a project to those of the project.
    async fn shorten(&self, body: &str, access: Option<RequiredAccess>) -> Result<Option<String>, Error> {
        let mut texts = LongTexts::new();
        let Some(project) = access.map(|access| access.project) else { return Ok(None) };
        let Some(short) = extract_long_texts(body, &mut texts) else { return Ok(None) };
        self.transaction.long_texts().add(project, &texts, self.context.clock.now()).await?;
        Ok(Some(short))
    }

    /// Returns the outcome of a request that changes nothing. Its key stays free.
    pub(crate) async fn unchanged<T>(self, outcome: WriteOutcome<T>) -> Result<WriteOutcome<T>, Error> {
        self.transaction.discard().await?;
        Ok(outcome)
    }

    pub(crate) async fn commit_transaction(self) -> Result<(), Error> {
        Ok(self.transaction.commit().await?)
    }
}

/// Locks the account of the caller and verifies the credential again.
///
/// The account is locked before any project, as in account deletion, so a concurrent deletion either includes this
/// change or prevents it. Likewise, a password reset revokes credentials under this lock, so a request that was
/// authenticated before the reset cannot create anything that survives it.
pub(crate) async fn lock_caller(transaction: &dyn Transaction, caller: Caller) -> Result<User, Error> {
    let account = transaction.users().lock(caller.user).await?;
    let user = account.filter(Credentials::is_active).ok_or(Error::TokenRevoked)?.user;
    match caller.credential {
        Credential::Session(id) => {
            let session = transaction.sessions().find(id).await?;
            session.filter(|session| session.ended_at.is_none()).ok_or(Error::TokenRevoked)?;
        }
        Credential::ApiToken { id, .. } => {
            let token = transaction.api_tokens().find(id).await?;
            token.filter(|token| token.revoked_at.is_none()).ok_or(Error::ApiTokenRevoked)?;
        }
    }
    Ok(user)
}

impl ServiceContext {
    /// Begins the transaction of a write and claims its idempotency key.
    pub(crate) async fn begin<'a>(&'a self, write: &'a WriteContext) -> Result<KeyState<UnitOfWork<'a>>, Error> {
        let Some(request) = &write.idempotency else {
            let transaction = self.store.begin().await?;
            return Ok(KeyState::Fresh(UnitOfWork { transaction, _key_lock: None, context: self, write }));
        };
        let user = write.caller.user;
        // Acquired before the transaction begins, so that concurrent duplicates do not each hold a connection.
        let Some(key_lock) = self.lock_key(user, &request.key).await else { return Ok(KeyState::InProgress) };
        let transaction = self.store.begin().await?;
        let now = self.clock.now();
        match transaction.idempotency().claim(user, request, now, now - KEY_TTL).await? {
            KeyClaim::Acquired => {
                Ok(KeyState::Fresh(UnitOfWork { transaction, _key_lock: Some(key_lock), context: self, write }))
            }
            KeyClaim::Completed => {
                transaction.discard().await?;
                self.key_state(write.caller, request).await
            }
            // Held by another process.
            KeyClaim::InProgress => Ok(KeyState::InProgress),
        }
    }
}
