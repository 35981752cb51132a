//! Media types of requests and responses.

/// JSON.
pub(super) const JSON: &str = "application/json";
/// JSON Merge Patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
/// Server-Sent Events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// Marks an object whose fields are query parameters; `openapi::parameters` publishes them.
pub(super) const QUERY: &str = "application/x-query-parameters";
