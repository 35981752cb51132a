//! Settings of the HTTP side, and its shutdown flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::middleware::CorsPolicy;
use super::pipeline::RateLimitSettings;

/// What an operator decides about the HTTP side.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Which origins may call from a browser.
    pub cors: CorsPolicy,
    /// How many proxies stand in front and add to `X-Forwarded-For`.
    pub trusted_proxy_hops: usize,
    /// How many requests are allowed.
    pub rate_limits: RateLimitSettings,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How many bytes a body may have.
    pub body_limit: usize,
}

/// Tells the readiness check that the server is about to stop.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on the server is not ready.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
