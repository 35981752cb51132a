//! Authentication by bearer token.

use std::borrow::Cow;

use poem::Request;
use poem::http::header;

use crate::api::errors::GivenCredential;
use crate::api::operations::{Access, OperationPolicy};
use crate::api::validation::percent_decode;
use crate::contract::account::api_token::Scope;
use crate::services::{Caller, Error, Services};

/// Returns the caller, or `None` where the operation requires none.
pub(super) async fn authenticate(
    services: &Services,
    request: &Request,
    policy: &OperationPolicy,
) -> Result<Option<Caller>, Error> {
    let token = bearer_token(request);
    if let Some(ticket) = ticket(request).filter(|_| policy.accepts_ticket && token.is_none()) {
        return services.events.authenticate(&ticket).await.map(Some);
    }
    match (policy.access, token) {
        (Access::Probe | Access::Public, _) | (Access::OptionalSession, None) => Ok(None),
        (Access::Session | Access::Token(_) | Access::BothScopes, None) => Err(Error::Unauthenticated),
        (Access::OptionalSession | Access::Session | Access::Token(_) | Access::BothScopes, Some(token)) => {
            services.authenticate(token).await.map(Some)
        }
    }
}

/// Rejects an API token that is not sufficient, before anything is known about the rest of the request.
pub(super) fn authorize_credential(caller: &Caller, access: Access) -> Result<(), Error> {
    match access {
        Access::Probe | Access::Public => Ok(()),
        Access::OptionalSession | Access::Session => caller.require_session().map(drop),
        Access::Token(scope) => caller.require_scope(scope),
        Access::BothScopes => caller.require_scope(Scope::Read).and_then(|()| caller.require_scope(Scope::Write)),
    }
}

/// Returns what kind of credential a request contains, for the message of a failure.
pub(super) fn given_credential(request: &Request) -> GivenCredential {
    match bearer_token(request) {
        Some(_) => GivenCredential::Token,
        None if request.headers().contains_key(header::AUTHORIZATION) => GivenCredential::Malformed,
        None => GivenCredential::None,
    }
}

/// Returns the query parameter `ticket`.
fn ticket(request: &Request) -> Option<Cow<'_, str>> {
    let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == "ticket").find_map(|(_, value)| percent_decode(value))
}

/// Returns the token of `Authorization: Bearer <token>` (RFC 6750, section 2.1).
pub(super) fn bearer_token(request: &Request) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(header: &'static str, value: &str) -> Request {
        Request::builder().header(header, value).finish()
    }

    #[test]
    fn only_a_bearer_token_is_a_token() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(&request("authorization", value)), token, "{value}");
        }
    }
}
