//! Queue of password computations, fair by client.
//!
//! At most one computation per core runs. The clients that wait take turns, so a client with many requests delays only
//! its own. A request that would wait for too long is refused at once, instead of after its wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client_network::ClientNetwork;
use crate::telemetry::PendingPassword;

/// Maximum number of computations that wait, which bounds the memory.
const QUEUE_CAPACITY: usize = 1_024;

/// Weight of the latest computation in the mean duration: one eighth.
const MEAN_WEIGHT: u32 = 8;

/// Client of a computation; `None` for the command line.
type Client = Option<ClientNetwork>;

/// Refusal of a computation that would not begin in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueFull {
    /// Time after which the queue is expected to be short enough.
    pub(super) retry_after: Duration,
}

#[derive(Debug)]
pub(super) struct PasswordQueue {
    workers: usize,
    max_wait: Duration,
    state: Mutex<QueueState>,
}

#[derive(Debug)]
struct QueueState {
    running: usize,
    /// Clients that wait, in the order of their turns.
    turns: VecDeque<Client>,
    /// Waiting computations of each of these clients; never empty.
    waiting: HashMap<Client, VecDeque<oneshot::Sender<PasswordTurn>>>,
    /// Mean duration of a computation.
    mean: Duration,
}

/// Turn of a client in the queue of passwords. Dropping it starts the next one.
#[derive(Debug)]
pub struct PasswordTurn {
    queue: Option<Arc<PasswordQueue>>,
    started: Instant,
}

impl PasswordQueue {
    /// Creates a queue whose computations are expected to take `mean`.
    pub(super) fn new(workers: usize, max_wait: Duration, mean: Duration) -> Arc<Self> {
        let state = QueueState { running: 0, turns: VecDeque::new(), waiting: HashMap::new(), mean };
        Arc::new(Self { workers, max_wait, state: Mutex::new(state) })
    }

    /// Waits for the turn of a client.
    pub(super) async fn acquire(self: &Arc<Self>, client: Client) -> Result<PasswordTurn, QueueFull> {
        let pending = PendingPassword::begin();
        let turn = self.wait_for_turn(client).await;
        match &turn {
            Ok(_) => pending.started(),
            Err(_) => pending.refused(),
        }
        turn
    }

    async fn wait_for_turn(self: &Arc<Self>, client: Client) -> Result<PasswordTurn, QueueFull> {
        let turn = {
            let mut state = self.lock();
            if state.running < self.workers {
                state.running += 1;
                drop(state);
                return Ok(self.permit());
            }
            state.remove_cancelled();
            let wait = state.expected_wait(client, self.workers);
            if wait > self.max_wait || state.len() >= QUEUE_CAPACITY {
                let retry_after = wait.saturating_sub(self.max_wait).max(Duration::from_secs(1));
                return Err(QueueFull { retry_after });
            }
            state.push(client)
        };
        // Others may have overtaken a client with many requests.
        match timeout(self.max_wait, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(QueueFull { retry_after: Duration::from_secs(1) }),
        }
    }

    fn permit(self: &Arc<Self>) -> PasswordTurn {
        PasswordTurn { queue: Some(Arc::clone(self)), started: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a permit on to the next computation.
    fn pass_on(self: &Arc<Self>, duration: Duration) {
        self.lock().record(duration);
        loop {
            let mut state = self.lock();
            let Some(next) = state.pop() else {
                state.running -= 1;
                return;
            };
            drop(state);
            match next.send(self.permit()) {
                Ok(()) => return,
                // The request was cancelled.
                Err(mut permit) => permit.queue = None,
            }
        }
    }
}

impl Drop for PasswordTurn {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.pass_on(self.started.elapsed());
        }
    }
}

impl QueueState {
    /// Returns how long a new computation of a client would wait.
    fn expected_wait(&self, client: Client, workers: usize) -> Duration {
        let own = self.waiting.get(&client).map_or(0, VecDeque::len);
        // In each round of turns, every other client comes once before this one.
        let others = self.waiting.iter().filter(|(other, _)| **other != client);
        let ahead = own + others.map(|(_, waiting)| waiting.len().min(own + 1)).sum::<usize>();
        // The workers are busy; on average, the first one is free after a part of the mean.
        let rounds = u32::try_from(ahead + 1).unwrap_or(u32::MAX);
        self.mean.saturating_mul(rounds) / u32::try_from(workers).unwrap_or(1)
    }

    fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    fn push(&mut self, client: Client) -> oneshot::Receiver<PasswordTurn> {
        let (sender, turn) = oneshot::channel();
        let waiting = self.waiting.entry(client).or_default();
        if waiting.is_empty() {
            self.turns.push_back(client);
        }
        waiting.push_back(sender);
        turn
    }

    fn pop(&mut self) -> Option<oneshot::Sender<PasswordTurn>> {
        let client = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&client)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        next
    }

    fn remove_cancelled(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|turn| !turn.is_closed());
            !waiting.is_empty()
        });
        self.turns.retain(|client| self.waiting.contains_key(client));
    }

    fn record(&mut self, duration: Duration) {
        self.mean = (self.mean * (MEAN_WEIGHT - 1) + duration) / MEAN_WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(number: u8) -> ClientNetwork {
        ClientNetwork::household([192, 0, 2, number].into())
    }

    /// Polls a waiting request once, so that it has its place in the queue.
    macro_rules! wait {
        ($queue:expr, $client:expr) => {{
            let queue = Arc::clone(&$queue);
            let waiting = tokio::spawn(async move { queue.acquire($client).await });
            tokio::task::yield_now().await;
            waiting
        }};
    }

    #[tokio::test(start_paused = true)]
    async fn clients_take_turns() {
        let queue = PasswordQueue::new(1, 100 * SECOND, SECOND);
        let running = queue.acquire(Some(client(1))).await.unwrap();
        let (order, mut finished) = tokio::sync::mpsc::unbounded_channel();
        for (name, from) in [("a1", 1), ("a2", 1), ("a3", 1), ("b1", 2), ("b2", 2), ("c1", 3)] {
            let (queue, order) = (Arc::clone(&queue), order.clone());
            tokio::spawn(async move {
                let permit = queue.acquire(Some(client(from))).await.unwrap();
                order.send(name).unwrap();
                drop(permit);
            });
            tokio::task::yield_now().await;
        }
        drop((running, order));
        let mut names = Vec::new();
        while let Some(name) = finished.recv().await {
            names.push(name);
        }
        assert_eq!(names, ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert_eq!(queue.lock().running, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_computation_that_would_wait_for_too_long_is_refused_at_once() {
        let queue = PasswordQueue::new(2, 2 * SECOND, SECOND);
        let running = (queue.acquire(Some(client(1))).await.unwrap(), queue.acquire(Some(client(1))).await.unwrap());
        let waiting: [_; 4] = std::array::from_fn(|_| Some(client(1)));
        let mut places = Vec::new();
        for from in waiting {
            places.push(wait!(queue, from));
        }
        assert_eq!(queue.acquire(Some(client(1))).await.unwrap_err().retry_after, SECOND);
        // Another client has a turn after one computation of the first.
        let other = wait!(queue, Some(client(2)));
        assert_eq!(queue.lock().len(), 5);
        drop(running);
        drop(other.await.unwrap().unwrap());
        for place in places {
            drop(place.await.unwrap().unwrap());
        }
        assert_eq!(queue.lock().running, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_request_leaves_the_queue() {
        let queue = PasswordQueue::new(1, SECOND, SECOND);
        let running = queue.acquire(Some(client(1))).await.unwrap();
        let cancelled = wait!(queue, Some(client(1)));
        queue.acquire(Some(client(1))).await.unwrap_err();
        cancelled.abort();
        assert!(cancelled.await.unwrap_err().is_cancelled());
        let waiting = wait!(queue, Some(client(1)));
        drop(running);
        drop(waiting.await.unwrap().unwrap());
        assert_eq!(queue.lock().running, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_computation_that_was_overtaken_gives_up_after_the_maximum_wait() {
        let queue = PasswordQueue::new(1, SECOND, SECOND / 10);
        let running = queue.acquire(Some(client(1))).await.unwrap();
        assert_eq!(queue.acquire(Some(client(2))).await.unwrap_err().retry_after, SECOND);
        drop(running);
        drop(queue.acquire(Some(client(2))).await.unwrap());
    }
}
