//! Errors: the conversion to a response, and the log of internal ones.

use std::borrow::Cow;

use poem::Response;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::{ToJSON as _, Type as _};

use super::media_types::JSON;
use super::respond::{NO_STORE, set};
use crate::contract::error::{Detail, ErrorBody, ErrorCode};
use crate::contract::ids::new_uuid;
use crate::contract::resource::CurrentResource;
use crate::services;

pub(super) const REALM: &str = "Bearer realm=\"pocket-tasks\"";

/// Message for an `Authorization` header that is not a bearer token.
const MALFORMED_AUTHORIZATION: &str = "The Authorization header must be given once, as `Bearer <token>`.";

/// Message for a token that was not issued here, or is incomplete.
pub(super) const UNREADABLE_TOKEN: &str =
    "The access token cannot be read: it is incomplete, or was not issued by this server.";

/// `Retry-After` of a user with too many streams, in seconds.
const RETRY_STREAM: &str = "30";

/// `Retry-After` of all other errors that have one, in seconds.
const RETRY_SOON: &str = "1";

/// Message for a request that does not accept the media type of the response.
pub(super) fn not_acceptable(media_type: &str) -> String {
    format!("The response is {media_type}, which the Accept header does not allow.")
}

/// Message for a body that has none of these media types.
pub(super) fn unsupported_media_type(media_types: &[&str]) -> String {
    format!("Send the request body as {}, in UTF-8.", media_types.join(" or "))
}

/// Message for a body that is larger than this number of bytes.
pub(super) fn payload_too_large(limit: usize) -> String {
    format!("The request body is larger than {limit} bytes.")
}

/// Message for a client that has to wait this number of seconds.
pub(super) fn rate_limited(seconds: u64) -> String {
    format!("Too many requests. Try again in {seconds} s.")
}

/// Credential that a request contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenCredential {
    /// No `Authorization` header.
    None,
    /// An `Authorization` header that is not one bearer token.
    Malformed,
    /// A bearer token.
    Token,
}

/// Result of a handler.
pub(super) type Reply<T> = Result<T, ApiError>;

/// An error of the API.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct ApiError(Box<ErrorParts>);

#[derive(Debug, thiserror::Error)]
#[error("{}", .code.as_str())]
struct ErrorParts {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Option<Vec<Detail>>,
    current: Option<CurrentResource>,
    headers: Vec<(HeaderName, String)>,
    /// Cause of the error, for the log only.
    cause: Option<anyhow::Error>,
}

impl ErrorParts {
    /// Returns whether the error was already logged, or says no more than that the server is busy.
    fn is_reported(&self) -> bool {
        match &self.cause {
            Some(cause) => cause.downcast_ref::<services::Error>().is_some_and(services::Error::is_reported),
            None => self.code == ErrorCode::Unavailable,
        }
    }
}

impl ApiError {
    /// Creates an error with the default message of its code.
    pub(super) fn new(code: ErrorCode) -> Self {
        let message = Cow::Borrowed(code.message());
        Self(Box::new(ErrorParts { code, message, details: None, current: None, headers: Vec::new(), cause: None }))
    }

    pub(super) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Adds the challenge for an invalid token (RFC 6750, section 3).
    fn with_challenge(self, description: &str) -> Self {
        self.with_header(header::WWW_AUTHENTICATE, invalid_token(description))
    }

    /// Creates the error of an invalid request.
    pub(super) fn invalid(details: Vec<Detail>) -> Self {
        let mut failure = Self::new(ErrorCode::ValidationFailed);
        if let Some(first) = details.first() {
            failure = failure.with_message(first.message.clone());
        }
        failure.0.details = Some(details);
        failure
    }

    /// Creates the error of an unauthenticated request, which says what is wrong with its credential.
    pub(super) fn unauthenticated(error: services::Error, given: GivenCredential) -> Self {
        let is_unauthenticated = matches!(error, services::Error::Unauthenticated);
        let failure = Self::from(error);
        match given {
            // Without an error code: the scheme may be another one (RFC 6750, section 3.1).
            GivenCredential::Malformed if is_unauthenticated => failure.with_message(MALFORMED_AUTHORIZATION),
            GivenCredential::Token if is_unauthenticated => {
                failure.with_message(UNREADABLE_TOKEN).with_challenge("The access token cannot be read")
            }
            _ => failure,
        }
    }

    /// Creates the error of a request that the server has no capacity for.
    pub(super) fn overloaded() -> Self {
        Self::new(ErrorCode::Unavailable).with_message("The server has too many connections. Try again later.")
    }

    /// Creates an internal error.
    pub(super) fn internal(cause: anyhow::Error) -> Self {
        let mut failure = Self::new(ErrorCode::Internal);
        failure.0.cause = Some(cause);
        failure
    }
}

