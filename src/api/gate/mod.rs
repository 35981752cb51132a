//! What a request must pass before a handler sees it, in the published order: route, rate limit, authentication, media
//! type and syntax, validation. A keyed request that was answered before is answered right before its validation.
//!
//! All of it follows the published document: a request that the document does not allow is answered here, with every
//! failure at once, and whatever comes from here or from behind it is an answer that the document knows. Panics and
//! requests that take too long end here too.

mod body;
mod client;
mod guard;
mod idempotency;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderName, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use tokio::time::Instant;

use super::ApiSettings;
use super::deprecation;
use super::errors::{self, ApiError};
use super::payload::{CheckedRequest, is_for_sessions, respond, set};
use super::rate_limits::{Bucket, Key, RateLimits, Verdict};
use super::validation::{Contract, Operation, Route};
use crate::contract::api_token::Scope;
use crate::contract::error::ErrorCode;
use crate::services::{self, Caller, KeyedRequest, Services};

pub(super) use client::address as client_address;

pub(super) const RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(super) const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(super) const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The gate, with the handlers behind it.
pub(super) struct Gate {
    contract: Arc<Contract>,
    handlers: BoxEndpoint<'static>,
    services: Services,
    limits: RateLimits,
    timeout: Duration,
    body_limit: usize,
}

