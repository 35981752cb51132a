//! The device, the address and the id of a request.

use std::net::IpAddr;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody};

use crate::services::RequestMetadata;

/// Maximum number of characters of a `User-Agent` that are stored.
const MAX_USER_AGENT_LEN: usize = 300;

/// The id of the request in logs and responses.
#[derive(Debug, Clone)]
pub(in crate::api) struct RequestId(pub(in crate::api) String);

/// The IP address of the client.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct ClientAddress(pub(in crate::api) IpAddr);

/// Returns the metadata of a request.
pub(in crate::api) fn metadata(request: &Request) -> RequestMetadata {
    RequestMetadata {
        user_agent: request.header(header::USER_AGENT).map(|text| text.chars().take(MAX_USER_AGENT_LEN).collect()),
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
        address: request.extensions().get::<ClientAddress>().map(|address| address.0),
    }
}

/// The device that sent the request.
pub(in crate::api) struct ClientInfo(pub(in crate::api) RequestMetadata);

impl<'a> FromRequest<'a> for ClientInfo {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(metadata(request)))
    }
}
