//! Comparison of two kinds of requests to one server by a single sequential client, alternating in many short turns, so that
//! other activity of the machine affects both.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Connection;
use crate::compare::median;
use crate::processes::Server;

/// Minimum number of turns of each kind.
const MIN_TURNS: usize = 31;
/// Minimum duration of all turns.
const DURATION: Duration = Duration::from_secs(3);
/// Number of turns that are not counted.
const WARM_UP: usize = 5;

/// Results of both kinds.
pub(crate) struct Turns {
    /// Median turn of the first kind, in microseconds.
    pub(crate) first: f64,
    /// Median turn of the second kind, in microseconds.
    pub(crate) other: f64,
    /// Median over all turns of the second time relative to the first in the adjacent turn.
    pub(crate) ratio: f64,
}

/// Alternates between the requests of both kinds on one connection.
pub(crate) async fn take_turns(server: &Server, first: &[Vec<u8>], other: &[Vec<u8>]) -> Result<Turns> {
    let mut api = Connection::open(server.address).await?;
    for _ in 0..WARM_UP {
        turn(&mut api, first).await?;
        turn(&mut api, other).await?;
    }
    let (mut firsts, mut others) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while firsts.len() < MIN_TURNS || begin.elapsed() < DURATION {
        // Both orders are equally frequent.
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
    Ok(begin.elapsed().as_secs_f64() * 1e6)
}
