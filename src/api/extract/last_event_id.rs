//! The `Last-Event-ID` header.

use poem::http::HeaderName;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchema, MetaSchemaRef};
use poem_openapi::types::{Example as _, ToJSON as _};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::contract::strings::Cursor;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The cursor of the last event a reconnecting client received.
pub(in crate::api) struct LastEventId(pub(in crate::api) Option<Cursor>);

impl<'a> ApiExtractor<'a> for LastEventId {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = false;
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(
                "The SSE `id:` field of the last event received (`lastEventId` in `EventSource`), not the `id` inside the \
                 event. `EventSource` sends it when it reconnects. Takes precedence over `cursor`.",
            ),
            example: Cursor::example().to_json(),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        // Clients that received no event may send an empty one.
        Ok(Self(request.header(LAST_EVENT_ID).filter(|id| !id.is_empty()).map(Cursor::new_unchecked)))
    }
}