impl From<services::Error> for ApiError {
    fn from(error: services::Error) -> Self {
        use services::Error as E;
        let mut failure = Self::new(error.code()).with_message(error.message());
        match &error {
            E::Invalid(details) => failure.0.details = Some(details.clone()),
            E::PreconditionFailed { current, etag } => {
                failure.0.current = Some(current.clone());
                failure = failure.with_header(header::ETAG, etag.clone());
            }
            E::InsufficientScope(scope) => {
                let challenge = format!("{REALM}, error=\"insufficient_scope\", scope=\"{}\"", scope.as_str());
                failure = failure.with_header(header::WWW_AUTHENTICATE, challenge);
            }
            E::ApiTokenExpired => failure = failure.with_challenge("The API token has expired"),
            E::ApiTokenRevoked => failure = failure.with_challenge("The API token was revoked"),
            E::TooManyStreams => failure = failure.with_header(header::RETRY_AFTER, RETRY_STREAM),
            E::RateLimited { limit, retry_after, .. } => {
                let seconds = whole_seconds(*retry_after).to_string();
                failure = failure
                    .with_header(HeaderName::from_static("ratelimit-limit"), limit.to_string())
                    .with_header(HeaderName::from_static("ratelimit-remaining"), "0")
                    .with_header(HeaderName::from_static("ratelimit-reset"), seconds.clone())
                    .with_header(header::RETRY_AFTER, seconds);
            }
            E::TooManySearches | E::KeyInProgress => {
                failure = failure.with_header(header::RETRY_AFTER, RETRY_SOON);
            }
            _ => {}
        }
        if let Some(wait) = error.retry_after() {
            failure = failure.with_header(header::RETRY_AFTER, whole_seconds(wait).to_string());
        }
        failure.0.cause = Some(error.into());
        failure
    }
}

/// Whole seconds, rounded up; at least one.
fn whole_seconds(duration: std::time::Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// Errors are documented by the table of operations, so handlers declare none.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}

impl From<ApiError> for poem::Error {
    fn from(error: ApiError) -> Self {
        let status = status(error.0.code);
        Self::new(error, status)
    }
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Converts an error into its response, and logs internal errors.
pub(super) fn into_response(error: poem::Error, request_id: &str) -> Response {
    let ApiError(failure) = error.downcast().unwrap_or_else(|other: poem::Error| {
        // The pipeline rejects every request that poem would, so this is a bug.
        ApiError::internal(anyhow::anyhow!("{other}"))
    });
    if failure.code.status() >= 500 && !failure.is_reported() {
        tracing::error!(
            error.code = failure.code.as_str(),
            error = failure.cause.as_ref().map(|cause| services::error_chain(&**cause)),
            "request failed"
        );
    }
    let body = match failure.current {
        Some(current) => current.into_failure(failure.code, failure.message.into_owned(), request_id.to_owned()),
        None => envelope(failure.code, failure.message.into_owned(), failure.details, request_id.to_owned()),
    };
    let mut response = Response::builder().status(status(failure.code)).content_type(JSON).body(body);
    match failure.code.status() {
        401 => set(&mut response, header::WWW_AUTHENTICATE, &challenge(failure.code)),
        503 => set(&mut response, header::RETRY_AFTER, RETRY_SOON),
        _ => {}
    }
    for (name, value) in failure.headers {
        set(&mut response, name, &value);
    }
    response
}

/// Creates the response to a request that is not valid HTTP, which no operation can answer.
pub fn reject(status: StatusCode) -> poem::http::Response<String> {
    let code = match status {
        StatusCode::URI_TOO_LONG => ErrorCode::UriTooLong,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorCode::HeadersTooLarge,
        _ => ErrorCode::MalformedRequest,
    };
    let request_id = new_uuid().to_string();
    // At this level, because nothing limits how many of them a client sends.
    tracing::debug!(
        request.id = request_id,
        http.status = code.status(),
        "request rejected because it is not valid HTTP"
    );
    let body = envelope(code, code.message().to_owned(), None, request_id.clone());
    let mut response = poem::http::Response::new(body);
    *response.status_mut() = self::status(code);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert("x-request-id", value);
    }
    response
}

fn envelope(error: ErrorCode, message: String, details: Option<Vec<Detail>>, request_id: String) -> String {
    let field = details.as_ref().and_then(|details| details.first()).map(|detail| detail.field.clone());
    let field = field.filter(|field| !field.is_empty());
    ErrorBody { error, message, field, details, request_id }.to_json_string()
}

/// Returns the challenge of RFC 6750, section 3; it has an error only if a token was sent.
fn challenge(code: ErrorCode) -> String {
    match code {
        ErrorCode::TokenExpired => invalid_token("The access token has expired"),
        ErrorCode::TokenRevoked => invalid_token("The session was ended"),
        _ => REALM.to_owned(),
    }
}

fn invalid_token(description: &str) -> String {
    format!("{REALM}, error=\"invalid_token\", error_description=\"{description}\"")
}
