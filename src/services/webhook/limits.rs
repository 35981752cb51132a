//! Limits of webhook delivery, so that a webhook is no weapon and a hanging endpoint harms only its owner.
//!
//! A run needs a permit of its owner, who has a share of each queue, and permits of the host, which receives few
//! requests at once. Then it takes a turn for its deliveries within the rates of the owner and of the host. A run whose
//! turn is later is told when; its turn is kept until then, so each run waits once, in order, without polling.
//!
//! The limits are those of this process.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::contract::{Timestamp, UserId, WebhookId};
use crate::repositories::Queue;
use crate::services::DeliveryRates;
use crate::services::keyed_semaphores::KeyedSemaphores;

/// Maximum number of concurrent runs per owner, healthy and degraded.
const MAX_RUNS_PER_OWNER: usize = 16;
const MAX_DEGRADED_RUNS_PER_OWNER: usize = 32;

/// Maximum number of concurrent requests to a host, over all users, and of a degraded run.
const MAX_REQUESTS_PER_HOST: usize = 4;
const MAX_REQUESTS_DEGRADED: usize = 2;

/// Maximum wait of a run for a permit of its host.
const HOST_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of runs that use the database: API requests need it too.
const MAX_CONCURRENT_DB: usize = 8;

/// Time after which a turn that was not taken is forgotten.
const TURN_TTL: Duration = Duration::from_mins(5);

/// Limits of this process.
pub(crate) struct DeliveryLimits {
    owners: KeyedSemaphores<(Queue, UserId)>,
    hosts: KeyedSemaphores<String>,
    database: Semaphore,
    rates: DeliveryRates,
    turns: Mutex<Turns>,
}

/// Permit for a run, or for its concurrent requests. Dropping it lets another run start.
pub(crate) type DeliveryPermit = OwnedSemaphorePermit;

#[derive(Default)]
struct Turns {
    waiting: HashMap<WebhookId, Turn>,
    users: HashMap<UserId, Window>,
    hosts: HashMap<String, Window>,
}

/// Turn of a webhook: a time, and the stage at which it continues then.
struct Turn {
    at: Timestamp,
    stage: Stage,
}

/// Stages of a turn, in order: within the rate of the owner, then within that of the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    User,
    Host,
    Ready,
}

/// Deliveries within a period that ends now: at most `limit`.
struct Window {
    limit: usize,
    period: Duration,
    /// Times of the last deliveries, oldest first.
    sent: VecDeque<Timestamp>,
    /// End of the turns that are reserved.
    reserved_until: Timestamp,
}

impl Window {
    /// Returns the earliest time at which deliveries are within the limit.
    fn free_at(&self, count: usize, now: Timestamp) -> Timestamp {
        let last_that_counts = (self.sent.len() + count.min(self.limit)).checked_sub(self.limit + 1);
        let sent = last_that_counts.and_then(|index| self.sent.get(index));
        sent.map_or(now, |sent| now.max(*sent + self.period))
    }

    /// Reserves a turn after those that others have reserved, and returns its time.
    fn reserve(&mut self, count: usize, now: Timestamp) -> Timestamp {
        let at = self.free_at(count, now).max(self.reserved_until);
        if at > now {
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            self.reserved_until = at + self.period * number(count) / number(self.limit).max(1);
        }
        at
    }

    fn record(&mut self, count: usize, now: Timestamp) {
        self.sent.extend(std::iter::repeat_n(now, count));
        self.sent.drain(..self.sent.len().saturating_sub(self.limit));
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        self.reserved_until <= now && self.sent.back().is_none_or(|last| *last + self.period <= now)
    }
}

/// Returns the window of a key, unless the limit is off. A window exists only while it is in use.
fn window<K: Eq + Hash>(
    windows: &mut HashMap<K, Window>,
    key: K,
    limit: usize,
    period: Duration,
    now: Timestamp,
) -> Option<&mut Window> {
    if limit == 0 {
        return None;
    }
    if !windows.contains_key(&key) {
        windows.retain(|_, window| !window.is_idle(now));
    }
    Some(windows.entry(key).or_insert_with(|| Window { limit, period, sent: VecDeque::new(), reserved_until: now }))
}

impl DeliveryLimits {
    pub(crate) fn new(rates: DeliveryRates) -> Self {
        Self {
            owners: KeyedSemaphores::default(),
            hosts: KeyedSemaphores::default(),
            database: Semaphore::new(MAX_CONCURRENT_DB),
            rates,
            turns: Mutex::default(),
        }
    }

