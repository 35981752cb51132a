//! Metadata of requests.

use std::net::IpAddr;

/// Origin of a request, for sessions, events and the audit log.
#[derive(Debug, Clone, Default)]
pub struct RequestMetadata {
    /// `User-Agent` header.
    pub user_agent: Option<String>,
    /// ID of the request, for logs and events.
    pub request_id: Option<String>,
    /// Address of the client.
    pub client_address: Option<IpAddr>,
}
