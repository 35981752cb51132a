//! Limits of open event streams: of the server, and of one client address.
//!
//! A stream holds its connection for minutes, so streams may take only a part of the connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use poem::http::header;
use poem::{Body, Response};

use crate::api::errors::ApiError;
use crate::api::settings::StreamLimits;
use crate::contract::error::ErrorCode;
use crate::services::ClientNetwork;
use crate::telemetry::OpenEventStream;

/// `Retry-After` of a stream beyond a limit, in seconds.
const RETRY_AFTER: &str = "30";

/// The open event streams of a server.
pub(super) struct StreamSlots {
    limits: StreamLimits,
    open: Arc<Mutex<OpenStreams>>,
}

#[derive(Default)]
struct OpenStreams {
    total: usize,
    by_address: HashMap<ClientNetwork, usize>,
}

/// Slot of an event stream, released on drop.
pub(super) struct StreamSlot {
    open: Arc<Mutex<OpenStreams>>,
    address: ClientNetwork,
    _counted: OpenEventStream,
}

impl StreamSlots {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self { limits, open: Arc::default() }
    }

    pub(super) fn acquire(&self, client: IpAddr) -> Result<StreamSlot, ApiError> {
        let address = ClientNetwork::household(client);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.by_address.get(&address).copied().unwrap_or_default();
        if let Some(limit) = self.limits.per_address.filter(|limit| of_address >= *limit) {
            let message =
                format!("Your address already has {limit} event streams, which is the maximum. Close one first.");
            return Err(rejected(ErrorCode::RateLimited, message));
        }
        if open.total >= self.limits.total {
            let message = "All event streams of the server are taken. Try again later.";
            return Err(rejected(ErrorCode::Unavailable, message.to_owned()));
        }
        open.total += 1;
        *open.by_address.entry(address).or_default() += 1;
        Ok(StreamSlot { open: Arc::clone(&self.open), address, _counted: OpenEventStream::open() })
    }
}

fn rejected(code: ErrorCode, message: String) -> ApiError {
    ApiError::new(code).with_message(message).with_header(header::RETRY_AFTER, RETRY_AFTER)
}

impl StreamSlot {
    /// Holds the slot until the body of the response ends or is dropped.
    pub(super) fn attach(self, response: &mut Response) {
        let body = response.take_body();
        if body.is_empty() {
            return;
        }
        let stream = body.into_bytes_stream().map(move |bytes| {
            let _held = &self;
            bytes
        });
        response.set_body(Body::from_bytes_stream(stream));
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_limited_in_total_and_by_address() {
        let slots = StreamSlots::new(StreamLimits { total: 3, per_address: Some(2) });
        let acquire = |address: &str| slots.acquire(address.parse().unwrap());
        let first = acquire("2001:db8::1").unwrap();
        let _second = acquire("2001:db8::2").unwrap();
        let status = |error: ApiError| poem::Error::from(error).status().as_u16();
        assert_eq!(acquire("2001:db8::3").map_err(status).err(), Some(429));
        let third = acquire("192.0.2.1").unwrap();
        assert_eq!(acquire("192.0.2.2").map_err(status).err(), Some(503));
        drop(third);
        drop(first);
        assert!(acquire("2001:db8::3").is_ok());
        assert_eq!(slots.open.lock().unwrap().by_address.len(), 1);
    }
}