    /// Acquires a permit for a run, or returns `None` if the owner has reached the limit.
    pub(crate) fn try_acquire(&self, queue: Queue, owner: UserId) -> Option<DeliveryPermit> {
        let is_degraded = queue == Queue::WebhooksDegraded;
        let max = if is_degraded { MAX_DEGRADED_RUNS_PER_OWNER } else { MAX_RUNS_PER_OWNER };
        self.owners.get((queue, owner), max).try_acquire_owned().ok()
    }

    /// Acquires a permit for each of up to `count` concurrent requests, or returns `None` if the host stays busy.
    pub(crate) async fn acquire_requests(&self, queue: Queue, host: &str, count: usize) -> Option<DeliveryPermit> {
        let max = if queue == Queue::WebhooksDegraded { MAX_REQUESTS_DEGRADED } else { MAX_REQUESTS_PER_HOST };
        let host = self.hosts.get(host.to_owned(), MAX_REQUESTS_PER_HOST);
        let mut permit = timeout(HOST_TIMEOUT, Arc::clone(&host).acquire_owned()).await.ok()?.ok()?;
        while permit.num_permits() < max.min(count)
            && let Ok(another) = Arc::clone(&host).try_acquire_owned()
        {
            permit.merge(another);
        }
        Some(permit)
    }

    /// Returns the maximum number of deliveries of a run, at most `limit`.
    pub(crate) fn max_per_run(&self, limit: usize) -> usize {
        let rates = [self.rates.per_host_per_second, self.rates.per_user_per_minute];
        rates.into_iter().filter(|rate| *rate > 0).fold(limit, usize::min)
    }

    /// Takes a turn for deliveries to a host, or returns when to ask again.
    pub(crate) fn take_turn(
        &self,
        webhook: WebhookId,
        owner: UserId,
        host: String,
        count: usize,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let Turns { waiting, users, hosts } = &mut *turns;
        let held = waiting.get(&webhook).map_or((now, Stage::User), |turn| (turn.at, turn.stage));
        if held.0 > now {
            return Err(held.0);
        }
        waiting.retain(|_, turn| turn.at + TURN_TTL > now);
        let mut user = window(users, owner, self.rates.per_user_per_minute, Duration::from_mins(1), now);
        let mut host = window(hosts, host, self.rates.per_host_per_second, Duration::from_secs(1), now);
        for (stage, window, next) in [(Stage::User, &mut user, Stage::Host), (Stage::Host, &mut host, Stage::Ready)] {
            if held.1 <= stage
                && let Some(window) = window
                && let at = window.reserve(count, now)
                && at > now
            {
                waiting.insert(webhook, Turn { at, stage: next });
                return Err(at);
            }
        }
        // A run that comes late to its turn still keeps to the rates.
        let mut windows: Vec<_> = [user, host].into_iter().flatten().collect();
        let at = windows.iter().map(|window| window.free_at(count, now)).max().unwrap_or(now);
        if at > now {
            waiting.insert(webhook, Turn { at, stage: Stage::Ready });
            return Err(at);
        }
        for window in &mut windows {
            window.record(count, now);
        }
        waiting.remove(&webhook);
        Ok(())
    }

