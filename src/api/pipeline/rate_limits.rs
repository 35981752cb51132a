//! Rate limits: token buckets of one minute's requests, by governor.
//!
//! Memory is bounded: full buckets are dropped, and if too many remain, new addresses share a fixed number of buckets.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use poem::Response;
use poem::http::HeaderName;

use crate::api::operations::RateLimitClass;
use crate::api::respond::set;
use crate::api::settings::RateLimitSettings;
use crate::contract::UserId;
use crate::services::{ClientNetwork, SharedCharge, SharedLimit};

/// Key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Network of a client.
    Network(ClientNetwork),
    /// A user.
    User(UserId),
    /// A shared bucket.
    Overflow(u64),
}

/// Cost of a request, in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charge {
    /// Cost of the whole request.
    pub(super) cost: u32,
    /// The part of it that is already counted.
    pub(super) counted: u32,
}

impl Charge {
    /// The cost of a single request.
    pub(super) const SINGLE: Self = Self { cost: 1, counted: 0 };
}

/// Result of counting a request, for the headers of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// Capacity of the bucket.
    pub(super) limit: u32,
    /// Remaining requests.
    pub(super) remaining: u32,
    /// Seconds until the bucket is full again.
    pub(super) reset: u64,
    /// Seconds to wait, if the request is rejected.
    pub(super) retry_after: Option<u64>,
}

impl From<SharedLimit> for Decision {
    fn from(state: SharedLimit) -> Self {
        Self {
            limit: state.limit,
            remaining: state.remaining,
            reset: seconds(state.reset),
            retry_after: state.retry_after.map(|wait| seconds(wait).max(1)),
        }
    }
}

/// Returns the charge of a request to the bucket that all servers share. Only authentication is counted there: other
/// limits protect a server from load, and would cost a write for each read.
pub(super) fn shared_charge(class: RateLimitClass, key: &Key, charge: Charge, limit: u32) -> Option<SharedCharge> {
    let class = match class {
        RateLimitClass::Auth | RateLimitClass::Mail => "auth",
        RateLimitClass::ForgotPassword => "forgot",
        RateLimitClass::Refresh => "refresh",
        RateLimitClass::Api => return None,
    };
    let subject = match key {
        Key::Network(network) => network.to_string(),
        Key::User(user) => user.to_string(),
        Key::Overflow(_) => return None,
    };
    Some(SharedCharge { bucket: format!("{class} {subject}"), limit, cost: charge.cost.min(limit) })
}

/// Sets the `RateLimit-*` headers.
pub(super) fn set_headers(response: &mut Response, decision: Decision) {
    set(response, HeaderName::from_static("ratelimit-limit"), &decision.limit.to_string());
    set(response, HeaderName::from_static("ratelimit-remaining"), &decision.remaining.to_string());
    set(response, HeaderName::from_static("ratelimit-reset"), &decision.reset.to_string());
}

/// The rate limits of a server.
pub(super) struct RateLimits {
    auth: NetworkLimiter,
    forgot_password: NetworkLimiter,
    refresh: Option<Limiter>,
    api: Option<Limiter>,
    hasher: RandomState,
}

impl RateLimits {
    pub(super) fn new(settings: RateLimitSettings) -> Self {
        Self {
            auth: NetworkLimiter::new(settings.auth_per_minute),
            forgot_password: NetworkLimiter::new(settings.auth_per_minute),
            refresh: Limiter::new(settings.refresh_per_minute),
            api: Limiter::new(settings.api_per_minute),
            hasher: RandomState::new(),
        }
    }

    /// Counts a request as often as it costs beyond what is already counted; `None` if the limit is disabled.
    pub(super) fn count(&self, class: RateLimitClass, key: Key, cost: Charge) -> Option<Decision> {
        let limiter = match class {
            RateLimitClass::Auth | RateLimitClass::Mail => self.auth.by_key(&key),
            RateLimitClass::ForgotPassword => self.forgot_password.by_key(&key),
            RateLimitClass::Refresh => self.refresh.as_ref(),
            RateLimitClass::Api => self.api.as_ref(),
        };
        limiter.and_then(|limiter| limiter.count(key, cost, &self.hasher))
    }

