//! Compares two sequences of requests to one server in many short turns, so that other load on the machine affects both.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Connection;
use crate::processes::Server;
use crate::stats::{median, microseconds};

/// Minimum number of turns.
const MIN_TURNS: usize = 31;
/// Minimum duration of all turns.
const DURATION: Duration = Duration::from_secs(3);
/// Number of turns that are not counted.
const WARM_UP: usize = 5;

/// Result of a comparison.
pub(crate) struct Turns {
    /// Median turn of the first sequence, in microseconds.
    pub(crate) first: f64,
    /// Median turn of the other sequence, in microseconds.
    pub(crate) other: f64,
    /// Median ratio of two adjacent turns, the other by the first.
    pub(crate) ratio: f64,
}

/// Sends both sequences over one connection, alternating.
pub(crate) async fn interleave(server: &Server, first: &[Vec<u8>], other: &[Vec<u8>]) -> Result<Turns> {
    let mut api = Connection::open(server.address).await?;
    for _ in 0..WARM_UP {
        turn(&mut api, first).await?;
        turn(&mut api, other).await?;
    }
    let (mut firsts, mut others) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while firsts.len() < MIN_TURNS || begin.elapsed() < DURATION {
        // Each goes first in half of the turns.
        if firsts.len() % 2 == 0 {
            firsts.push(turn(&mut api, first).await?);
            others.push(turn(&mut api, other).await?);
        } else {
            others.push(turn(&mut api, other).await?);
            firsts.push(turn(&mut api, first).await?);
        }
    }
    let ratio = median(others.iter().zip(&firsts).map(|(other, first)| other / first).collect())?;
    Ok(Turns { first: median(firsts)?, other: median(others)?, ratio })
}

async fn turn(api: &mut Connection, requests: &[Vec<u8>]) -> Result<f64> {
    let begin = Instant::now();
    for request in requests {
        api.exchange(request).await?;
    }
    Ok(microseconds(begin.elapsed()))
}
