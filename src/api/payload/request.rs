//! What handlers take.
//!
//! That a checked part does not become its type cannot happen, which is what the tests over the whole document are for;
//! should it happen all the same, it is our error and not the caller's.

use std::sync::{Arc, Mutex, PoisonError};

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{
    MetaMediaType, MetaParamIn, MetaRequest, MetaSchema, MetaSchemaRef, MetaSecurityScheme, Registry,
};
use poem_openapi::types::ParseFromJSON;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use super::{JSON, MERGE_PATCH, QUERY};
use crate::api::errors::ApiError;
use crate::services::{Caller, Device, KeyedRequest, NamedTags, Write};

/// The query and the body of a request after they were checked.
pub(in crate::api) struct CheckedRequest {
    query: Mutex<Option<Value>>,
    body: Mutex<Option<Value>>,
}

impl CheckedRequest {
    pub(in crate::api) const fn new(query: Value, body: Option<Value>) -> Self {
        Self { query: Mutex::new(Some(query)), body: Mutex::new(body) }
    }
}

fn take<T: ParseFromJSON>(
    request: &Request,
    part: impl FnOnce(&CheckedRequest) -> &Mutex<Option<Value>>,
) -> poem::Result<T> {
    let checked = request.extensions().get::<Arc<CheckedRequest>>();
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
        pub(in crate::api) struct $name<T>(pub(in crate::api) T);

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
pub(in crate::api) struct SignedIn(pub(in crate::api) Caller);

impl<'a> ApiExtractor<'a> for SignedIn {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_access_token(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![ACCESS_TOKEN]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        caller(request).map(Self)
    }
}

/// The name of the one way to authenticate.
const ACCESS_TOKEN: &str = "access_token";

fn register_access_token(registry: &mut Registry) {
    registry.create_security_scheme(
            ACCESS_TOKEN,
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

fn caller(request: &Request) -> poem::Result<Caller> {
    request.extensions().get::<Caller>().copied().ok_or_else(|| {
        ApiError::internal(anyhow::anyhow!("an operation with a caller passed the gate without one")).into()
    })
}

/// The signed-in user who wants to change something, with the `Idempotency-Key` if the request has one.
pub(in crate::api) struct Keyed(pub(in crate::api) Write);

impl<'a> ApiExtractor<'a> for Keyed {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_access_token(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![ACCESS_TOKEN]
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(
                "A key that you make up for this request (1 to 255 visible ASCII characters, such as a UUID; also as a \
                 quoted string), so that it can be repeated without fear: whoever sends the same request with the same \
                 key again within 24 hours gets the answer to the first, with `Idempotency-Replayed: true`, and nothing \
                 happens twice. A request that failed, or changed nothing, leaves its key free.",
            ),
            min_length: Some(1),
            example: Some("3f0c2b1e-6f0d-4b7a-9a53-1d2f8e7c4b60".into()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let keyed = request.extensions().get::<KeyedRequest>().cloned();
        Ok(Self(Write { caller: caller(request)?, keyed, expected: None }))
    }
}

macro_rules! named_tags {
    ($($(#[$doc:meta])* $name:ident($header:expr): $description:literal;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name(pub(in crate::api) Option<NamedTags>);

        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
            type ParamType = ();
            type ParamRawType = ();

            fn param_in() -> Option<MetaParamIn> {
                Some(MetaParamIn::Header)
            }

            fn param_schema_ref() -> Option<MetaSchemaRef> {
                Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
                    description: Some($description),
                    example: Some(super::response::ETAG_EXAMPLE.into()),
                    ..MetaSchema::new("string")
                })))
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                let lines = request.headers().get_all($header).iter();
                // What is no text is no tag of ours.
                Ok(Self(NamedTags::parse(lines.map(|line| line.to_str().unwrap_or_default()))))
            }
        }
    )*};
}

named_tags! {
    /// The versions that the caller has seen and wants to change.
    IfMatch(header::IF_MATCH): "The `ETag` that you have seen: the change is made only if the resource still has that version, else the answer is a 412 with the resource as it is now. Several tags may be named, separated by commas; `*` means that it must exist. Only the part of the tag that stands for the version counts. Without this header the last write wins, field by field.";
    /// The representations that the caller has.
    IfNoneMatch(header::IF_NONE_MATCH): "The `ETag` that you have: if it still is the current one, the answer is a 304 without a body. Several tags may be named, separated by commas.";
}

/// What the request says about the device it came from.
pub(in crate::api) struct From(pub(in crate::api) Device);

/// As many characters of a `User-Agent` are kept.
const USER_AGENT_LENGTH: usize = 300;

impl<'a> poem::FromRequest<'a> for From {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let user_agent = request.header(header::USER_AGENT).map(|text| text.chars().take(USER_AGENT_LENGTH).collect());
        Ok(Self(Device { user_agent }))
    }
}
