//! The request pipeline: route, rate limit, authentication, media type and syntax, replay, validation, handler.
//!
//! The order is published. Every response is one that the document describes, including those to panics and timeouts.

mod auth;
mod body;
mod costs;
mod dispatch;
mod idempotency;
mod large_bodies;
mod rate_limits;
mod stream_slots;
mod timeout;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::http::{HeaderName, Method, header};
use poem::{Request, Response};
use poem_openapi::OpenApi;
use tokio::time::Instant;
use tracing::field::display;
use tracing::{Instrument as _, Span};

use self::dispatch::Target;
use self::large_bodies::LargeBodies;
use self::rate_limits::{Charge, Decision, Key, RateLimits};
use self::stream_slots::StreamSlots;
use super::errors::{self, ApiError};
use super::extract::{ClientAddress, metadata};
use super::media_types::EVENT_STREAM;
use super::operations::{Access, DEPRECATED_AT, OperationPolicy, RateLimitClass, SUNSET};
use super::respond::{NO_STORE, no_content, not_modified, replay, set};
use super::settings::ApiSettings;
use super::validation::{MAX_DETAILS, OpenApiValidator, Operation, Route};
use crate::contract::error::{Detail, DetailCode, ErrorCode, ErrorLocation};
use crate::services::{Caller, ETagCondition, IdempotentRequest, MalformedETag, Services, SharedCharge, WriteContext};
use crate::telemetry::{self, RequestTrace};

/// Message for a path of no operation.
const UNKNOWN_PATH: &str = "Nothing has this path. The documentation at /docs lists all paths.";

/// Extension of a response: its operation, or another name for it in metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct OperationLabel(pub(super) &'static str);

/// The request pipeline, with the handlers at its end.
pub(super) struct RequestPipeline {
    validator: Arc<OpenApiValidator>,
    /// The targets by operation id.
    targets: HashMap<String, Target>,
    services: Services,
    limits: RateLimits,
    streams: StreamSlots,
    timeout: Duration,
    batch_limit: usize,
    large_bodies: LargeBodies,
}

/// The route of a request.
pub(super) struct Matched<'a> {
    route: Route<'a>,
    target: Option<&'a Target>,
}

impl Matched<'_> {
    /// Returns the name of the operation.
    pub(super) fn operation(&self) -> Option<&'static str> {
        self.target.map(|target| target.policy.id)
    }

    /// Returns whether the request is a health check.
    pub(super) fn is_probe(&self) -> bool {
        self.target.is_some_and(|target| target.policy.access == Access::Probe)
    }
}

/// A request to an operation, on its way.
struct Call<'a> {
    operation: &'a Arc<Operation>,
    target: &'a Target,
    client: IpAddr,
    deadline: Instant,
    /// The rate limit that is closest to its end.
    limit: Option<Decision>,
    /// Charges to the limits that all servers share.
    shared: Vec<SharedCharge>,
    /// Span of the log. Within a trace, the current span is another one.
    span: Span,
}

impl RequestPipeline {
    pub(super) fn new(
        validator: Arc<OpenApiValidator>,
        handlers: impl OpenApi,
        services: Services,
        settings: &ApiSettings,
    ) -> Self {
        Self {
            targets: dispatch::targets(handlers, &validator),
            validator,
            services,
            limits: RateLimits::new(settings.rate_limits),
            streams: StreamSlots::new(settings.streams),
            timeout: settings.request_timeout,
            batch_limit: settings.body_limit,
            large_bodies: LargeBodies::new(),
        }
    }

