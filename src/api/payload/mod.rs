//! What handlers take and give: who is calling, checked parameters and bodies, responses and failures.
//!
//! The gate has checked the request against the published document before any of these is made; here the checked JSON
//! only becomes a type of the contract, and the types say what the published document must know of them.

mod conditions;
mod failure;
mod request;
mod response;
mod stream;

pub(super) use conditions::{IfMatch, IfNoneMatch, Keyed, Unkeyed};
pub(super) use failure::{
    Accepting, Changing, Declining, Failure, Filtering, Following, HandingOver, Inviting, Issuing, ListingMine,
    LoggingIn, Matching, NotReady, Pointing, Proving, Reaching, Redirecting, Refreshing, Registering, Revoking, Usual,
    Walking, WalkingAll,
};
pub(super) use request::{
    ACCESS_TOKEN, API_TOKEN, Body, CheckedRequest, From, Patch, Query, RequestId, SignedIn, is_for_sessions,
};
pub(super) use response::{
    Accepted, Created, Done, Found, Fresh, Issued, Made, MadeOnce, Performed, Promised, Shown, ShownOnce, Tagged,
    respond, set,
};
pub(super) use stream::{LastEventId, Streamed};

/// The one media type of responses.
pub(super) const JSON: &str = "application/json";
/// The media type of a JSON Merge Patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The media type of Server-Sent Events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// Marks an object of query parameters for the finishing pass, which makes parameters of its fields.
const QUERY: &str = "application/x-query-parameters";