    /// Returns the networks of a client by which a request is counted, the smallest first: a request that it refuses
    /// does not count for the larger ones.
    pub(super) fn networks(class: RateLimitClass, client: IpAddr) -> impl Iterator<Item = Key> {
        let household = ClientNetwork::household(client);
        let is_site = household.is_ipv6() && matches!(class, RateLimitClass::Auth | RateLimitClass::ForgotPassword);
        let sites = [SITE_PREFIX, REGION_PREFIX].into_iter().filter(move |_| is_site);
        let sites = sites.map(move |prefix| ClientNetwork::with_prefix(client, prefix));
        std::iter::once(household).chain(sites).map(Key::Network)
    }
}

/// Prefix of a site, in bits: what a provider assigns to one customer.
const SITE_PREFIX: u8 = 56;
/// Prefix of a large site, in bits.
const REGION_PREFIX: u8 = 48;

/// Limiters of a client's networks, which are larger for larger networks.
struct NetworkLimiter {
    household: Option<Limiter>,
    site: Option<Limiter>,
    region: Option<Limiter>,
}

impl NetworkLimiter {
    fn new(per_minute: u32) -> Self {
        Self {
            household: Limiter::new(per_minute),
            site: Limiter::new(per_minute.saturating_mul(4)),
            region: Limiter::new(per_minute.saturating_mul(16)),
        }
    }

    const fn by_key(&self, key: &Key) -> Option<&Limiter> {
        match key {
            Key::Network(network) if network.is_prefix(SITE_PREFIX) => self.site.as_ref(),
            Key::Network(network) if network.is_prefix(REGION_PREFIX) => self.region.as_ref(),
            _ => self.household.as_ref(),
        }
    }
}

type KeyedLimiter = RateLimiter<Key, DashMapStateStore<Key>, DefaultClock, StateInformationMiddleware>;

struct Limiter {
    buckets: KeyedLimiter,
    limit: NonZeroU32,
    period: Duration,
    clock: DefaultClock,
    calls: AtomicU32,
    full: AtomicBool,
}

/// Approximate maximum number of buckets per limit, of some hundred bytes each.
const MAX_TRACKED_KEYS: usize = 100_000;
/// Number of shared buckets.
const OVERFLOW_BUCKETS: u64 = 1_024;
/// Number of requests between two sweeps of full buckets.
const SWEEP_INTERVAL: u32 = 4_096;

impl Limiter {
    fn new(per_minute: u32) -> Option<Self> {
        let limit = NonZeroU32::new(per_minute)?;
        let period = Duration::from_mins(1) / per_minute;
        let quota = Quota::with_period(period)?.allow_burst(limit);
        Some(Self {
            buckets: RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>(),
            limit,
            period,
            clock: DefaultClock::default(),
            calls: AtomicU32::new(0),
            full: AtomicBool::new(false),
        })
    }

    fn count(&self, key: Key, charge: Charge, hasher: &RandomState) -> Option<Decision> {
        // A request that costs more than the bucket holds takes a full bucket.
        let due = NonZeroU32::new(charge.cost.min(self.limit.get()).saturating_sub(charge.counted))?;
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP_INTERVAL == SWEEP_INTERVAL - 1 {
            self.sweep();
        }
        // A flood has ever new addresses; users keep buckets of their own.
        let overflows = self.full.load(Ordering::Relaxed) && matches!(key, Key::Network(_));
        let key = if overflows { Key::Overflow(hasher.hash_one(&key) % OVERFLOW_BUCKETS) } else { key };
        Some(match self.buckets.check_key_n(&key, due) {
            Ok(Ok(state)) => self.decision(state.remaining_burst_capacity(), None),
            Ok(Err(refused)) => {
                let wait = refused.wait_time_from(self.clock.now());
                self.decision(0, Some(seconds(wait).max(1)))
            }
            Err(_) => self.decision(0, Some(seconds(self.period * self.limit.get()))),
        })
    }

    fn decision(&self, remaining: u32, retry_after: Option<u64>) -> Decision {
        let limit = self.limit.get();
        Decision { limit, remaining, reset: seconds(self.period * limit.saturating_sub(remaining)), retry_after }
    }

