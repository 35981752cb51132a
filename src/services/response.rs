//! Answers to requests about one thing, in the form in which they are sent: so that the answer to a repeated request
//! can be the very same one.

use std::marker::PhantomData;

use poem_openapi::types::ToJSON;

use super::etag::EntityTag;
use crate::contract::resource::Resource;

/// An answer with a `T` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The HTTP status.
    pub status: u16,
    /// Where what was created is found.
    pub location: Option<String>,
    /// The tag of the resource in the body.
    pub etag: Option<String>,
    /// The body, as JSON.
    pub body: Option<String>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Answer<T> {
    pub(crate) const fn new(status: u16, location: Option<String>, etag: Option<String>, body: Option<String>) -> Self {
        Self { status, location, etag, body, kind: PhantomData }
    }
}

impl<T: Resource> Answer<T> {
    /// The resource as it is.
    #[must_use]
    pub fn found(resource: &T) -> Self {
        let json = resource.to_json_string();
        Self::new(200, None, Some(EntityTag::new(resource, &json).to_string()), Some(json))
    }

    /// The resource as it was made.
    #[must_use]
    pub fn created(resource: &T) -> Self {
        Self { status: 201, location: Some(resource.location()), ..Self::found(resource) }
    }
}

impl<T: ToJSON> Answer<T> {
    /// What is no resource.
    #[must_use]
    pub fn result(result: &T) -> Self {
        Self::new(200, None, None, Some(result.to_json_string()))
    }

    /// A resource with what is shown only now, under the tag of the resource by itself.
    #[must_use]
    pub fn shown_once(resource: &impl Resource, result: &T) -> Self {
        let tag = EntityTag::new(resource, &resource.to_json_string()).to_string();
        Self::new(200, None, Some(tag), Some(result.to_json_string()))
    }

    /// The same as it was made.
    #[must_use]
    pub fn made_once(resource: &impl Resource, result: &T) -> Self {
        Self { status: 201, location: Some(resource.location()), ..Self::shown_once(resource, result) }
    }

    /// What was asked for happens after this answer, and here is what will tell of it.
    #[must_use]
    pub fn accepted(result: &T) -> Self {
        Self { status: 202, ..Self::result(result) }
    }

    /// What is no resource, as it was made.
    #[must_use]
    pub fn issued(result: &T, address: String) -> Self {
        Self::new(201, Some(address), None, Some(result.to_json_string()))
    }
}

impl Answer<()> {
    /// It was done, and there is nothing to show.
    #[must_use]
    pub const fn done() -> Self {
        Self::new(204, None, None, None)
    }
}
