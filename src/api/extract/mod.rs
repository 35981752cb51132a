//! Extractors: what handlers take from a request that the pipeline has validated.

mod accept_encoding;
mod auth;
mod body;
mod client_info;
mod last_event_id;
mod path;

pub(super) use accept_encoding::accepts_gzip;
pub(super) use auth::{Auth, AuthWrite, OptionalAuth};
pub(super) use body::{JsonBody, QueryParams};
pub(super) use client_info::{ClientAddress, ClientInfo, RequestId, metadata};
pub(super) use last_event_id::LastEventId;
pub(super) use path::{PathParam, PathTemplate};