    fn sweep(&self) {
        self.buckets.retain_recent();
        let full = self.buckets.len() > MAX_TRACKED_KEYS;
        if !full {
            self.buckets.shrink_to_fit();
        }
        self.full.store(full, Ordering::Relaxed);
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Charge = Charge::SINGLE;

    fn limits(auth_per_minute: u32) -> RateLimits {
        RateLimits::new(RateLimitSettings { auth_per_minute, refresh_per_minute: 0, api_per_minute: 0 })
    }

    fn address(text: &str) -> Key {
        Key::Network(ClientNetwork::household(text.parse().unwrap()))
    }

    /// Counts a request of a client by all its networks.
    fn is_allowed(limits: &RateLimits, client: &str) -> bool {
        let mut networks = RateLimits::networks(RateLimitClass::Auth, client.parse().unwrap());
        networks.all(|key| limits.count(RateLimitClass::Auth, key, ONE).unwrap().retry_after.is_none())
    }

    #[test]
    fn one_minutes_worth_of_requests_is_allowed() {
        let limits = limits(3);
        let decisions: Vec<_> =
            (0..4).map(|_| limits.count(RateLimitClass::Auth, address("192.0.2.1"), ONE).unwrap()).collect();
        assert_eq!(decisions.iter().map(|decision| decision.remaining).collect::<Vec<_>>(), [2, 1, 0, 0]);
        assert_eq!(decisions[0], Decision { limit: 3, remaining: 2, reset: 20, retry_after: None });
        assert_eq!(decisions[3].retry_after, Some(20));
        assert_eq!(limits.count(RateLimitClass::Auth, address("192.0.2.2"), ONE).unwrap().remaining, 2);
    }

    #[test]
    fn a_request_takes_what_it_costs_or_a_full_bucket() {
        let limits = limits(6);
        let charge = |cost, counted| limits.count(RateLimitClass::Auth, address("192.0.2.1"), Charge { cost, counted });
        let count = |cost| charge(cost, 0);
        assert_eq!(count(4).unwrap(), Decision { limit: 6, remaining: 2, reset: 40, retry_after: None });
        // A refused request takes nothing.
        assert_eq!(count(4).unwrap().retry_after, Some(20));
        assert_eq!(count(2).unwrap().remaining, 0);
        assert_eq!(count(100).unwrap().retry_after, Some(60));
        assert_eq!(charge(1, 1), None);
        let other = |cost, counted| limits.count(RateLimitClass::Auth, address("192.0.2.2"), Charge { cost, counted });
        assert_eq!((other(1, 0).unwrap().remaining, other(100, 1).unwrap().remaining), (5, 0));
    }

    #[test]
    fn a_limit_of_zero_is_disabled() {
        assert_eq!(limits(3).count(RateLimitClass::Api, address("192.0.2.1"), ONE), None);
    }

    #[test]
    fn larger_networks_of_ipv6_have_larger_limits() {
        let limits = limits(2);
        let allowed =
            |clients: &mut dyn Iterator<Item = String>| clients.filter(|client| is_allowed(&limits, client)).count();
        // One household, the other households of a site, and the other sites of a region.
        assert_eq!(allowed(&mut (0..100).map(|n| format!("2001:db8:0:100::{n:x}"))), 2);
        assert_eq!(allowed(&mut (0..100).map(|n| format!("2001:db8:0:1{n:02x}::1"))), 4 * 2 - 2);
        assert_eq!(allowed(&mut (0..100).map(|n| format!("2001:db8:0:{n:x}00::1"))), 16 * 2 - 4 * 2);
        assert_eq!(allowed(&mut (0..100).map(|n| format!("2001:db8:0:{n:x}ff::1"))), 0);
        assert!(is_allowed(&limits, "2001:db8:1::1"));
        // Every IPv4 address has a limit of its own.
        assert_eq!(allowed(&mut (0..200).map(|n| format!("192.0.2.{}", n % 100))), 200);
    }

    #[test]
    fn requests_refused_by_a_household_do_not_count_for_its_site() {
        let limits = limits(1);
        for _ in 0..100 {
            is_allowed(&limits, "2001:db8::1");
        }
        assert!(is_allowed(&limits, "2001:db8:0:1::1"));
    }

    #[test]
    fn memory_is_bounded_in_a_flood_of_addresses() {
        let limits = limits(10);
        for n in 0..300_000_u128 {
            limits.count(
                RateLimitClass::Auth,
                Key::Network(ClientNetwork::household(IpAddr::V6((n << 64).into()))),
                ONE,
            );
        }
        let keys = limits.auth.household.as_ref().unwrap().buckets.len();
        assert!(
            keys <= MAX_TRACKED_KEYS + SWEEP_INTERVAL as usize + usize::try_from(OVERFLOW_BUCKETS).unwrap(),
            "{keys}"
        );
    }
}
