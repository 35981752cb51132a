//! The one place where a write opens its transaction, and what makes a write safe to repeat.
//!
//! A keyed request claims its key in the transaction of its effect, and its answer is stored in it: all three are
//! there, or none is. So a key is used up only by a request that changed something; one that failed or changed nothing
//! rolls its claim back. Who comes second with a key is told so before anything else happens, and asks [`Replays`].

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::entity_tag::{NamedTags, require_named};
use super::error::Error;
use super::permissions::{Action, require_role};
use super::{Caller, Shared};
use crate::contract::resource::{Current, Resource};
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Claim, KeyedRequest, StoredAnswer, Transaction};

/// How long a key is remembered.
const KEPT: Duration = Duration::from_hours(24);

/// Who wants to change something, and on what conditions.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who.
    pub caller: Caller,
    /// The request, if it is to have its effect once however often it is sent.
    pub keyed: Option<KeyedRequest>,
    /// The version that the caller has seen, if nobody else's change may be lost.
    pub expected: Option<NamedTags>,
}

impl Write {
    /// Refuses to change a resource that is not as the caller has seen it.
    pub(super) fn require_expected<R: Resource + Clone + Into<Current>>(&self, resource: &R) -> Result<(), Error> {
        require_named(self.expected.as_ref(), resource)
    }
}

/// What it takes to see a stored answer again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// To be the one who asked.
    Own,
    /// To be allowed this in this project.
    In(ProjectId, Action),
}

/// The transaction of a write; dropping it rolls everything back, the claim on the key too.
pub(super) struct Unit<'a> {
    transaction: Box<dyn Transaction>,
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
    /// Makes the changes durable together with the answer to who asked for them.
    pub(super) async fn commit<T>(self, answer: Answer<T>, access: Access) -> Result<Answer<T>, Error> {
        if let Some(keyed) = &self.write.keyed {
            let user = self.write.caller.user;
            let body = answer.body.as_ref().map(|body| self.shared.sealer.seal(&context(user, keyed), body.as_bytes()));
            let stored = StoredAnswer {
                status: answer.status,
                location: answer.location.clone(),
                etag: answer.etag.clone(),
                sealed_body: body.transpose()?,
                access: match access {
                    Access::Own => None,
                    Access::In(project, action) => Some((project, action.least_role())),
                },
            };
            self.transaction.idempotency().settle(user, &keyed.key, &stored).await?;
        }
        self.transaction.commit().await?;
        Ok(answer)
    }
}

impl Shared {
    /// Opens the transaction of a write and claims its key.
    pub(super) async fn open<'a>(&'a self, write: &'a Write) -> Result<Unit<'a>, Error> {
        let transaction = self.store.begin().await?;
        if let Some(keyed) = &write.keyed {
            let now = self.clock.now();
            match transaction.idempotency().claim(write.caller.user, keyed, now, now.minus(KEPT)).await? {
                Claim::Granted => {}
                Claim::Taken => return Err(Error::KeyTaken),
                Claim::Busy => return Err(Error::KeyBusy),
            }
        }
        Ok(Unit { transaction, shared: self, write })
    }
}

/// Whose answer to which key it is, so that none can be put in the place of another.
fn context(user: UserId, keyed: &KeyedRequest) -> String {
    format!("{user} {}", keyed.key)
}

/// Answers to requests that were answered before.
#[derive(Clone)]
pub struct Replays(Arc<Shared>);

impl Replays {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The answer to the first request with this key, if there was one and the caller may still see it.
    pub async fn find<T>(&self, caller: Caller, keyed: &KeyedRequest) -> Result<Option<Answer<T>>, Error> {
        let free_before = self.0.clock.now().minus(KEPT);
        let repositories = self.0.store.read();
        let found = repositories.idempotency().find(caller.user, &keyed.key, free_before).await?;
        let Some((fingerprint, stored)) = found else { return Ok(None) };
        if fingerprint != keyed.fingerprint {
            return Err(Error::KeyReused);
        }
        if let Some((project, least)) = stored.access {
            let project = repositories.projects().find(project, caller.user).await?;
            require_role(project.ok_or(Error::NotFound("project"))?.role, least)?;
        }
        let body = stored.sealed_body.map(|sealed| self.0.sealer.open(&context(caller.user, keyed), sealed));
        let body = body.transpose()?.map(String::from_utf8).transpose().map_err(Error::unreadable)?;
        Ok(Some(Answer::new(stored.status, stored.location, stored.etag, body)))
    }
}
