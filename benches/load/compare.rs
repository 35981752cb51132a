//! Two servers under the same load, in turn: in many short rounds, so that whatever else the machine does is likely to
//! disturb both.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::client;
use crate::processes::Server;

/// How often each server is under load.
const ROUNDS: usize = 31;
/// How long a round takes.
const ROUND: Duration = Duration::from_millis(250);
/// How long a server is under load before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// How a server did.
#[derive(Clone, Copy)]
pub(crate) struct Performance {
    /// Requests a second, in the round in the middle.
    pub(crate) rate: f64,
    /// Microseconds that the process spent on processors for each request.
    pub(crate) processor: Option<f64>,
}

/// How two servers did.
pub(crate) struct Comparison {
    /// The bare handler.
    pub(crate) bare: Performance,
    /// The product.
    pub(crate) ours: Performance,
    /// The product's rate by that of the bare handler a moment before or after, in the middle of all rounds. More
    /// reliable than the quotient of the two rates, which may stem from two rounds that were far apart.
    pub(crate) ratio: f64,
}

/// A server, and what came of its rounds.
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
        // While the other one has its round, this one does nothing.
        let used = self.server.processor_time().zip(self.processor).map(|(now, before)| now.saturating_sub(before));
        let processor = used.map(|used| used.as_secs_f64() * 1e6 / f64::from(self.answers));
        Ok(Performance { rate: median(self.rates)?, processor })
    }
}

/// Sends the same requests to both.
pub(crate) async fn compare(bare: &Server, ours: &Server, requests: &Arc<[Vec<u8>]>) -> Result<Comparison> {
    let mut bare = Side::new(bare, requests).await?;
    let mut ours = Side::new(ours, requests).await?;
    for round in 0..ROUNDS {
        // In either order as often as in the other, so that neither always comes after the other.
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

/// The number in the middle.
pub(crate) fn median(mut numbers: Vec<f64>) -> Result<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().context("nothing was measured")
}
