//! Outgoing webhook requests: signatures, and an HTTP client with SSRF protection.
//!
//! SSRF: a user-supplied URL must not reach this server's own network. The *connected* address is checked, not the host
//! name: the client resolves names through `resolver`, which rejects addresses that `egress_policy` does not allow. An
//! answer cannot change between check and connection, which also defeats DNS rebinding. IP addresses in the URL are
//! checked by `url_policy` before each request, and redirects are not followed.

mod client;
mod egress_policy;
mod error_message;
mod outcome;
mod resolver;
mod signature;
mod url_policy;

pub use client::{Client, ClientOptions, ClientUnavailable};
pub use egress_policy::{AllowedPorts, EgressPolicy, InvalidNetwork, Network};
pub use outcome::{Outcome, RetryAfter, is_success};
pub use resolver::{Resolver, SystemResolver};
pub use signature::{SigningKey, signature};
pub use url_policy::UrlError;
