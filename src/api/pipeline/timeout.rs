//! Panics and timeouts of requests.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use poem::Response;

use crate::api::errors::ApiError;
use crate::contract::error::ErrorCode;

/// Converts a panic or a timeout of the request into an error.
///
/// A request that times out is dropped, so its transaction rolls back.
pub(super) async fn with_timeout(
    timeout: Duration,
    response: impl Future<Output = poem::Result<Response>>,
) -> poem::Result<Response> {
    // Longer than the deadline of the body, so that a slow client gets 408 instead of 504.
    let limit = timeout + timeout / 10;
    match tokio::time::timeout(limit, AssertUnwindSafe(response).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            Err(ApiError::internal(anyhow::anyhow!("a handler panicked: {}", panic_message(&*panic))).into())
        }
        Err(_) => Err(ApiError::new(ErrorCode::Timeout).into()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_500() {
        let error = with_timeout(Duration::from_secs(1), async { panic!("for the test") }).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_ends_becomes_a_504() {
        let error = with_timeout(Duration::from_secs(30), std::future::pending()).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 504);
    }
}
