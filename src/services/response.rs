//! Rendered responses, which can be stored for idempotent replay.

use std::marker::PhantomData;

use poem_openapi::types::ToJSON;

use super::etag::EntityTag;
use crate::contract::resource::Resource;

/// Response whose body is a `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// HTTP status.
    pub status: u16,
    /// Location of the created resource.
    pub location: Option<String>,
    /// Entity tag of the resource.
    pub etag: Option<String>,
    /// Body as JSON.
    pub body: Option<String>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Answer<T> {
    pub(crate) const fn new(status: u16, location: Option<String>, etag: Option<String>, body: Option<String>) -> Self {
        Self { status, location, etag, body, kind: PhantomData }
    }
}

impl<T: Resource> Answer<T> {
    /// Returns a resource.
    #[must_use]
    pub fn found(resource: &T) -> Self {
        let json = resource.to_json_string();
        Self::new(200, None, Some(EntityTag::new(resource, &json).to_string()), Some(json))
    }

    /// Returns a created resource.
    #[must_use]
    pub fn created(resource: &T) -> Self {
        Self { status: 201, location: Some(resource.location()), ..Self::found(resource) }
    }
}

impl<T: ToJSON> Answer<T> {
    /// Returns a result that has no entity tag.
    #[must_use]
    pub fn result(result: &T) -> Self {
        Self::new(200, None, None, Some(result.to_json_string()))
    }

    /// Returns a resource with a secret, under the tag of the resource alone.
    #[must_use]
    pub fn shown_once(resource: &impl Resource, result: &T) -> Self {
        let tag = EntityTag::new(resource, &resource.to_json_string()).to_string();
        Self::new(200, None, Some(tag), Some(result.to_json_string()))
    }

    /// Returns a created resource with a secret.
    #[must_use]
    pub fn made_once(resource: &impl Resource, result: &T) -> Self {
        Self { status: 201, location: Some(resource.location()), ..Self::shown_once(resource, result) }
    }

    /// Accepts work that continues after the response.
    #[must_use]
    pub fn accepted(result: &T) -> Self {
        Self { status: 202, ..Self::result(result) }
    }

    /// Returns a created object that has no entity tag.
    #[must_use]
    pub fn issued(result: &T, address: String) -> Self {
        Self::new(201, Some(address), None, Some(result.to_json_string()))
    }
}

impl Answer<()> {
    /// Returns no content.
    #[must_use]
    pub const fn done() -> Self {
        Self::new(204, None, None, None)
    }
}