    /// Finds the operation of a request.
    pub(super) fn find(&self, request: &Request) -> Matched<'_> {
        let route = self.validator.route(request.method(), request.uri().path());
        let target = match &route {
            Route::Found(operation) => self.targets.get(&operation.id),
            Route::WrongMethod { .. } | Route::Unknown => None,
        };
        Matched { route, target }
    }

    /// Responds to a request from `client`.
    pub(super) async fn handle(
        &self,
        request: Request,
        matched: Matched<'_>,
        client: IpAddr,
        request_id: &str,
    ) -> Response {
        let error = match (matched.route, matched.target) {
            (Route::Found(operation), Some(target)) => {
                return self.run(request, operation, target, client, request_id).await;
            }
            (Route::Found(operation), None) => {
                ApiError::internal(anyhow::anyhow!("{} has no policy or no handler", operation.id))
            }
            (Route::WrongMethod { allow }, _) if request.method() == Method::OPTIONS => return no_content(allow),
            (Route::WrongMethod { allow }, _) => {
                self.unmatched(client, ApiError::new(ErrorCode::MethodNotAllowed).with_header(header::ALLOW, allow))
            }
            (Route::Unknown, _) => {
                self.unmatched(client, ApiError::new(ErrorCode::NotFound).with_message(UNKNOWN_PATH))
            }
        };
        errors::into_response(error.into(), request_id)
    }

    /// Counts a request without an operation, and returns its error.
    fn unmatched(&self, client: IpAddr, error: ApiError) -> ApiError {
        let mut networks = RateLimits::networks(RateLimitClass::Api, client);
        let refused = networks.find_map(|key| self.limits.count(RateLimitClass::Api, key, Charge::SINGLE)?.retry_after);
        refused.map_or(error, |seconds| rate_limited(RateLimitClass::Api, seconds))
    }

    async fn run(
        &self,
        request: Request,
        operation: &Arc<Operation>,
        target: &Target,
        client: IpAddr,
        request_id: &str,
    ) -> Response {
        let policy = target.policy;
        let deprecated_path = operation.deprecated.then(|| request.uri().path().to_owned());
        let if_none_match =
            policy.cacheable.then(|| entity_tags(&request, &header::IF_NONE_MATCH).ok().flatten()).flatten();
        let mut call = Call {
            operation,
            target,
            client,
            deadline: Instant::now() + self.timeout,
            limit: None,
            shared: Vec::new(),
            span: Span::current(),
        };
        // Boxed: the large future of a handler would be copied with each of the futures around it.
        let trace = RequestTrace {
            method: request.method().as_str(),
            route: &operation.path,
            operation: policy.id,
            request_id,
            parent: request.header("traceparent"),
        };
        let trace = trace.begin();
        if let Some(id) = telemetry::trace_id(&trace) {
            call.span.record("trace.id", id);
        }
        let response = Box::pin(self.authenticate_and_limit(request, &mut call)).instrument(trace.clone());
        let result = timeout::with_timeout(self.timeout, response).await;
        let mut response = result.unwrap_or_else(|error| errors::into_response(error, request_id));
        if let Some(unchanged) = if_none_match.and_then(|tags| not_modified(&response, &tags)) {
            response = unchanged;
        }
        // The limits of failed logins and of invitations have set their own.
        if let Some(limit) = call.limit.filter(|_| !response.headers().contains_key("ratelimit-limit")) {
            rate_limits::set_headers(&mut response, limit);
        }
        if let Some(path) = deprecated_path.filter(|_| response.status().is_success()) {
            add_deprecation(&mut response, &path);
        }
        if policy.no_store {
            set(&mut response, header::CACHE_CONTROL, NO_STORE);
        }
        telemetry::end_request_span(&trace, response.status().as_u16());
        response.extensions_mut().insert(OperationLabel(policy.id));
        response
    }

    async fn authenticate_and_limit(&self, request: Request, call: &mut Call<'_>) -> poem::Result<Response> {
        let policy = call.target.policy;
        if policy.access == Access::Probe {
            return call.target.call(request).await;
        }
        let given = auth::given_credential(&request);
        let caller = auth::authenticate(&self.services, &request, policy).await;
        if let Ok(Some(caller)) = &caller {
            call.span.record("user.id", display(caller.user));
        }
        let cost = costs::of_head(policy, request.uri());
        match caller {
            Ok(Some(caller)) if matches!(policy.rate_limit, RateLimitClass::Api | RateLimitClass::Mail) => {
                self.check_rate_limit(&Key::User(caller.user), cost, call)?;
            }
            _ => {
                for key in RateLimits::networks(policy.rate_limit, call.client) {
                    self.check_rate_limit(&key, cost, call)?;
                }
            }
        }
        let caller = caller.map_err(|error| ApiError::unauthenticated(error, given))?;
        if let Some(caller) = &caller {
            auth::authorize_credential(caller, policy.access).map_err(ApiError::from)?;
            if policy.rate_limit == RateLimitClass::Auth {
                // Also by user, so that many addresses cannot guess the password of one account.
                self.check_rate_limit(&Key::User(caller.user), Charge::SINGLE, call)?;
            }
        }
        // Last, so that a request is written at most once, and what this server refuses is not written at all.
        if let Some(shared) = self.services.shared_limits.charge(&call.shared).await {
            call.apply(shared.into())?;
        }
        if call.operation.response_type.as_deref() != Some(EVENT_STREAM) {
            return self.validate_and_dispatch(request, caller, call).await;
        }
        let slot = self.streams.acquire(call.client)?;
        let mut response = self.validate_and_dispatch(request, caller, call).await?;
        slot.attach(&mut response);
        Ok(response)
    }

    async fn validate_and_dispatch(
        &self,
        mut request: Request,
        caller: Option<Caller>,
        call: &mut Call<'_>,
    ) -> poem::Result<Response> {
        let Call { operation, target, .. } = *call;
        let policy = target.policy;
        if let Some(media_type) = &operation.response_type {
            body::negotiate(&request, media_type)?;
        }
        let body = if operation.has_body {
            let limit = body::limit(policy, self.batch_limit);
            body::read_json(&mut request, operation, limit, call.deadline, &self.large_bodies).await?
        } else {
            None
        };
        let (size, mut body) = body.map_or((0, None), |body| (body.size, Some(body.value)));
        let mut idempotent = None;
        if let Some(caller) = caller.filter(|_| policy.idempotent) {
            if let Some(key) = idempotency::parse_key(&request)? {
                let (method, uri) = (request.method().clone(), request.uri().clone());
                let hash = move || (idempotency::fingerprint(&method, uri.path(), uri.query(), body.as_ref()), body);
                let fingerprint;
                (fingerprint, body) = self.large_bodies.run(size, hash).await?;
                idempotent = Some(IdempotentRequest { key, fingerprint });
            }
            if let Some(idempotent) = &idempotent
                && let Some(outcome) =
                    self.services.idempotency.find_outcome(caller, idempotent).await.map_err(ApiError::from)?
            {
                return Ok(replay(outcome));
            }
        }
        // After the replay, which costs one request.
        if let (Some(caller), Some(cost)) = (caller, costs::of_body(policy, body.as_ref())) {
            self.check_rate_limit(&Key::User(caller.user), cost, call)?;
        }
        let (operation, uri) = (Arc::clone(operation), request.uri().clone());
        let check = move || operation.check(uri.query().unwrap_or_default(), body);
        let checked = self.large_bodies.run(size, check).await?;
        let (checked, if_match) = match (checked, check_conditions(&request, policy)) {
            (Ok(checked), Ok(if_match)) => (checked, if_match),
            (checked, condition) => {
                let mut details = checked.err().unwrap_or_default();
                details.splice(0..0, condition.err());
                details.truncate(MAX_DETAILS);
                return Err(ApiError::invalid(details).into());
            }
        };
        request.extensions_mut().insert(ClientAddress(call.client));
        request.extensions_mut().insert(Arc::new(checked));
        if let Some(caller) = caller {
            let write = WriteContext { caller, idempotency: idempotent, if_match, request: metadata(&request) };
            request.extensions_mut().insert(write);
        }
        target.call(request).await
    }

    fn check_rate_limit(&self, key: &Key, charge: Charge, call: &mut Call<'_>) -> Result<(), ApiError> {
        let class = call.target.policy.rate_limit;
        let Some(decision) = self.limits.count(class, key.clone(), charge) else { return Ok(()) };
        call.shared.extend(rate_limits::shared_charge(class, key, charge, decision.limit));
        call.apply(decision)
    }
}

