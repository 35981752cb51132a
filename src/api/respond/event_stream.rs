//! The feed as it goes on, as Server-Sent Events (the HTML standard, section 9.2).

use futures_util::StreamExt as _;
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{Example as _, ParseFromJSON as _, ToJSON as _};

use crate::api::media_types::EVENT_STREAM;
use crate::contract::event::payloads::{EventPayload, TaskUpdatedEvent};
use crate::contract::event::{Event, EventType};
use crate::contract::strings::Cursor;
use crate::services::{self, StreamMessage};

/// How many milliseconds a client waits before it connects anew.
const RETRY: u32 = 3_000;

/// 200 with events, until somebody ends it.
pub(in crate::api) struct EventStream(pub(in crate::api) services::EventStream);

fn written(told: &StreamMessage) -> String {
    match told {
        // An id without data is remembered and tells the application nothing.
        StreamMessage::Start(cursor) => format!("retry: {RETRY}\nid: {}\n\n", &**cursor),
        StreamMessage::Event { cursor, kind, json } => format!("id: {}\nevent: {kind}\ndata: {json}\n\n", &**cursor),
        StreamMessage::Heartbeat(cursor) => format!(": nothing new\nid: {}\n\n", &**cursor),
    }
}

/// The beginning of a stream, as it stands in the document.
fn example() -> String {
    let (begun, reached) = ("AAAAAAAAEmYK2dLZbF3vNfX4pYJ5Kx0q", "AAAAAAAAEmcVx2ndXg5vRr1LQ6mQ8y3u");
    // By way of what an event is when it is told, so that it looks the same.
    let event = Event::parse_from_json(EventPayload::TaskUpdated(TaskUpdatedEvent::example()).to_json());
    let json = event.map(|event| event.to_json_string()).unwrap_or_default().into();
    let kind = EventType::TaskUpdated.as_str();
    let told = [
        StreamMessage::Start(Cursor::new_unchecked(begun)),
        StreamMessage::Event { cursor: Cursor::new_unchecked(reached), kind, json },
        StreamMessage::Heartbeat(Cursor::new_unchecked(reached)),
    ];
    told.iter().map(written).collect()
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let text = self.0.map(|told| Ok::<_, std::io::Error>(written(&told)));
        Response::builder()
            .content_type(EVENT_STREAM)
            // Nobody on the way may keep it, change it, or wait until there is more of it.
            .header(header::CACHE_CONTROL, "no-store, no-transform")
            .header("x-accel-buffering", "no")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body(Body::from_bytes_stream(text))
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        let schema = MetaSchema {
            description: Some(
                "Server-Sent Events: `id:` is the cursor to go on from, `event:` the type, `data:` the Event as JSON.",
            ),
            example: Some(example().into()),
            ..MetaSchema::new("string")
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The events, as they happen, until the stream ends.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: EVENT_STREAM,
                    schema: MetaSchemaRef::Inline(Box::new(schema)),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}
