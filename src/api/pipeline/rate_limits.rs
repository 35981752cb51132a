//! How many requests are allowed, by governor: a burst of a minute's worth that refills steadily.
//!
//! Memory stays bounded whatever addresses come along: counters that are full again are dropped, and when there are
//! too many all the same, those who come new share a limited number of counters.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::contract::UserId;

/// Requests a minute; 0 switches a limit off.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitSettings {
    /// Operations that take credentials or send mail: by address, and by account.
    pub auth_per_minute: u32,
    /// Refreshing a session: by address.
    pub refresh_per_minute: u32,
    /// All else: by user, or by address for the anonymous.
    pub api_per_minute: u32,
}

/// Which limit a request falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bucket {
    Auth,
    /// What a user has mailed to others; by user, and otherwise as the first.
    Mail,
    Refresh,
    Api,
}

impl Bucket {
    /// The bucket of an operation.
    pub(super) fn for_operation(operation: &str) -> Self {
        match operation {
            "register" | "login" | "changePassword" | "verifyEmail" | "resendVerification" | "forgotPassword"
            | "resetPassword" => Self::Auth,
            "createInvitation" => Self::Mail,
            "refreshSession" => Self::Refresh,
            _ => Self::Api,
        }
    }
}

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// An address; of IPv6 the /64, which is what one household has.
    Address(IpAddr),
    /// A user.
    User(UserId),
    /// An account that is addressed, be it there or not, by a keyed hash of its e-mail.
    Account(u64),
    /// One of the counters that newcomers share in a flood.
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

/// What a limit says about a request, and what the response says about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// How many requests the full bucket has.
    pub(super) limit: u32,
    /// How many are left.
    pub(super) remaining: u32,
    /// Seconds until the bucket is full again.
    pub(super) reset: u64,
    /// Seconds to wait, when the request is refused.
    pub(super) retry_after: Option<u64>,
}

/// All limits.
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

    /// Counts a request; `None` when the limit is switched off.
    pub(super) fn count(&self, bucket: Bucket, key: Key) -> Option<Decision> {
        let limiter = match bucket {
            Bucket::Auth | Bucket::Mail => &self.auth,
            Bucket::Refresh => &self.refresh,
            Bucket::Api => &self.api,
        };
        limiter.as_ref().map(|limiter| limiter.count(key, &self.hasher))
    }

    /// The key of an account, which does not keep the address.
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

/// At most about so many counters per limit, of some hundred bytes each.
const MAX_TRACKED_KEYS: usize = 100_000;
/// So many counters are shared by newcomers in a flood.
const OVERFLOW_BUCKETS: u64 = 1_024;
/// After so many requests the counters that are full again are dropped.
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

    fn count(&self, key: Key, hasher: &RandomState) -> Decision {
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP_INTERVAL == SWEEP_INTERVAL - 1 {
            self.sweep();
        }
        // A flood comes from ever new addresses; users and accounts keep counters of their own.
        let overflows = self.full.load(Ordering::Relaxed) && matches!(key, Key::Address(_) | Key::Account(_));
        let key = if overflows { Key::Overflow(hasher.hash_one(&key) % OVERFLOW_BUCKETS) } else { key };
        match self.buckets.check_key(&key) {
            Ok(state) => self.decision(state.remaining_burst_capacity(), None),
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                self.decision(0, Some(seconds(wait).max(1)))
            }
        }
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

    fn limits(auth_per_minute: u32) -> RateLimits {
        RateLimits::new(RateLimitSettings { auth_per_minute, refresh_per_minute: 0, api_per_minute: 0 })
    }

    fn address(text: &str) -> Key {
        Key::for_ip(text.parse().unwrap())
    }

    #[test]
    fn a_minutes_worth_is_allowed_and_then_no_more() {
        let limits = limits(3);
        let decisions: Vec<_> = (0..4).map(|_| limits.count(Bucket::Auth, address("192.0.2.1")).unwrap()).collect();
        assert_eq!(decisions.iter().map(|decision| decision.remaining).collect::<Vec<_>>(), [2, 1, 0, 0]);
        assert_eq!(decisions[0], Decision { limit: 3, remaining: 2, reset: 20, retry_after: None });
        assert_eq!(decisions[3].retry_after, Some(20));
        assert_eq!(limits.count(Bucket::Auth, address("192.0.2.2")).unwrap().remaining, 2);
    }

    #[test]
    fn a_limit_of_zero_is_off() {
        assert_eq!(limits(3).count(Bucket::Api, address("192.0.2.1")), None);
    }

    #[test]
    fn a_household_is_counted_once() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_addresses_does_not_fill_the_memory() {
        let limits = limits(10);
        for n in 0..300_000_u128 {
            limits.count(Bucket::Auth, Key::for_ip(IpAddr::V6((n << 64).into())));
        }
        let keys = limits.auth.as_ref().unwrap().buckets.len();
        assert!(
            keys <= MAX_TRACKED_KEYS + SWEEP_INTERVAL as usize + usize::try_from(OVERFLOW_BUCKETS).unwrap(),
            "{keys}"
        );
    }
}
