//! What makes a request conditional or repeatable: keys and tags, as headers that the document describes.

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::request::{ACCESS_TOKEN, authenticated, caller, register_tokens, request_id};
use crate::api::respond::ETAG_EXAMPLE;
use crate::services::{ETagCondition, KeyedRequest, WriteContext};

/// The signed-in user who wants to change something, with the `Idempotency-Key` if the request has one.
pub(in crate::api) struct IdempotentWrite(pub(in crate::api) WriteContext);

impl<'a> ApiExtractor<'a> for IdempotentWrite {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_tokens(registry);
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
            // Bare, or as a string of RFC 9651.
            pattern: Some(r#"^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#.to_owned()),
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
        Ok(Self(WriteContext { idempotency: keyed, ..write(request)? }))
    }
}

authenticated! {
    /// The signed-in user who wants to change something that needs no key to be repeated.
    AuthWrite(WriteContext): write;
}

fn write(request: &Request) -> poem::Result<WriteContext> {
    Ok(WriteContext { caller: caller(request)?, idempotency: None, if_match: None, request_id: request_id(request) })
}

macro_rules! etag_headers {
    ($($(#[$doc:meta])* $name:ident($header:expr): $description:literal;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name(pub(in crate::api) Option<ETagCondition>);

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
                    example: Some(ETAG_EXAMPLE.into()),
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
                Ok(Self(ETagCondition::parse(lines.map(|line| line.to_str().unwrap_or_default()))))
            }
        }
    )*};
}

etag_headers! {
    /// The versions that the caller has seen and wants to change.
    IfMatch(header::IF_MATCH): "The `ETag` that you have seen: the change is made only if the resource still has that version, else the answer is a 412 with the resource as it is now. Several tags may be named, separated by commas; `*` means that it must exist. Only the part of the tag that stands for the version counts. Without this header the last write wins, field by field.";
    /// The representations that the caller has.
    IfNoneMatch(header::IF_NONE_MATCH): "The `ETag` that you have: if it still is the current one, the answer is a 304 without a body. Several tags may be named, separated by commas.";
}
