//! What a request must pass before a handler sees it, in the published order: route, rate limit, authentication, media
//! type and syntax, validation. A keyed request that was answered before is answered right before its validation.
//!
//! All of it follows the published document: a request that the document does not allow is answered here, with every
//! failure at once, and whatever comes from here or from behind it is an answer that the document knows. Panics and
//! requests that take too long end here too.

mod auth;
mod body;
mod idempotency;
mod rate_limits;
mod timeout;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderName, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use tokio::time::Instant;

use self::rate_limits::{Bucket, Decision, Key, RateLimits};
use super::deprecation;
use super::errors::{self, ApiError};
use super::extract::{ValidatedRequest, is_for_sessions};
use super::respond::{respond, set};
use super::settings::ApiSettings;
use super::validation::{OpenApiValidator, Operation, Route};
use crate::contract::account::api_token::Scope;
use crate::contract::error::ErrorCode;
use crate::services::{self, Caller, KeyedRequest, Services};

pub use rate_limits::RateLimitSettings;

pub(super) const RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(super) const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(super) const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The pipeline, with the handlers behind it.
pub(super) struct RequestPipeline {
    validator: Arc<OpenApiValidator>,
    handlers: BoxEndpoint<'static>,
    services: Services,
    limits: RateLimits,
    timeout: Duration,
    body_limit: usize,
}

