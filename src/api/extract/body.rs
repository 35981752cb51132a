//! The body and the query parameters of a validated request.

use std::sync::Arc;

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::ParseFromJSON;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use crate::api::errors::ApiError;
use crate::api::media_types::{JSON, QUERY};
use crate::api::validation::Checked;

fn parse<T: ParseFromJSON>(request: &Request, part: impl FnOnce(&Checked) -> Option<Value>) -> poem::Result<T> {
    let value = request.extensions().get::<Arc<Checked>>().and_then(|checked| part(checked));
    // The parse error may quote the value, which may be a password, so it is dropped.
    T::parse_from_json(value)
        .map_err(|_| ApiError::internal(anyhow::anyhow!("a validated {} did not parse", T::name())).into())
}

macro_rules! validated_parts {
    ($($(#[$doc:meta])* $name:ident: $media_types:expr, $part:expr;)*) => {$(
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
                parse(request, $part).map(Self)
            }
        }
    )*};
}

validated_parts! {
    /// A JSON body.
    JsonBody: [JSON], |checked| checked.body.clone();
    /// The query parameters, as the fields of an object.
    QueryParams: [QUERY], |checked| Some(checked.query.clone());
}