impl Call<'_> {
    /// Fails if a limit refuses the request, and keeps the limit that is closest to its end for the headers.
    fn apply(&mut self, decision: Decision) -> Result<(), ApiError> {
        if self.limit.is_none_or(|known| decision.remaining <= known.remaining) {
            self.limit = Some(decision);
        }
        let class = self.target.policy.rate_limit;
        decision.retry_after.map_or(Ok(()), |seconds| Err(rate_limited(class, seconds)))
    }
}

fn rate_limited(class: RateLimitClass, seconds: u64) -> ApiError {
    telemetry::record_rate_limited(class.into());
    ApiError::new(ErrorCode::RateLimited)
        .with_message(errors::rate_limited(seconds))
        .with_header(header::RETRY_AFTER, seconds.to_string())
}

/// Adds the headers of a deprecated operation (RFC 9745 and RFC 8594), whose successor has the same path in `/v2`.
fn add_deprecation(response: &mut Response, path: &str) {
    let successor = path.replacen("/v1/", "/v2/", 1);
    let links = format!(
        r#"<{successor}>; rel="successor-version", </guides/migration-to-v2>; rel="deprecation"; type="text/html""#
    );
    set(response, HeaderName::from_static("deprecation"), DEPRECATED_AT);
    set(response, HeaderName::from_static("sunset"), SUNSET);
    set(response, header::LINK, &links);
}

/// Checks the conditional headers that the operation takes, and returns `If-Match`.
fn check_conditions(request: &Request, policy: &OperationPolicy) -> Result<Option<ETagCondition>, Detail> {
    let check = |name: &HeaderName, field: &str| {
        entity_tags(request, name).map_err(|MalformedETag| Detail {
            location: ErrorLocation::Header,
            field: field.to_owned(),
            code: DetailCode::Format,
            message: format!("{field} must contain entity tags in double quotes, as in ETag, or *."),
        })
    };
    if policy.cacheable {
        check(&header::IF_NONE_MATCH, "If-None-Match")?;
    }
    if policy.stale.is_some() { check(&header::IF_MATCH, "If-Match") } else { Ok(None) }
}

/// The entity tags of `If-Match` or `If-None-Match`.
fn entity_tags(request: &Request, name: &HeaderName) -> Result<Option<ETagCondition>, MalformedETag> {
    let lines = request.headers().get_all(name).iter();
    ETagCondition::parse(lines.map(|line| line.to_str().unwrap_or_default()))
}
