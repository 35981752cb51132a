//! What handlers give when it did not work, and which failures each operation documents.

use std::marker::PhantomData;

use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type as _;

use super::JSON;
use crate::api::errors::ApiError;
use crate::contract::error::{ErrorBody, ErrorCode};
use crate::services;

/// The failures of an operation beyond those that every operation has, for the published document.
pub(in crate::api) trait Failures: Send + Sync + 'static {
    const CODES: &'static [ErrorCode];
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident: [$($code:ident),*];)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl Failures for $name {
            const CODES: &'static [ErrorCode] = &[$(ErrorCode::$code),*];
        }
    )*};
}

failures! {
    /// None beyond those that every operation has.
    Usual: [];
    /// Of making an account.
    Registering: [EmailTaken];
    /// Of logging in.
    LoggingIn: [InvalidCredentials];
    /// Of refreshing a session.
    Refreshing: [InvalidRefreshToken, RefreshTokenReused];
    /// Of a list that is filtered by what may belong to others.
    Filtering: [Forbidden];
    /// Of whatever is done to one thing that may belong to others.
    Reaching: [Forbidden, NotFound];
    /// Of changing something in a project, which may be archived.
    Changing: [Forbidden, ProjectArchived, NotFound];
    /// Of the readiness check.
    NotReady: [Unavailable];
}

/// A service's error on its way to the envelope, with the failures that the operation documents.
pub(in crate::api) struct Failure<F>(services::Error, PhantomData<F>);

impl<F> From<services::Error> for Failure<F> {
    fn from(error: services::Error) -> Self {
        Self(error, PhantomData)
    }
}

impl<F: Failures> From<Failure<F>> for poem::Error {
    fn from(failure: Failure<F>) -> Self {
        ApiError::from(failure.0).into()
    }
}

impl<F: Failures> ApiResponse for Failure<F> {
    fn meta() -> MetaResponses {
        let mut statuses: Vec<u16> = F::CODES.iter().map(|code| code.status()).collect();
        statuses.dedup();
        let responses = statuses.into_iter().map(|status| {
            let codes: Vec<_> =
                F::CODES.iter().filter(|code| code.status() == status).map(|code| code.as_str()).collect();
            MetaResponse {
                // Lives as long as the program, as the document does; made once.
                description: String::leak(codes.join(" ")),
                status: Some(status),
                status_range: None,
                content: vec![MetaMediaType { content_type: JSON, schema: ErrorBody::schema_ref() }],
                headers: vec![],
            }
        });
        MetaResponses { responses: responses.collect() }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}
