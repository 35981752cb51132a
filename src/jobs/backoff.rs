//! Exponential backoff with jitter between the attempts of a job.

use std::time::Duration;

const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(10);

/// Returns the delay after a failed attempt: doubles from one second to ten minutes, less up to a quarter of jitter.
pub(super) fn backoff(attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let longest = BACKOFF_BASE.saturating_mul(doubled).min(BACKOFF_MAX);
    let mut jitter = [0; 1];
    // Without randomness the delay has no jitter, which is not worth an error.
    let _ = getrandom::fill(&mut jitter);
    longest / 1_024 * (1_024 - u32::from(jitter[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_ten_minutes_with_jitter() {
        for (attempts, seconds) in [(1, 1), (2, 2), (3, 4), (10, 512), (11, 600), (50, 600)] {
            let longest = Duration::from_secs(seconds);
            let delays: Vec<_> = (0..100).map(|_| backoff(attempts)).collect();
            assert!(
                delays.iter().all(|delay| *delay <= longest && *delay > longest * 74 / 100),
                "{attempts}: {delays:?}"
            );
            assert!(delays.iter().any(|delay| *delay != delays[0]), "{attempts}");
        }
    }
}
