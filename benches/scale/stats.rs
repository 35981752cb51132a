//! Medians, percentiles and rates.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Returns the median.
pub(crate) fn median(mut numbers: Vec<f64>) -> Result<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().context("nothing was measured")
}

/// Returns the number that `percent` of the numbers stay below.
pub(crate) fn percentile(numbers: &[f64], percent: usize) -> Result<f64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len().saturating_sub(1) * percent / 100).copied().context("nothing was measured")
}

pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
