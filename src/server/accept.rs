//! Accept loop with backoff: without file descriptors, every `accept` fails immediately.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Listener that retries failed accepts.
pub(super) struct Acceptor {
    listener: TcpListener,
    errors: ErrorStreak,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, errors: ErrorStreak::default() }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => {
                    if self.errors.end() {
                        tracing::info!("accepting connections again");
                    }
                    return accepted;
                }
                // A client left the backlog. Backing off would let any client slow down all others.
                Err(error) if is_client_error(&error) => {}
                Err(error) => {
                    if self.errors.is_first() {
                        tracing::warn!(error = %error, "failed to accept connections, retrying");
                    }
                    sleep(self.errors.backoff()).await;
                }
            }
        }
    }
}

fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Consecutive accept errors. The first is logged, and delays double up to a maximum.
#[derive(Default)]
struct ErrorStreak {
    last_delay: Option<Duration>,
}

impl ErrorStreak {
    fn is_first(&self) -> bool {
        self.last_delay.is_none()
    }

    fn backoff(&mut self) -> Duration {
        let delay = self.last_delay.map_or(BACKOFF_BASE, |last| (last * 2).min(BACKOFF_MAX));
        self.last_delay = Some(delay);
        delay
    }

    /// Ends the streak. Returns false if there was none.
    fn end(&mut self) -> bool {
        self.last_delay.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_50_ms_to_a_second() {
        let mut errors = ErrorStreak::default();
        let delays: Vec<_> = (0..7).map(|_| errors.backoff().as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn a_streak_is_logged_once_and_ends_with_a_success() {
        let mut errors = ErrorStreak::default();
        assert!(!errors.end(), "there was nothing to recover from");
        assert!(errors.is_first());
        errors.backoff();
        assert!(!errors.is_first());
        assert!(errors.end());
        assert!(errors.is_first());
        assert_eq!(errors.backoff(), BACKOFF_BASE);
    }

    #[test]
    fn an_aborted_connection_causes_no_backoff() {
        assert!(is_client_error(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!is_client_error(&io::Error::from_raw_os_error(24)), "EMFILE");
    }
}
