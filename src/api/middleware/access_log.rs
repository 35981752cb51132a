//! The access log: one line per request, without the query, which may contain secrets.

use std::net::IpAddr;
use std::time::Duration;

use poem::http::Method;
use poem::{Request, Response};

/// The request part of a log line.
pub(super) struct AccessLogEntry {
    method: Method,
    path: String,
    client: IpAddr,
}

impl AccessLogEntry {
    pub(super) fn new(request: &Request, client: IpAddr) -> Self {
        Self { method: request.method().clone(), path: request.uri().path().to_owned(), client }
    }

    pub(super) fn write(self, response: &Response, duration: Duration) {
        tracing::info!(
            http.method = %self.method,
            http.path = self.path,
            http.status = response.status().as_u16(),
            duration_ms = duration.as_secs_f64() * 1000.0,
            client.address = %self.client,
            "request completed"
        );
    }
}
