//! Server-Sent Events (the HTML standard, section 9.2).

use std::sync::LazyLock;

use futures_util::StreamExt as _;
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{Example as _, ParseFromJSON as _, ToJSON as _, Type as _};

use crate::api::media_types::EVENT_STREAM;
use crate::contract::event::payloads::{EventPayload, TaskCreatedEvent};
use crate::contract::event::{Event, EventType};
use crate::contract::strings::Cursor;
use crate::services::{self, StreamMessage};

/// Delay before a client reconnects, in milliseconds.
const RETRY: u32 = 3_000;

/// 200 with a stream of events.
pub(in crate::api) struct EventStream(pub(in crate::api) services::EventStream);

fn to_sse(message: &StreamMessage) -> String {
    match message {
        // Clients store an id without data, and dispatch no event.
        StreamMessage::Start(cursor) => format!("retry: {RETRY}\nid: {}\n\n", &**cursor),
        StreamMessage::Event { cursor, kind, json } => format!("id: {}\nevent: {kind}\ndata: {json}\n\n", &**cursor),
        StreamMessage::Heartbeat(cursor) => format!(": nothing new\nid: {}\n\n", &**cursor),
    }
}

/// Describes a stream, with an example of its text.
fn description() -> &'static str {
    static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
        format!(
            "The events as they happen, until the stream ends. Each is a Server-Sent Event: `id:` is the cursor to continue \
             from, `event:` the type, and `data:` the event as JSON.\n\n```\n{}\n```",
            example().trim_end()
        )
    });
    &DESCRIPTION
}

/// Returns an example of a stream.
fn example() -> String {
    let (begun, reached) = ("AAAAAAAAEmgK2dLZbF3vNfX4pYJ5Kx0q", "AAAAAAAAEmkVx2ndXg5vRr1LQ6mQ8y3u");
    // Converted as for a real stream, so that the example has the same form.
    let event = Event::parse_from_json(EventPayload::TaskCreated(TaskCreatedEvent::example()).to_json());
    let json = event.map(|event| event.to_json_string()).unwrap_or_default().into();
    let kind = EventType::TaskCreated.as_str();
    let messages = [
        StreamMessage::Start(Cursor::new_unchecked(begun)),
        StreamMessage::Event { cursor: Cursor::new_unchecked(reached), kind, json },
        StreamMessage::Heartbeat(Cursor::new_unchecked(reached)),
    ];
    messages.iter().map(to_sse).collect()
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let text = self.0.map(|message| Ok::<_, std::io::Error>(to_sse(&message)));
        Response::builder()
            .content_type(EVENT_STREAM)
            // No proxy may store, transform or buffer the stream.
            .header(header::CACHE_CONTROL, "private, no-store, no-transform")
            .header("x-accel-buffering", "no")
            .body(Body::from_bytes_stream(text))
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: description(),
                status: Some(200),
                status_range: None,
                // The schema of an item: the media type says that there are many.
                content: vec![MetaMediaType { content_type: EVENT_STREAM, schema: EventPayload::schema_ref() }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        EventPayload::register(registry);
    }
}
