//! Accepting without spinning: a process out of descriptors fails at every `accept`, and at once.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A listener that outlives its errors.
pub(super) struct Acceptor {
    listener: TcpListener,
    failures: Failures,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, failures: Failures::default() }
    }

    /// Waits for the next connection, however often `accept` fails until then.
    pub(super) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => {
                    if self.failures.end() {
                        tracing::info!("accepting connections again");
                    }
                    return accepted;
                }
                // The client gave up while it waited in the backlog. That is no failure of this side, and a pause for
                // it would let any client slow down all the others.
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    if self.failures.is_first() {
                        tracing::warn!(error = %error, "cannot accept connections, trying again until it works");
                    }
                    sleep(self.failures.pause()).await;
                }
            }
        }
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A row of failures: the first is logged, and the pauses between them double up to the longest.
#[derive(Default)]
struct Failures {
    last_pause: Option<Duration>,
}

impl Failures {
    fn is_first(&self) -> bool {
        self.last_pause.is_none()
    }

    fn pause(&mut self) -> Duration {
        let pause = self.last_pause.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.last_pause = Some(pause);
        pause
    }

    /// Ends the row; false when there was none.
    fn end(&mut self) -> bool {
        self.last_pause.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_50_ms_up_to_a_second() {
        let mut failures = Failures::default();
        let pauses: Vec<_> = (0..7).map(|_| failures.pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn a_row_of_failures_is_told_once_and_starts_anew_after_a_success() {
        let mut failures = Failures::default();
        assert!(!failures.end(), "there was nothing to recover from");
        assert!(failures.is_first());
        failures.pause();
        assert!(!failures.is_first());
        assert!(failures.end());
        assert!(failures.is_first());
        assert_eq!(failures.pause(), FIRST_PAUSE);
    }

    #[test]
    fn a_client_that_gave_up_is_no_reason_to_pause() {
        assert!(is_of_client(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!is_of_client(&io::Error::from_raw_os_error(24)), "EMFILE");
    }
}
