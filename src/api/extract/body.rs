//! The body and the query parameters of a validated request.

use std::sync::{Arc, Mutex, PoisonError};

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::ParseFromJSON;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use crate::api::errors::ApiError;
use crate::api::media_types::{JSON, MERGE_PATCH, QUERY};

/// Query and body after validation; each is taken once.
pub(in crate::api) struct ValidatedRequest {
    query: Mutex<Option<Value>>,
    body: Mutex<Option<Value>>,
}

impl ValidatedRequest {
    pub(in crate::api) const fn new(query: Value, body: Option<Value>) -> Self {
        Self { query: Mutex::new(Some(query)), body: Mutex::new(body) }
    }
}

fn take<T: ParseFromJSON>(
    request: &Request,
    part: impl FnOnce(&ValidatedRequest) -> &Mutex<Option<Value>>,
) -> poem::Result<T> {
    let validated = request.extensions().get::<Arc<ValidatedRequest>>();
    let value = validated.and_then(|validated| part(validated).lock().unwrap_or_else(PoisonError::into_inner).take());
    // The parse error may quote the value, which may be a password, so it is dropped.
    T::parse_from_json(value)
        .map_err(|_| ApiError::internal(anyhow::anyhow!("a validated {} did not parse", T::name())).into())
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
                let content = $media_types.map(|content_type| MetaMediaType { content_type, schema: T::schema_ref() });
                Some(MetaRequest { description: None, content: content.into(), required: T::IS_REQUIRED })
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                take(request, |validated| &validated.$part).map(Self)
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
