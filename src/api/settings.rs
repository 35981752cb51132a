//! Settings of the HTTP side, and its shutdown flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Settings of the HTTP side.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Origins that may call from a browser.
    pub cors: CorsPolicy,
    /// Number of trusted proxies that append to `X-Forwarded-For`.
    pub trusted_proxy_hops: usize,
    /// Rate limits.
    pub rate_limits: RateLimitSettings,
    /// Maximum duration of a request.
    pub request_timeout: Duration,
    /// Maximum size of a body, in bytes.
    pub body_limit: usize,
}

/// Origins that may call from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsPolicy {
    /// Any origin.
    Any,
    /// Any origin on this machine, with any port; for development.
    Localhost,
    /// The listed origins, in the form that browsers send: `https://app.example.com`.
    List(Vec<String>),
}

/// Requests per minute; 0 disables a limit.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitSettings {
    /// Operations that take credentials or send mail: per client network. Networks of IPv6 by /64; 4 times as many by
    /// /56, and 16 times by /48.
    pub auth_per_minute: u32,
    /// Session refresh: per client IP.
    pub refresh_per_minute: u32,
    /// Everything else: per user, or per client IP without a token.
    pub api_per_minute: u32,
}

/// Shutdown flag: the readiness check fails once it is set.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Marks the server as not ready.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
