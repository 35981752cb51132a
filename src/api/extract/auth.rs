//! The authenticated caller.

use poem::{FromRequest, Request, RequestBody};

use crate::api::errors::ApiError;
use crate::services::{Caller, WriteContext};

/// The authenticated caller.
pub(in crate::api) struct Auth(pub(in crate::api) Caller);

impl<'a> FromRequest<'a> for Auth {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(write(request)?.caller))
    }
}

/// The authenticated caller, if the request has a token.
pub(in crate::api) struct OptionalAuth(pub(in crate::api) Option<Caller>);

impl<'a> FromRequest<'a> for OptionalAuth {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(request.extensions().get::<WriteContext>().map(|write| write.caller)))
    }
}

/// The authenticated caller of a change, with the idempotency key and the precondition of the request.
pub(in crate::api) struct AuthWrite(pub(in crate::api) WriteContext);

impl<'a> FromRequest<'a> for AuthWrite {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(write(request)?.clone()))
    }
}

fn write(request: &Request) -> Result<&WriteContext, ApiError> {
    let write = request.extensions().get::<WriteContext>();
    write.ok_or_else(|| ApiError::internal(anyhow::anyhow!("the pipeline authenticated no caller")))
}
