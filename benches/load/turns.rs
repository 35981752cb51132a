//! Two ways to ask the same server, by a single client that waits for each answer: in many short turns, so that whatever
//! else the machine does is likely to disturb both.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Connection;
use crate::compare::median;
use crate::processes::Server;

/// How many turns each way has at least.
const LEAST: usize = 31;
/// How long both go on together, if that is longer.
const DURATION: Duration = Duration::from_secs(3);
/// How many turns do not count.
const WARM_UP: usize = 5;

/// How two ways did.
pub(crate) struct Turns {
    /// The turn of the first way that is in the middle, in microseconds.
    pub(crate) first: f64,
    /// The same of the other.
    pub(crate) other: f64,
    /// The other's time by that of the first a moment before or after, in the middle of all turns.
    pub(crate) ratio: f64,
}

/// Sends the requests of both ways over one connection, in turn.
pub(crate) async fn take_turns(server: &Server, first: &[Vec<u8>], other: &[Vec<u8>]) -> Result<Turns> {
    let mut api = Connection::open(server.address).await?;
    for _ in 0..WARM_UP {
        turn(&mut api, first).await?;
        turn(&mut api, other).await?;
    }
    let (mut firsts, mut others) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while firsts.len() < LEAST || begin.elapsed() < DURATION {
        // In either order as often as in the other, so that neither always comes after the other.
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
