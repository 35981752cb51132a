//! What handlers take and give: who is calling, checked parameters and bodies, responses and failures.
//!
//! The gate has checked the request against the published document before any of these is made; here the checked JSON
//! only becomes a type of the contract. That this cannot fail is what the tests over the whole document are for; should
//! it fail all the same, it is our error and not the caller's.

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use poem::http::{HeaderName, StatusCode, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, MetaSecurityScheme, Registry,
};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use serde_json::Value;

use super::errors::ApiError;
use crate::contract::error::{ErrorBody, ErrorCode};
use crate::services::{self, Caller, Device};

/// The one media type of responses.
pub(super) const JSON: &str = "application/json";
/// The media type of a JSON Merge Patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
/// Marks an object of query parameters for the finishing pass, which makes parameters of its fields.
const QUERY: &str = "application/x-query-parameters";

/// The query and the body of a request after they were checked.
pub(super) struct CheckedRequest {
    query: Mutex<Option<Value>>,
    body: Mutex<Option<Value>>,
}

impl CheckedRequest {
    pub(super) const fn new(query: Value, body: Option<Value>) -> Self {
        Self { query: Mutex::new(Some(query)), body: Mutex::new(body) }
    }
}

fn take<T: ParseFromJSON>(
    request: &Request,
    part: impl FnOnce(&CheckedRequest) -> &Mutex<Option<Value>>,
) -> poem::Result<T> {
    let checked = request.extensions().get::<std::sync::Arc<CheckedRequest>>();
    let value = checked.and_then(|checked| part(checked).lock().unwrap_or_else(PoisonError::into_inner).take());
    // The error of poem-openapi may quote the value, which may be a password: it goes nowhere.
    T::parse_from_json(value)
        .map_err(|_| ApiError::internal(anyhow::anyhow!("a checked {} did not parse", T::name())).into())
}

fn json_request(content_types: &[&'static str], schema: impl Fn() -> MetaSchemaRef) -> MetaRequest {
    let content = content_types.iter().map(|content_type| MetaMediaType { content_type, schema: schema() }).collect();
    MetaRequest { description: None, content, required: true }
}

macro_rules! checked_parts {
    ($($(#[$doc:meta])* $name:ident($part:ident): $media_types:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name<T>(pub(super) T);

        impl<'a, T: ParseFromJSON> ApiExtractor<'a> for $name<T> {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                T::register(registry);
            }

            fn request_meta() -> Option<MetaRequest> {
                Some(json_request(&$media_types, T::schema_ref))
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                take(request, |checked| &checked.$part).map(Self)
            }
        }
    )*};
}

checked_parts! {
    /// A JSON body.
    Body(body): [JSON];
    /// A JSON Merge Patch.
    Patch(body): [JSON, MERGE_PATCH];
    /// The query parameters, as the fields of an object.
    Query(query): [QUERY];
}

/// The signed-in user who is calling.
pub(super) struct SignedIn(pub(super) Caller);

impl<'a> ApiExtractor<'a> for SignedIn {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            "access_token",
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "The `access_token` of a session: a JSON Web Token that is good for some minutes. Get the next one with the `refresh_token`.",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("JWT"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["access_token"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        request.extensions().get::<Caller>().map(|caller| Self(*caller)).ok_or_else(|| {
            ApiError::internal(anyhow::anyhow!("an operation with a caller passed the gate without one")).into()
        })
    }
}

/// What the request says about the device it came from.
pub(super) struct From(pub(super) Device);

/// As many characters of a `User-Agent` are kept.
const USER_AGENT_LENGTH: usize = 300;

impl<'a> poem::FromRequest<'a> for From {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let user_agent = request.header(header::USER_AGENT).map(|text| text.chars().take(USER_AGENT_LENGTH).collect());
        Ok(Self(Device { user_agent }))
    }
}

/// 200 with a body.
pub(super) struct Found<T>(pub(super) T);

/// 201 with a body, and where it can be had again.
pub(super) struct Created<T> {
    pub(super) location: String,
    pub(super) body: T,
}

/// 204 without a body.
pub(super) struct Done;

fn json<T: ToJSON>(status: StatusCode, body: &T) -> Response {
    Response::builder()
        .status(status)
        .content_type(JSON)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(body.to_json_string())
}

impl<T: ToJSON> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

impl<T: ToJSON> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = json(StatusCode::CREATED, &self.body);
        set(&mut response, header::LOCATION, &self.location);
        response
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Sets a header to a text that is known to be fit for one.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

fn success(status: u16, description: &'static str, schema: Option<MetaSchemaRef>) -> MetaResponses {
    let content = schema.map(|schema| MetaMediaType { content_type: JSON, schema }).into_iter().collect();
    let response = MetaResponse { description, status: Some(status), status_range: None, content, headers: vec![] };
    MetaResponses { responses: vec![response] }
}

/// Lives as long as the program, as the document does; made once for each operation.
fn described(what: &str, schema: &str) -> &'static str {
    String::leak(format!("{what}{schema}."))
}

impl<T: ToJSON> ApiResponse for Found<T> {
    fn meta() -> MetaResponses {
        success(200, described("The result: ", &T::name()), Some(T::schema_ref()))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        success(201, described("Created, with its address in `Location`: ", &T::name()), Some(T::schema_ref()))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        success(204, "Done; there is no body.", None)
    }

    fn register(_registry: &mut Registry) {}
}

/// The failures of an operation beyond those that every operation has, for the published document.
pub(super) trait Failures: Send + Sync + 'static {
    const CODES: &'static [ErrorCode];
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident: [$($code:ident),*];)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

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
pub(super) struct Failure<F>(services::Error, PhantomData<F>);

impl<F> std::convert::From<services::Error> for Failure<F> {
    fn from(error: services::Error) -> Self {
        Self(error, PhantomData)
    }
}

impl<F: Failures> std::convert::From<Failure<F>> for poem::Error {
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
