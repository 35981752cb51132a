//! What handlers give when it did not work, and which failures each operation documents.

use std::marker::PhantomData;

use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type as _};

use super::success::etag;
use crate::api::errors::ApiError;
use crate::api::media_types::JSON;
use crate::contract::error::{ErrorBody, ErrorCode};
use crate::services;

/// The failures of an operation beyond those that every operation has, for the published document.
pub(in crate::api) trait Failures: Send + Sync + 'static {
    fn codes() -> Vec<ErrorCode>;

    /// The sentences of this operation, each with the name of its example, which begins with its code. Codes without
    /// one have the sentence that they have everywhere.
    fn sentences() -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What says that a precondition failed, where that can be.
    fn stale(_registry: Option<&mut Registry>) -> Option<MetaSchemaRef> {
        None
    }
}

/// The failures of `F`, and that `If-Match` names another version, which a `B` says.
pub(in crate::api) struct Matching<F, B>(PhantomData<(F, B)>);

impl<F: Failures, B: ToJSON + 'static> Failures for Matching<F, B> {
    fn codes() -> Vec<ErrorCode> {
        let mut codes = F::codes();
        codes.push(ErrorCode::PreconditionFailed);
        codes
    }

    fn stale(registry: Option<&mut Registry>) -> Option<MetaSchemaRef> {
        if let Some(registry) = registry {
            B::register(registry);
        }
        Some(B::schema_ref())
    }
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident: [$($code:ident),*];)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl Failures for $name {
            fn codes() -> Vec<ErrorCode> {
                vec![$(ErrorCode::$code),*]
            }
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
    /// Of what takes a token that was sent by mail.
    Proving: [InvalidToken];
    /// Of making one of the things of which a user may have only so many.
    Issuing: [LimitReached];
    /// Of making a webhook.
    Pointing: [Forbidden, LimitReached, WebhookUrlForbidden];
    /// Of changing a webhook.
    Redirecting: [Forbidden, NotFound, WebhookUrlForbidden];
    /// Of refreshing a session.
    Refreshing: [InvalidRefreshToken, RefreshTokenReused];
    /// Of a list that is filtered by what may belong to others.
    Filtering: [Forbidden];
    /// Of whatever is done to one thing that may belong to others.
    Reaching: [Forbidden, NotFound];
    /// Of walking through a list.
    Walking: [InvalidCursor, Forbidden, NotFound];
    /// Of walking through a list that is filtered by what may belong to others.
    WalkingAll: [InvalidCursor, Forbidden];
    /// Of changing something in a project, which may be archived.
    Changing: [Forbidden, ProjectArchived, NotFound];
    /// Of changing or removing a member.
    HandingOver: [Forbidden, ProjectArchived, NotFound, OwnerRequired];
    /// Of inviting somebody into a project.
    Inviting: [Forbidden, ProjectArchived, NotFound, AlreadyMember, AlreadyInvited, LimitReached];
    /// Of taking an invitation back.
    Revoking: [Forbidden, ProjectArchived, NotFound, InvitationNotPending];
    /// Of reading what was sent to an address that must be proved.
    ListingMine: [EmailNotVerified];
    /// Of accepting an invitation.
    Accepting: [Forbidden, EmailNotVerified, ProjectArchived, NotFound, AlreadyMember, InvitationNotPending];
    /// Of declining an invitation.
    Declining: [Forbidden, EmailNotVerified, NotFound, InvitationNotPending];
    /// Of the readiness check.
    NotReady: [Unavailable];
}

/// Of following the feed.
pub(in crate::api) struct Following;

impl Failures for Following {
    fn codes() -> Vec<ErrorCode> {
        WalkingAll::codes()
    }

    fn sentences() -> Vec<(&'static str, String)> {
        vec![
            ("INVALID_CURSOR", services::Error::InvalidEventCursor.message()),
            ("INVALID_CURSOR_TOO_OLD", services::Error::CursorExpired.message()),
        ]
    }
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
        let all = F::codes();
        let mut statuses: Vec<u16> = all.iter().map(|code| code.status()).collect();
        statuses.dedup();
        let responses = statuses.into_iter().map(|status| {
            let codes: Vec<_> = all.iter().filter(|code| code.status() == status).collect();
            let is_stale = codes.contains(&&ErrorCode::PreconditionFailed);
            let schema = F::stale(None).filter(|_| is_stale).unwrap_or_else(ErrorBody::schema_ref);
            let words = codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(" ");
            let of_status = |(name, _): &(&str, String)| codes.iter().any(|code| name.starts_with(code.as_str()));
            let sentences = F::sentences().into_iter().filter(of_status);
            let sentences = sentences.map(|(name, sentence)| format!("{name}: {sentence}"));
            let lines: Vec<String> = std::iter::once(words).chain(sentences).collect();
            MetaResponse {
                // Lives as long as the program, as the document does; made once.
                description: String::leak(lines.join("\n")),
                status: Some(status),
                status_range: None,
                content: vec![MetaMediaType { content_type: JSON, schema }],
                headers: if is_stale { vec![etag()] } else { vec![] },
            }
        });
        MetaResponses { responses: responses.collect() }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
        F::stale(Some(registry));
    }
}