/// Names the operation of a request, for the log.
#[derive(Debug, Clone)]
pub(super) struct OperationId(pub(super) Cow<'static, str>);

impl RequestPipeline {
    pub(super) fn new(
        validator: Arc<OpenApiValidator>,
        handlers: BoxEndpoint<'static>,
        services: Services,
        settings: &ApiSettings,
    ) -> Self {
        Self {
            validator,
            handlers,
            services,
            limits: RateLimits::new(settings.rate_limits),
            timeout: settings.request_timeout,
            body_limit: settings.body_limit,
        }
    }

    /// Answers a request from `client`, whatever happens.
    pub(super) async fn answer(&self, request: Request, client: IpAddr, request_id: &str) -> Response {
        match self.validator.route(request.method(), request.uri().path()) {
            Route::Found(operation) => {
                let mut decision = None;
                let path = operation.deprecated.then(|| request.uri().path().to_owned());
                // Boxed, because it holds all that a handler may need, and would be copied with each of the futures
                // around it.
                let answer = Box::pin(self.authenticate_and_limit(
                    request,
                    operation,
                    client,
                    Instant::now() + self.timeout,
                    &mut decision,
                ));
                let result = timeout::with_timeout(self.timeout, answer).await;
                let mut response = result.unwrap_or_else(|error| errors::into_response(error, request_id));
                if let Some(decision) = decision {
                    set_rate_limit_headers(&mut response, decision);
                }
                if let Some(path) = path.filter(|_| response.status().is_success()) {
                    deprecation::add_headers(&mut response, &path);
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
                errors::into_response(error.into(), request_id)
            }
            Route::Unknown => errors::into_response(ApiError::new(ErrorCode::NotFound).into(), request_id),
        }
    }

    async fn authenticate_and_limit(
        &self,
        request: Request,
        operation: &Operation,
        client: IpAddr,
        deadline: Instant,
        decision: &mut Option<Decision>,
    ) -> poem::Result<Response> {
        if !is_versioned(operation) {
            return self.handlers.call(request).await;
        }
        let caller = self.caller(&request, operation).await;
        let bucket = Bucket::for_operation(&operation.id);
        let key = match caller {
            Some(Ok(caller)) if matches!(bucket, Bucket::Api | Bucket::Mail) => Key::User(caller.user),
            _ => Key::for_ip(client),
        };
        self.check_rate_limit(bucket, key, decision)?;
        let has_token = auth::bearer_token(&request).is_some();
        let caller = caller.transpose().map_err(|error| ApiError::unauthenticated(error, has_token))?;
        if let Some(caller) = &caller {
            authorize_credential(caller, operation).map_err(ApiError::from)?;
        }
        self.validate_and_dispatch(request, operation, caller, deadline, bucket, decision).await
    }

    /// Who is calling, where the operation asks for that.
    async fn caller(&self, request: &Request, operation: &Operation) -> Option<Result<Caller, services::Error>> {
        if !operation.needs_token {
            return None;
        }
        Some(match auth::bearer_token(request) {
            None => Err(services::Error::Unauthenticated),
            Some(token) => self.services.authenticate(token).await,
        })
    }

    async fn validate_and_dispatch(
        &self,
        mut request: Request,
        operation: &Operation,
        caller: Option<Caller>,
        deadline: Instant,
        bucket: Bucket,
        decision: &mut Option<Decision>,
    ) -> poem::Result<Response> {
        if let Some(media_type) = &operation.answers {
            body::negotiate(&request, media_type)?;
        }
        let body = if operation.takes_body {
            body::read_json(&mut request, operation, self.body_limit, deadline).await?
        } else {
            None
        };
        if bucket == Bucket::Auth {
            // By the account too, so that many addresses cannot guess at one password.
            let email = body.as_ref().and_then(|body| body.get("email")).and_then(|email| email.as_str());
            let account = email.map(|email| self.limits.account(email));
            if let Some(key) = account.or(caller.map(|caller| Key::User(caller.user))) {
                self.check_rate_limit(bucket, key, decision)?;
            }
        }
        let mut keyed = None;
        if let Some(caller) = caller.filter(|_| operation.takes_key) {
            keyed = idempotency::parse_key(&request, body.as_ref())?.map(|request| (caller, request));
            if let Some((caller, keyed)) = &keyed
                && let Some(answer) = self.replay(*caller, keyed).await?
            {
                return Ok(answer);
            }
        }
        let query = request.uri().query().unwrap_or_default();
        let checked = operation.check(query, body).map_err(ApiError::invalid)?;
        request.extensions_mut().insert(Arc::new(ValidatedRequest::new(checked.query, checked.body)));
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
        let answer = self.services.idempotency.replay::<()>(caller, keyed).await?;
        Ok(answer.map(|answer| {
            let mut response = respond(answer);
            set(&mut response, IDEMPOTENCY_REPLAYED, "true");
            response
        }))
    }

    /// Counts the request; the response tells of the limit that is nearest.
    fn check_rate_limit(&self, bucket: Bucket, key: Key, nearest: &mut Option<Decision>) -> Result<(), ApiError> {
        let Some(decision) = self.limits.count(bucket, key) else { return Ok(()) };
        if nearest.is_none_or(|known| decision.remaining <= known.remaining) {
            *nearest = Some(decision);
        }
        decision.retry_after.map_or(Ok(()), |seconds| {
            Err(ApiError::new(ErrorCode::RateLimited)
                .with_message(format!("Too many requests; try again in {seconds} s."))
                .with_header(header::RETRY_AFTER, seconds.to_string()))
        })
    }
}

/// Refuses an API token where it is not enough, which is known before anything is known about the request.
fn authorize_credential(caller: &Caller, operation: &Operation) -> Result<(), services::Error> {
    if is_for_sessions(&operation.path) {
        caller.require_session()?;
    }
    caller.require_scope(if operation.method == Method::GET { Scope::Read } else { Scope::Write })
}

/// Whether it is an operation of a version of the API, and not a health check.
fn is_versioned(operation: &Operation) -> bool {
    operation.path.starts_with("/v1/") || operation.path.starts_with("/v2/")
}

fn set_rate_limit_headers(response: &mut Response, decision: Decision) {
    set(response, RATE_LIMIT_LIMIT, &decision.limit.to_string());
    set(response, RATE_LIMIT_REMAINING, &decision.remaining.to_string());
    set(response, RATE_LIMIT_RESET, &decision.reset.to_string());
}
