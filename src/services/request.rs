//! Metadata of requests.

use std::net::IpAddr;

use crate::security::ClientNetwork;

/// Origin of a request, for sessions, events, limits and the audit log.
#[derive(Debug, Clone, Default)]
pub struct RequestMetadata {
    /// `User-Agent` header.
    pub user_agent: Option<String>,
    /// ID of the request, for logs and events.
    pub request_id: Option<String>,
    /// IP address of the client; `None` for the command line.
    pub address: Option<IpAddr>,
}

impl RequestMetadata {
    /// Returns the network of the client.
    pub(crate) fn network(&self) -> Option<ClientNetwork> {
        self.address.map(ClientNetwork::household)
    }
}