    pub(crate) async fn acquire_db(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.database.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: DeliveryRates = DeliveryRates { per_host_per_second: 0, per_user_per_minute: 0 };

    #[test]
    fn runs_of_an_owner_are_limited_per_queue() {
        let limits = DeliveryLimits::new(OFF);
        let (ada, bob) = (UserId::generate(), UserId::generate());
        for (queue, max) in
            [(Queue::Webhooks, MAX_RUNS_PER_OWNER), (Queue::WebhooksDegraded, MAX_DEGRADED_RUNS_PER_OWNER)]
        {
            let mut of_ada: Vec<_> = (0..max).map(|_| limits.try_acquire(queue, ada).unwrap()).collect();
            assert!(limits.try_acquire(queue, ada).is_none(), "{queue:?}");
            assert!(limits.try_acquire(queue, bob).is_some(), "{queue:?}");
            of_ada.pop();
            of_ada.push(limits.try_acquire(queue, ada).unwrap());
            assert!(limits.try_acquire(queue, ada).is_none(), "{queue:?}");
        }
        assert!(limits.owners.is_unused(), "all runs have ended");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_to_a_host_are_limited_over_all_owners() {
        let limits = DeliveryLimits::new(OFF);
        let acquire = async |queue, host, count| {
            limits.acquire_requests(queue, host, count).await.map(|permit| (permit.num_permits(), permit))
        };
        let degraded = acquire(Queue::WebhooksDegraded, "a", 9).await.unwrap();
        let single = acquire(Queue::Webhooks, "a", 1).await.unwrap();
        let healthy = acquire(Queue::Webhooks, "a", 9).await.unwrap();
        assert_eq!((degraded.0, single.0, healthy.0), (2, 1, 1));
        assert!(acquire(Queue::Webhooks, "a", 1).await.is_none(), "the host stays busy");
        assert_eq!(acquire(Queue::Webhooks, "b", 9).await.unwrap().0, 4, "another host");
        drop(degraded);
        assert_eq!(acquire(Queue::Webhooks, "a", 9).await.unwrap().0, 2);
        drop((single, healthy));
        assert!(limits.hosts.is_unused(), "all requests have ended");
    }

    /// Lets webhooks of owners send to hosts, each run when its turn comes, and returns the times and owners.
    fn simulate(rates: DeliveryRates, webhooks: &[(UserId, &str)], per_webhook: usize) -> Vec<(i64, UserId)> {
        let limits = DeliveryLimits::new(rates);
        let mut runs: Vec<_> = webhooks
            .iter()
            .map(|(owner, host)| (Timestamp(0), WebhookId::generate(), *owner, *host, per_webhook))
            .collect();
        let mut sent = Vec::new();
        let mut asked = 0;
        while let Some(index) = (0..runs.len()).filter(|index| runs[*index].4 > 0).min_by_key(|index| runs[*index].0) {
            let (now, webhook, owner, host, left) = runs[index];
            let count = left.min(limits.max_per_run(50));
            match limits.take_turn(webhook, owner, host.to_owned(), count, now) {
                Ok(()) => {
                    sent.extend(std::iter::repeat_n((now.0, owner), count));
                    runs[index].4 -= count;
                }
                Err(at) => {
                    assert!(at > now);
                    runs[index].0 = at;
                }
            }
            asked += 1;
        }
        assert!(asked <= sent.len() * 4, "{asked} runs asked for {} deliveries", sent.len());
        sent
    }

    /// Greatest number of deliveries in a period.
    fn peak(sent: &[(i64, UserId)], period: i64) -> usize {
        let within = |begin: i64| sent.iter().filter(|(at, _)| (begin..begin + period).contains(at)).count();
        sent.iter().map(|(at, _)| within(*at)).max().unwrap_or_default()
    }

    #[test]
    fn a_host_receives_at_most_its_rate_however_many_webhooks_point_to_it() {
        let rates = DeliveryRates { per_host_per_second: 10, per_user_per_minute: 0 };
        let owners: Vec<_> = (0..3).map(|_| UserId::generate()).collect();
        let webhooks: Vec<_> = (0..60).map(|number| (owners[number % 3], "victim.example")).collect();
        for per_webhook in [1, 7, 30] {
            let sent = simulate(rates, &webhooks, per_webhook);
            assert_eq!(sent.len(), 60 * per_webhook);
            assert!(peak(&sent, 1_000) <= 10, "{per_webhook}: {}", peak(&sent, 1_000));
            let (took, least) = (sent.last().unwrap().0, (i64::try_from(sent.len()).unwrap() - 10) * 100);
            assert!((least..=least * 2).contains(&took), "{per_webhook}: {took} ms");
        }
    }

    #[test]
    fn a_user_sends_at_most_their_rate_and_delays_no_other_user() {
        let rates = DeliveryRates { per_host_per_second: 10, per_user_per_minute: 600 };
        let (ada, bob) = (UserId::generate(), UserId::generate());
        let hosts: Vec<_> = (0..50).map(|number| format!("host{number}.example")).collect();
        let mut webhooks: Vec<_> = hosts.iter().map(|host| (ada, host.as_str())).collect();
        webhooks.push((bob, "host0.example"));
        let sent = simulate(rates, &webhooks, 40);
        let of = |user| sent.iter().filter(|(_, owner)| *owner == user).copied().collect::<Vec<_>>();
        assert_eq!((of(ada).len(), of(bob).len()), (2_000, 40));
        assert!(peak(&of(ada), 60_000) <= 600, "{}", peak(&of(ada), 60_000));
        assert!(of(bob).last().unwrap().0 <= 10_000, "{:?}", of(bob).last());
    }

    #[test]
    fn a_late_run_keeps_to_the_rate() {
        let limits = DeliveryLimits::new(DeliveryRates { per_host_per_second: 2, per_user_per_minute: 0 });
        let [one, two, three] = [(); 3].map(|()| WebhookId::generate());
        let take = |webhook, at| limits.take_turn(webhook, UserId::generate(), "a".to_owned(), 2, Timestamp(at));
        assert_eq!(take(one, 0), Ok(()));
        assert_eq!((take(two, 0), take(three, 0)), (Err(Timestamp(1_000)), Err(Timestamp(2_000))));
        assert_eq!(take(two, 1_999), Ok(()));
        assert_eq!(take(three, 2_000), Err(Timestamp(2_999)));
        assert_eq!(take(three, 2_999), Ok(()));
    }
}
