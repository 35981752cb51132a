//! The one place where a write opens its transaction, and what makes a write safe to repeat.
//!
//! A keyed request claims its key in the transaction of its effect, and its answer is stored in it: all three are
//! there, or none is. So a key is used up only by a request that changed something; one that failed or changed nothing
//! rolls its claim back. Who comes second with a key is told so before anything else happens, and asks `replays`.

use std::ops::Deref;
use std::time::Duration;

use super::error::Error;
use super::etag::{ETagCondition, check_if_match};
use super::idempotency::key_locks::KeyLockGuard;
use super::idempotency::replay::aad;
use super::permissions::Action;
use super::response::Answer;
use super::{Caller, Credential, ServiceContext};
use crate::contract::account::user::User;
use crate::contract::resource::{CurrentResource, Resource};
use crate::contract::{ProjectId, TaskId};
use crate::repositories::{AnswerAccess, Claim, KeyedRequest, NewEvent, StoredAnswer, Transaction};

/// How long a key is remembered.
pub(crate) const KEY_TTL: Duration = Duration::from_hours(24);

/// Who is_subscribed to change something, and on what conditions.
#[derive(Debug, Clone)]
pub struct WriteContext {
    /// Who.
    pub caller: Caller,
    /// The request, if it is to have its effect once however often it is sent.
    pub idempotency: Option<KeyedRequest>,
    /// The version that the caller has seen, if nobody else's change may be lost.
    pub if_match: Option<ETagCondition>,
    /// By which the request is known in logs and events.
    pub request_id: Option<String>,
}

impl WriteContext {
    /// Refuses to change a resource that is not as the caller has seen it.
    pub(crate) fn check_if_match<R: Resource + Clone + Into<CurrentResource>>(
        &self,
        resource: &R,
    ) -> Result<(), Error> {
        check_if_match(self.if_match.as_ref(), resource)
    }
}

/// What it takes to see a stored answer again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplayAccess {
    /// To be the one who asked.
    CallerOnly,
    /// To be allowed this in this project.
    Project(ProjectId, Action),
    /// To be allowed this where this task is, which is in this project now.
    Task(TaskId, ProjectId, Action),
}

impl ReplayAccess {
    fn stored(self) -> Option<AnswerAccess> {
        let (project, task, action) = match self {
            Self::CallerOnly => return None,
            Self::Project(project, action) => (project, None, action),
            Self::Task(task, project, action) => (project, Some(task), action),
        };
        Some(AnswerAccess { project, task, role: action.min_role() })
    }
}

/// The transaction of a write; dropping it rolls everything back, the claim on the key too.
pub(crate) struct UnitOfWork<'a> {
    // In this order, so that the transaction has ended when the next one may claim the key.
    transaction: Box<dyn Transaction>,
    _key_lock: Option<KeyLockGuard>,
    shared: &'a ServiceContext,
    write: &'a WriteContext,
}

impl Deref for UnitOfWork<'_> {
    type Target = dyn Transaction;

    fn deref(&self) -> &Self::Target {
        &*self.transaction
    }
}

impl UnitOfWork<'_> {
    /// Makes the changes durable together with the answer to who asked for them, and with what there is to tell of
    /// them.
    ///
    /// Whatever changes something that members of a project can see has an event; only what is nobody else's business
    /// has none.
    pub(crate) async fn commit<T>(
        self,
        answer: Answer<T>,
        access: ReplayAccess,
        events: Vec<NewEvent>,
    ) -> Result<Answer<T>, Error> {
        if let Some(keyed) = &self.write.idempotency {
            let user = self.write.caller.user;
            let body =
                answer.body.as_ref().map(|body| self.shared.sealer.seal(&aad(user, &keyed.key), body.as_bytes()));
            let stored = StoredAnswer {
                status: answer.status,
                location: answer.location.clone(),
                etag: answer.etag.clone(),
                sealed_body: body.transpose()?,
                access: access.stored(),
            };
            self.transaction.idempotency().settle(user, &keyed.key, &stored).await?;
        }
        self.shared.publish(&*self.transaction, &events).await?;
        self.transaction.commit().await?;
        Ok(answer)
    }
}

/// Sees to it that the account of the caller is not deleted while this transaction does what would outlast it.
///
/// The account is locked before any project, as by who deletes it: either the change is there when the account goes,
/// and goes with it, or it does not happen.
///
/// The credential is verified again under the lock: a password reset revokes credentials under the same lock, so a
/// request that was authenticated before the reset cannot create anything that survives it.
pub(crate) async fn lock_caller(transaction: &dyn Transaction, caller: Caller) -> Result<User, Error> {
    let account = transaction.users().lock(caller.user).await?;
    let user = account.filter(|account| account.deleted_at.is_none()).ok_or(Error::TokenRevoked)?.user;
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
    /// Opens the transaction of a write and claims its key.
    pub(crate) async fn begin<'a>(&'a self, write: &'a WriteContext) -> Result<UnitOfWork<'a>, Error> {
        let Some(keyed) = &write.idempotency else {
            return Ok(UnitOfWork { transaction: self.store.begin().await?, _key_lock: None, shared: self, write });
        };
        let user = write.caller.user;
        // Before there is a transaction: however often a request is repeated while it runs, it takes one connection.
        let key_lock = self.key_locks.acquire(user, &keyed.key).await.ok_or(Error::KeyInProgress)?;
        let transaction = self.store.begin().await?;
        let now = self.clock.now();
        match transaction.idempotency().claim(user, keyed, now, now - KEY_TTL).await? {
            Claim::Granted => Ok(UnitOfWork { transaction, _key_lock: Some(key_lock), shared: self, write }),
            Claim::Taken => Err(Error::KeyCompleted),
            // By another process.
            Claim::Busy => Err(Error::KeyInProgress),
        }
    }
}
