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

/// Key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// An IPv4 address, or the /64 of an IPv6 address, which is what one household has.
    Address(IpAddr),
    /// A user.
    User(UserId),
    /// An e-mail address, with or without an account, as a keyed hash.
    Account(u64),
    /// A shared bucket.
    Overflow(u64),
}

impl Key {
    pub(super) fn for_ip(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
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

/// Sets the `RateLimit-*` headers.
pub(super) fn set_headers(response: &mut Response, decision: Decision) {
    set(response, HeaderName::from_static("ratelimit-limit"), &decision.limit.to_string());
    set(response, HeaderName::from_static("ratelimit-remaining"), &decision.remaining.to_string());
    set(response, HeaderName::from_static("ratelimit-reset"), &decision.reset.to_string());
}

/// The rate limits of a server.
pub(super) struct RateLimits {
    auth: Option<Limiter>,
    refresh: Option<Limiter>,
    api: Option<Limiter>,
    hasher: RandomState,
}

impl RateLimits {
    pub(super) fn new(settings: RateLimitSettings) -> Self {
        Self {
            auth: Limiter::new(settings.auth_per_minute),
            refresh: Limiter::new(settings.refresh_per_minute),
            api: Limiter::new(settings.api_per_minute),
            hasher: RandomState::new(),
        }
    }

    /// Counts a request as often as it costs beyond what is already counted; `None` if the limit is disabled.
    pub(super) fn count(&self, class: RateLimitClass, key: Key, cost: Charge) -> Option<Decision> {
        let limiter = match class {
            RateLimitClass::Auth | RateLimitClass::Mail => &self.auth,
            RateLimitClass::Refresh => &self.refresh,
            RateLimitClass::Api => &self.api,
        };
        limiter.as_ref().and_then(|limiter| limiter.count(key, cost, &self.hasher))
    }

    /// Returns the key of an e-mail address, without storing the address.
    pub(super) fn account(&self, email: &str) -> Key {
        Key::Account(self.hasher.hash_one(email.to_lowercase()))
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
        // A flood has ever new addresses and accounts; users keep buckets of their own.
        let overflows = self.full.load(Ordering::Relaxed) && matches!(key, Key::Address(_) | Key::Account(_));
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
        Key::for_ip(text.parse().unwrap())
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
    fn addresses_of_a_household_share_a_bucket() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded_in_a_flood_of_addresses() {
        let limits = limits(10);
        for n in 0..300_000_u128 {
            limits.count(RateLimitClass::Auth, Key::for_ip(IpAddr::V6((n << 64).into())), ONE);
        }
        let keys = limits.auth.as_ref().unwrap().buckets.len();
        assert!(
            keys <= MAX_TRACKED_KEYS + SWEEP_INTERVAL as usize + usize::try_from(OVERFLOW_BUCKETS).unwrap(),
            "{keys}"
        );
    }
}
