//! The one place where a write opens its transaction, and what makes a write safe to repeat.
//!
//! A keyed request claims its key in the transaction of its effect, and its answer is stored in it: all three are
//! there, or none is. So a key is used up only by a request that changed something; one that failed or changed nothing
//! rolls its claim back. Who comes second with a key is told so before anything else happens, and asks `replays`.

use std::ops::Deref;
use std::time::Duration;

use super::error::Error;
use super::etag::{NamedTags, require_named};
use super::idempotency::key_locks::KeyInUse;
use super::idempotency::replay::context;
use super::permissions::Action;
use super::response::Answer;
use super::{Caller, Credential, Shared};
use crate::contract::resource::{Current, Resource};
use crate::contract::user::User;
use crate::contract::{ProjectId, TaskId};
use crate::repositories::{AnswerAccess, Claim, KeyedRequest, NewEvent, StoredAnswer, Transaction};

/// How long a key is remembered.
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// Who wants to change something, and on what conditions.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who.
    pub caller: Caller,
    /// The request, if it is to have its effect once however often it is sent.
    pub keyed: Option<KeyedRequest>,
    /// The version that the caller has seen, if nobody else's change may be lost.
    pub expected: Option<NamedTags>,
    /// By which the request is known in logs and events.
    pub request_id: Option<String>,
}

impl Write {
    /// Refuses to change a resource that is not as the caller has seen it.
    pub(crate) fn require_expected<R: Resource + Clone + Into<Current>>(&self, resource: &R) -> Result<(), Error> {
        require_named(self.expected.as_ref(), resource)
    }
}

/// What it takes to see a stored answer again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// To be the one who asked.
    Own,
    /// To be allowed this in this project.
    In(ProjectId, Action),
    /// To be allowed this where this task is, which is in this project now.
    On(TaskId, ProjectId, Action),
}

impl Access {
    fn stored(self) -> Option<AnswerAccess> {
        let (project, task, action) = match self {
            Self::Own => return None,
            Self::In(project, action) => (project, None, action),
            Self::On(task, project, action) => (project, Some(task), action),
        };
        Some(AnswerAccess { project, task, role: action.least_role() })
    }
}

/// The transaction of a write; dropping it rolls everything back, the claim on the key too.
pub(crate) struct Unit<'a> {
    // In this order, so that the transaction has ended when the next one may claim the key.
    transaction: Box<dyn Transaction>,
    _in_use: Option<KeyInUse>,
    shared: &'a Shared,
    write: &'a Write,
}

impl Deref for Unit<'_> {
    type Target = dyn Transaction;

    fn deref(&self) -> &Self::Target {
        &*self.transaction
    }
}

impl Unit<'_> {
    /// Makes the changes durable together with the answer to who asked for them, and with what there is to tell of
    /// them.
    ///
    /// Whatever changes something that members of a project can see has an event; only what is nobody else's business
    /// has none.
    pub(crate) async fn commit<T>(
        self,
        answer: Answer<T>,
        access: Access,
        events: Vec<NewEvent>,
    ) -> Result<Answer<T>, Error> {
        if let Some(keyed) = &self.write.keyed {
            let user = self.write.caller.user;
            let body =
                answer.body.as_ref().map(|body| self.shared.sealer.seal(&context(user, &keyed.key), body.as_bytes()));
            let stored = StoredAnswer {
                status: answer.status,
                location: answer.location.clone(),
                etag: answer.etag.clone(),
                sealed_body: body.transpose()?,
                access: access.stored(),
            };
            self.transaction.idempotency().settle(user, &keyed.key, &stored).await?;
        }
        self.shared.tell(&*self.transaction, &events).await?;
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
    match caller.by {
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

impl Shared {
    /// Opens the transaction of a write and claims its key.
    pub(crate) async fn open<'a>(&'a self, write: &'a Write) -> Result<Unit<'a>, Error> {
        let Some(keyed) = &write.keyed else {
            return Ok(Unit { transaction: self.store.begin().await?, _in_use: None, shared: self, write });
        };
        let user = write.caller.user;
        // Before there is a transaction: however often a request is repeated while it runs, it takes one connection.
        let in_use = self.keys_in_use.take(user, &keyed.key).await.ok_or(Error::KeyBusy)?;
        let transaction = self.store.begin().await?;
        let now = self.clock.now();
        match transaction.idempotency().claim(user, keyed, now, now.minus(KEPT)).await? {
            Claim::Granted => Ok(Unit { transaction, _in_use: Some(in_use), shared: self, write }),
            Claim::Taken => Err(Error::KeyTaken),
            // By another process.
            Claim::Busy => Err(Error::KeyBusy),
        }
    }
}
