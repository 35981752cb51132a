//! What handlers take.
//!
//! That a checked part does not become its type cannot happen, which is what the tests over the whole document are for;
//! should it happen all the same, it is our error and not the caller's.

use std::sync::{Arc, Mutex, PoisonError};

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSecurityScheme, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use crate::api::errors::ApiError;
use crate::api::media_types::{JSON, MERGE_PATCH, QUERY};
use crate::services::{Caller, RequestMetadata};

/// The query and the body of a request after they were checked.
pub(in crate::api) struct ValidatedRequest {
    query: Mutex<Option<Value>>,
    body: Mutex<Option<Value>>,
}

impl ValidatedRequest {
    pub(in crate::api) const fn new(query: Value, body: Option<Value>) -> Self {
        Self { query: Mutex::new(Some(query)), body: Mutex::new(body) }
    }
}

/// The id by which a request is known, as the front has decided.
#[derive(Debug, Clone)]
pub(in crate::api) struct RequestId(pub(in crate::api) String);

pub(super) fn request_id(request: &Request) -> Option<String> {
    request.extensions().get::<RequestId>().map(|id| id.0.clone())
}

fn take<T: ParseFromJSON>(
    request: &Request,
    part: impl FnOnce(&ValidatedRequest) -> &Mutex<Option<Value>>,
) -> poem::Result<T> {
    let checked = request.extensions().get::<Arc<ValidatedRequest>>();
    let value = checked.and_then(|checked| part(checked).lock().unwrap_or_else(PoisonError::into_inner).take());
    // The error of poem-openapi may quote the value, which may be a password: it goes nowhere.
    T::parse_from_json(value)
        .map_err(|_| ApiError::internal(anyhow::anyhow!("a checked {} did not parse", T::name())).into())
}

fn json_request<T: Type>(content_types: &[&'static str]) -> MetaRequest {
    let content =
        content_types.iter().map(|content_type| MetaMediaType { content_type, schema: T::schema_ref() }).collect();
    MetaRequest { description: None, content, required: T::IS_REQUIRED }
}

macro_rules! validated_parts {
    ($($(#[$doc:meta])* $name:ident($part:ident): $media_types:expr;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name<T>(pub(in crate::api) T);

        impl<'a, T: ParseFromJSON> ApiExtractor<'a> for $name<T> {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                T::register(registry);
            }

            fn request_meta() -> Option<MetaRequest> {
                Some(json_request::<T>(&$media_types))
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

validated_parts! {
    /// A JSON body.
    JsonBody(body): [JSON];
    /// A JSON Merge Patch.
    MergePatch(body): [JSON, MERGE_PATCH];
    /// The query parameters, as the fields of an object.
    QueryParams(query): [QUERY];
}

/// What takes a token and nothing else of the request.
macro_rules! authenticated {
    ($($(#[$doc:meta])* $name:ident($type:ty): $make:expr;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name(pub(in crate::api) $type);

        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_tokens(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![ACCESS_TOKEN]
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                $make(request).map(Self)
            }
        }
    )*};
}

pub(super) use authenticated;

authenticated! {
    /// The signed-in user who is calling.
    Auth(Caller): caller;
}

/// The name of the way in which people authenticate.
pub(in crate::api) const ACCESS_TOKEN: &str = "access_token";
/// The name of the way in which programs may authenticate too.
pub(in crate::api) const API_TOKEN: &str = "api_token";

/// Whether an operation is only for people who are logged in, whatever an API token may do.
pub(in crate::api) fn is_for_sessions(path: &str) -> bool {
    path.starts_with("/v1/auth/") || path == "/v1/me/password"
}

pub(super) fn register_tokens(registry: &mut Registry) {
    let scheme = |description, format| MetaSecurityScheme {
        ty: "http",
        description: Some(description),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some(format),
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(
        ACCESS_TOKEN,
        scheme(
            "The `access_token` of a session: a JSON Web Token that is good for some minutes. Get the next one with the \
             `refresh_token`.",
            "JWT",
        ),
    );
    registry.create_security_scheme(
        API_TOKEN,
        scheme(
            "An API token, for programs: `pt_...`. GET takes the scope `read`, everything else `write`. Everywhere but \
             under `/v1/auth` and `/v1/me/password`.",
            "pt",
        ),
    );
}

pub(super) fn caller(request: &Request) -> poem::Result<Caller> {
    request.extensions().get::<Caller>().copied().ok_or_else(|| {
        ApiError::internal(anyhow::anyhow!("an operation with a caller passed the gate without one")).into()
    })
}

/// What the request says about the device it came from.
pub(in crate::api) struct ClientInfo(pub(in crate::api) RequestMetadata);

/// As many characters of a `User-Agent` are kept.
const MAX_USER_AGENT_LEN: usize = 300;

impl<'a> poem::FromRequest<'a> for ClientInfo {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let user_agent = request.header(header::USER_AGENT).map(|text| text.chars().take(MAX_USER_AGENT_LEN).collect());
        Ok(Self(RequestMetadata { user_agent, request_id: request_id(request) }))
    }
}