/// Names the operation of a request, for the log.
#[derive(Debug, Clone)]
pub(super) struct OperationId(pub(super) Cow<'static, str>);

impl Gate {
    pub(super) fn new(
        contract: Arc<Contract>,
        handlers: BoxEndpoint<'static>,
        services: Services,
        settings: &ApiSettings,
    ) -> Self {
        Self {
            contract,
            handlers,
            services,
            limits: RateLimits::new(settings.rate_limits),
            timeout: settings.request_timeout,
            body_limit: settings.body_limit,
        }
    }

    /// Answers a request from `client`, whatever happens.
    pub(super) async fn answer(&self, request: Request, client: IpAddr, request_id: &str) -> Response {
        match self.contract.route(request.method(), request.uri().path()) {
            Route::Found(operation) => {
                let mut verdict = None;
                let path = operation.deprecated.then(|| request.uri().path().to_owned());
                // Boxed, because it holds all that a handler may need, and would be copied with each of the futures
                // around it.
                let answer =
                    Box::pin(self.pass(request, operation, client, Instant::now() + self.timeout, &mut verdict));
                let result = guard::guarded(self.timeout, answer).await;
                let mut response = result.unwrap_or_else(|error| errors::respond(error, request_id));
                if let Some(verdict) = verdict {
                    tell(&mut response, verdict);
                }
                if let Some(path) = path.filter(|_| response.status().is_success()) {
                    deprecation::tell(&mut response, &path);
                }
                let has_secret = ["createApiToken", "createWebhook", "rotateWebhookSecret"].contains(&&*operation.id);
                if has_secret || operation.path.starts_with("/v1/auth/") {
                    // Tokens must not lie in a cache (RFC 6749, section 5.1).
                    set(&mut response, header::CACHE_CONTROL, "no-store");
                }
                response.set_data(OperationId(Cow::Owned(operation.id.clone())));
                response
            }
            Route::WrongMethod { allow } if request.method() == Method::OPTIONS => {
                let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
                set(&mut response, header::ALLOW, allow);
                response
            }
            Route::WrongMethod { allow } => {
                let error = ApiError::new(ErrorCode::MethodNotAllowed).with_header(header::ALLOW, allow);
                errors::respond(error.into(), request_id)
            }
            Route::Unknown => errors::respond(ApiError::new(ErrorCode::NotFound).into(), request_id),
        }
    }

    async fn pass(
        &self,
        request: Request,
        operation: &Operation,
        client: IpAddr,
        deadline: Instant,
        verdict: &mut Option<Verdict>,
    ) -> poem::Result<Response> {
        if !is_versioned(operation) {
            return self.handlers.call(request).await;
        }
        let caller = self.caller(&request, operation).await;
        let bucket = Bucket::of(&operation.id);
        let key = match caller {
            Some(Ok(caller)) if matches!(bucket, Bucket::Api | Bucket::Mail) => Key::User(caller.user),
            _ => Key::address(client),
        };
        self.count(bucket, key, verdict)?;
        let has_token = client::bearer(&request).is_some();
        let caller = caller.transpose().map_err(|error| ApiError::unauthenticated(error, has_token))?;
        if let Some(caller) = &caller {
            require_fit(caller, operation).map_err(ApiError::from)?;
        }
        self.check_and_call(request, operation, caller, deadline, bucket, verdict).await
    }

    /// Who is calling, where the operation asks for that.
    async fn caller(&self, request: &Request, operation: &Operation) -> Option<Result<Caller, services::Error>> {
        if !operation.needs_token {
            return None;
        }
        Some(match client::bearer(request) {
            None => Err(services::Error::Unauthenticated),
            Some(token) => self.services.authenticate(token).await,
        })
    }

    async fn check_and_call(
        &self,
        mut request: Request,
        operation: &Operation,
        caller: Option<Caller>,
        deadline: Instant,
        bucket: Bucket,
        verdict: &mut Option<Verdict>,
    ) -> poem::Result<Response> {
        if let Some(media_type) = &operation.answers {
            body::require_acceptable(&request, media_type)?;
        }
        let body = if operation.takes_body {
            body::read(&mut request, operation, self.body_limit, deadline).await?
        } else {
            None
        };
        if bucket == Bucket::Auth {
            // By the account too, so that many addresses cannot guess at one password.
            let email = body.as_ref().and_then(|body| body.get("email")).and_then(|email| email.as_str());
            let account = email.map(|email| self.limits.account(email));
            if let Some(key) = account.or(caller.map(|caller| Key::User(caller.user))) {
                self.count(bucket, key, verdict)?;
            }
        }
        let mut keyed = None;
        if let Some(caller) = caller.filter(|_| operation.takes_key) {
            keyed = idempotency::keyed(&request, body.as_ref())?.map(|request| (caller, request));
            if let Some((caller, keyed)) = &keyed
                && let Some(answer) = self.replay(*caller, keyed).await?
            {
                return Ok(answer);
            }
        }
        let query = request.uri().query().unwrap_or_default();
        let checked = operation.check(query, body).map_err(ApiError::invalid)?;
        request.extensions_mut().insert(Arc::new(CheckedRequest::new(checked.query, checked.body)));
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let Some((caller, keyed)) = keyed else { return self.handlers.call(request).await };
        request.extensions_mut().insert(keyed.clone());
        match self.handlers.call(request).await {
            // The first request with this key was faster: now its answer is there.
            Err(error) if errors::is_key_taken(&error) => self.replay(caller, &keyed).await?.ok_or(error),
            other => other,
        }
    }

    /// The answer to the first request with this key, as it was given.
    async fn replay(&self, caller: Caller, keyed: &KeyedRequest) -> Result<Option<Response>, ApiError> {
        let answer = self.services.replays.find::<()>(caller, keyed).await?;
        Ok(answer.map(|answer| {
            let mut response = respond(answer);
            set(&mut response, IDEMPOTENCY_REPLAYED, "true");
            response
        }))
    }

    /// Counts the request; the response tells of the limit that is nearest.
    fn count(&self, bucket: Bucket, key: Key, nearest: &mut Option<Verdict>) -> Result<(), ApiError> {
        let Some(verdict) = self.limits.count(bucket, key) else { return Ok(()) };
        if nearest.is_none_or(|known| verdict.remaining <= known.remaining) {
            *nearest = Some(verdict);
        }
        verdict.retry_after.map_or(Ok(()), |seconds| {
            Err(ApiError::new(ErrorCode::RateLimited)
                .because(format!("Too many requests; try again in {seconds} s."))
                .with_header(header::RETRY_AFTER, seconds.to_string()))
        })
    }
}

/// Refuses an API token where it is not enough, which is known before anything is known about the request.
fn require_fit(caller: &Caller, operation: &Operation) -> Result<(), services::Error> {
    if is_for_sessions(&operation.path) {
        caller.require_session()?;
    }
    caller.require_scope(if operation.method == Method::GET { Scope::Read } else { Scope::Write })
}

/// Whether it is an operation of a version of the API, and not a health check.
fn is_versioned(operation: &Operation) -> bool {
    operation.path.starts_with("/v1/") || operation.path.starts_with("/v2/")
}

fn tell(response: &mut Response, verdict: Verdict) {
    set(response, RATE_LIMIT_LIMIT, &verdict.limit.to_string());
    set(response, RATE_LIMIT_REMAINING, &verdict.remaining.to_string());
    set(response, RATE_LIMIT_RESET, &verdict.reset.to_string());
}
