//! Comparison of two servers under the same load, alternating in many short rounds, so that other activity of the machine
//! affects both.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::client;
use crate::processes::Server;

/// Number of rounds of each server.
const ROUNDS: usize = 31;
/// Duration of a round.
const ROUND: Duration = Duration::from_millis(250);
/// Duration of the warm-up.
const WARM_UP: Duration = Duration::from_millis(500);

/// Performance of a server.
#[derive(Clone, Copy)]
pub(crate) struct Performance {
    /// Requests a second, median of the rounds.
    pub(crate) rate: f64,
    /// CPU microseconds per request.
    pub(crate) processor: Option<f64>,
}

/// Performance of both servers.
pub(crate) struct Comparison {
    /// Baseline.
    pub(crate) bare: Performance,
    /// Product.
    pub(crate) ours: Performance,
    /// Median over all rounds of the product's rate relative to the baseline's in the adjacent round. More reliable than the
    /// quotient of the two medians, which may stem from distant rounds.
    pub(crate) ratio: f64,
}

/// Server with the results of its rounds.
struct Side<'a> {
    server: &'a Server,
    rates: Vec<f64>,
    answers: u32,
    processor: Option<Duration>,
}

impl<'a> Side<'a> {
    /// Warms up.
    async fn new(server: &'a Server, requests: &Arc<[Vec<u8>]>) -> Result<Self> {
        client::load(server.address, requests, WARM_UP).await?;
        Ok(Self { server, rates: Vec::new(), answers: 0, processor: server.processor_time() })
    }

    async fn round(&mut self, requests: &Arc<[Vec<u8>]>) -> Result<()> {
        let (answers, time) = client::load(self.server.address, requests, ROUND).await?;
        self.rates.push(f64::from(answers) / time.as_secs_f64());
        self.answers += answers;
        Ok(())
    }

    fn performance(self) -> Result<Performance> {
        // A server is idle during the rounds of the other.
        let used = self.server.processor_time().zip(self.processor).map(|(now, before)| now.saturating_sub(before));
        let processor = used.map(|used| used.as_secs_f64() * 1e6 / f64::from(self.answers));
        Ok(Performance { rate: median(self.rates)?, processor })
    }
}

/// Sends the same requests to both servers.
pub(crate) async fn compare(bare: &Server, ours: &Server, requests: &Arc<[Vec<u8>]>) -> Result<Comparison> {
    let mut bare = Side::new(bare, requests).await?;
    let mut ours = Side::new(ours, requests).await?;
    for round in 0..ROUNDS {
        // Both orders are equally frequent.
        if round % 2 == 0 {
            bare.round(requests).await?;
            ours.round(requests).await?;
        } else {
            ours.round(requests).await?;
            bare.round(requests).await?;
        }
    }
    let ratio = median(ours.rates.iter().zip(&bare.rates).map(|(ours, bare)| ours / bare).collect())?;
    Ok(Comparison { bare: bare.performance()?, ours: ours.performance()?, ratio })
}

/// Median of the numbers.
pub(crate) fn median(mut numbers: Vec<f64>) -> Result<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().context("nothing was measured")
}
