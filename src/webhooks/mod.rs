//! Requests to addresses that users name: signed, and sent only to where anybody could send them.
//!
//! A server that sends requests for its users must not become their hand inside its own network. What counts is the
//! address that is connected to: names are looked up by a resolver that refuses what is not public, so that nothing can
//! change between the check and the connection; addresses that stand in the URL itself are judged before each request;
//! redirects are not followed. Knows neither the resources of webhooks nor when they are delivered.

mod addresses;
mod client;
mod failures;
mod lookups;
mod outcome;
mod resolver;
mod signature;
mod urls;

pub use addresses::{Allowances, Network, NotANetwork};
pub use client::{Client, Means, Unable};
pub use lookups::{Lookups, Turn};
pub use outcome::{Outcome, RetryAfter, is_success};
pub use resolver::{Lookup, SystemLookup};
pub use signature::{Secret, signature};
pub use urls::Forbidden;
