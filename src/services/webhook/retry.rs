//! Retry schedule: backoff with jitter.

use std::time::Duration;

use crate::contract::Timestamp;

/// Maximum delay that a receiver can request by `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Returns the time of the next attempt, or `None` after the last one.
///
/// `delays` are the delays before each attempt; `retry_after` is the time that the receiver has asked for.
pub(crate) fn next_attempt_at(
    delays: &[Duration],
    attempts: usize,
    now: Timestamp,
    retry_after: Option<Timestamp>,
) -> Option<Timestamp> {
    let delay = *delays.get(attempts)?;
    // Jitter of up to 10 %, so that deliveries that failed together are not retried together.
    let mut random = [0; 2];
    // Without randomness, there is no jitter.
    let _ = getrandom::fill(&mut random);
    let due = now + (delay + delay / 10 / 65_536 * u32::from(u16::from_le_bytes(random)));
    Some(retry_after.map_or(due, |retry_after| due.max(retry_after.min(now + MAX_RETRY_AFTER))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(seconds: &[u64]) -> Vec<Duration> {
        seconds.iter().map(|seconds| Duration::from_secs(*seconds)).collect()
    }

    #[test]
    fn an_attempt_is_never_early_and_at_most_a_tenth_late() {
        let (now, delays) = (Timestamp(1_000), delays(&[0, 5, 300]));
        let after = |attempts| next_attempt_at(&delays, attempts, now, None);
        assert_eq!(after(0), Some(now));
        for (attempts, delay) in [(1, 5_000), (2, 300_000)] {
            let due: Vec<i64> = (0..200).map(|_| after(attempts).unwrap().0 - now.0).collect();
            assert!(due.iter().all(|due| (delay..=delay + delay / 10).contains(due)), "{due:?}");
            assert!(due.iter().max().unwrap() - due.iter().min().unwrap() > delay / 20, "{due:?}");
        }
        assert_eq!(after(3), None);
    }

    #[test]
    fn retry_after_delays_an_attempt_by_at_most_a_day_and_never_advances_it() {
        let (now, delays) = (Timestamp(1_000), delays(&[0, 100]));
        let after = |retry_after| next_attempt_at(&delays, 1, now, Some(Timestamp(retry_after))).unwrap().0;
        assert!((101_000..=111_000).contains(&after(0)));
        assert!((101_000..=111_000).contains(&after(50_000)));
        assert_eq!(after(500_000), 500_000);
        assert_eq!(after(i64::MAX), 1_000 + 86_400_000);
        assert_eq!(next_attempt_at(&delays, 2, now, Some(Timestamp(500_000))), None);
    }
}
