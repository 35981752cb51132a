//! Extractors: what handlers take from a request that the pipeline has validated.

mod accept_encoding;
mod last_event_id;
mod preconditions;
mod request;

pub(super) use accept_encoding::AcceptEncoding;
pub(super) use last_event_id::LastEventId;
pub(super) use preconditions::{AuthWrite, IdempotentWrite, IfMatch, IfNoneMatch};
pub(super) use request::{
    ACCESS_TOKEN, API_TOKEN, Auth, ClientInfo, JsonBody, MergePatch, QueryParams, RequestId, ValidatedRequest,
    is_for_sessions,
};
