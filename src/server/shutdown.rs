//! The steps in which a server stops.

use tokio_util::sync::CancellationToken;

/// Steps of a shutdown. Cancelling a token takes the step.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// The server still accepts connections and serves, but HTTP/1.1 connections close after their next response.
    ///
    /// A load balancer needs some time to notice that a server is not ready. Until then it must refuse nothing.
    pub draining: CancellationToken,
    /// The listener and idle connections close, and requests in flight are finished.
    pub closing: CancellationToken,
}
