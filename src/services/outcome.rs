//! Outcomes of writes, in the form in which they are stored for idempotent replay.

use std::marker::PhantomData;

use poem_openapi::types::ToJSON;

use super::etag::EntityTag;
use crate::contract::resource::Resource;
use crate::repositories::{Effect, ResourceRef};

/// Outcome of a write whose result is a `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome<T> {
    /// Effect of the write.
    pub effect: Effect,
    /// Entity tag of the resource.
    pub etag: Option<String>,
    /// Result as JSON.
    pub body: Option<String>,
    /// True if this is the stored outcome of an earlier request.
    pub is_replayed: bool,
    result: PhantomData<fn() -> T>,
}

impl<T> WriteOutcome<T> {
    const fn new(effect: Effect, etag: Option<String>, body: Option<String>) -> Self {
        Self { effect, etag, body, is_replayed: false, result: PhantomData }
    }

    /// Reports that the write has created the object.
    pub(crate) fn created(self, reference: ResourceRef) -> Self {
        Self { effect: Effect::Created(reference), ..self }
    }
}

impl<T: Resource> WriteOutcome<T> {
    /// Returns the current state of a resource.
    pub(crate) fn current(resource: &T) -> Self {
        let json = resource.json();
        Self::new(Effect::Completed, Some(EntityTag::new(resource, &json).to_string()), Some(json))
    }
}

impl<T: ToJSON> WriteOutcome<T> {
    /// Returns a result that has no entity tag.
    pub(crate) fn result(result: &T) -> Self {
        Self::new(Effect::Completed, None, Some(result.to_json_string()))
    }

    /// Returns a resource with its secret, under the tag of the resource alone.
    pub(crate) fn with_secret(resource: &impl Resource, result: &T) -> Self {
        let etag = EntityTag::new(resource, &resource.json()).to_string();
        Self::new(Effect::Completed, Some(etag), Some(result.to_json_string()))
    }

    /// Reports work that continues after the response.
    pub(crate) fn accepted(result: &T) -> Self {
        Self { effect: Effect::Accepted, ..Self::result(result) }
    }
}

impl WriteOutcome<()> {
    /// Reports a write without a result, such as a deletion.
    pub(crate) const fn done() -> Self {
        Self::new(Effect::Done, None, None)
    }
}

/// Stored outcome of the first request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutcome {
    /// Effect of the write.
    pub effect: Effect,
    /// Entity tag of the resource.
    pub etag: Option<String>,
    /// Result as JSON.
    pub body: Option<String>,
}

impl<T> From<StoredOutcome> for WriteOutcome<T> {
    fn from(StoredOutcome { effect, etag, body }: StoredOutcome) -> Self {
        Self { is_replayed: true, ..Self::new(effect, etag, body) }
    }
}
