//! Responses: what handlers return.

mod event_stream;
mod headers;
mod json;

pub(super) use event_stream::EventStream;
pub(super) use headers::{NO_STORE, no_content, not_modified, set};
pub(super) use json::{Accepted, Created, NoContent, OkJson, location, replay};
