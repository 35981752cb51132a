//! Health of an endpoint: degraded if it is slow or fails, disabled if it fails for days.

use std::time::Duration;

use super::attempt::{Attempt, STATUS_GONE, is_success};
use super::disabled_reason;
use crate::repositories::EndpointHealth;

/// Duration of uninterrupted failure after which a webhook is disabled.
const DISABLE_AFTER: Duration = Duration::from_hours(5 * 24);

/// Response time from which a webhook counts as degraded, in milliseconds.
/// Shorter than the client's `EXCERPT_TIMEOUT` (2 s), so that endless responses count too.
const DEGRADED_LATENCY_MS: i64 = 1_000;

/// Evaluates the health of an endpoint. Returns the reason to disable it, if any.
/// Requests are concurrent, so attempts are ordered by the time at which they were sent: a success ends the failures
/// before it.
pub(crate) fn evaluate_health<'t>(
    health: EndpointHealth,
    attempts: impl Iterator<Item = &'t Attempt>,
) -> (EndpointHealth, Option<&'static str>) {
    let mut attempts: Vec<&Attempt> = attempts.collect();
    attempts.sort_by_key(|attempt| (attempt.result.at, is_success(&attempt.result)));
    let is_degraded = match attempts.as_slice() {
        [] => health.is_degraded,
        some => {
            some.iter().any(|attempt| !is_success(&attempt.result) || attempt.result.duration_ms >= DEGRADED_LATENCY_MS)
        }
    };
    let (mut failing_since, mut last_failure, mut is_gone) = (health.failing_since, None, false);
    for attempt in attempts {
        if is_success(&attempt.result) {
            (failing_since, last_failure) = (None, None);
        } else if !attempt.is_test() {
            // Failed tests do not count towards disabling.
            failing_since.get_or_insert(attempt.result.at);
            last_failure = Some(attempt.result.at);
            is_gone |= attempt.result.status_code == Some(STATUS_GONE);
        }
    }
    let has_kept_failing = failing_since.zip(last_failure).is_some_and(|(since, last)| since <= last - DISABLE_AFTER);
    let reason =
        if is_gone { Some(disabled_reason::GONE) } else { has_kept_failing.then_some(disabled_reason::FAILING) };
    (EndpointHealth { failing_since, is_degraded, ..health }, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::event::EventType;
    use crate::contract::strings::WebhookUrl;
    use crate::contract::webhook::delivery::DeliveryAttempt;
    use crate::contract::{DeliveryId, EventId, Timestamp};
    use crate::repositories::DueDelivery;

    const DAY: i64 = 86_400_000;

    fn attempt(at: i64, status: u16) -> Attempt {
        Attempt {
            due: DueDelivery {
                id: DeliveryId::generate(),
                event_id: EventId::generate(),
                event_type: EventType::TaskCreated,
                created_at: Timestamp(at),
                sequence: None,
            },
            url: WebhookUrl::new_unchecked("https://example.com/"),
            result: DeliveryAttempt {
                at: Timestamp(at),
                status_code: Some(status),
                error: None,
                duration_ms: 80,
                response_excerpt: None,
            },
            retry_after: None,
        }
    }

    fn failing(since: i64) -> EndpointHealth {
        EndpointHealth { failing_since: Some(Timestamp(since)), is_degraded: true, cancel_through: None }
    }

    #[test]
    fn a_success_ends_the_failures_sent_before_it_in_the_same_run() {
        for late in [0, 1, 49] {
            // The failure is the last to be reported, and neither the first nor the last to be sent.
            let mut batch: Vec<_> =
                (0..50).filter(|number| *number != late).map(|at| attempt(6 * DAY + at, 200)).collect();
            batch.push(attempt(6 * DAY + late, 503));
            let (health, reason) = evaluate_health(failing(0), batch.iter());
            assert_eq!(reason, None, "{late}");
            let since = (late == 49).then_some(Timestamp(6 * DAY + late));
            assert_eq!((health.failing_since, health.is_degraded), (since, true), "{late}");
        }
        // Of two attempts at the same time, the successful one counts.
        let (health, reason) = evaluate_health(failing(0), [attempt(6 * DAY, 200), attempt(6 * DAY, 503)].iter());
        assert_eq!((health.failing_since, reason), (None, None));
    }

    #[test]
    fn a_webhook_is_disabled_after_five_days_of_failures() {
        for (at, is_over) in [(5 * DAY - 1, false), (5 * DAY, true), (6 * DAY, true)] {
            let (health, reason) = evaluate_health(failing(0), [attempt(at, 503)].iter());
            assert_eq!((health.failing_since, reason.is_some()), (Some(Timestamp(0)), is_over), "{at}");
        }
        assert_eq!(evaluate_health(failing(0), std::iter::empty()), (failing(0), None), "no attempts");
        let gone = [attempt(6 * DAY, 410), attempt(6 * DAY + 1, 200)];
        assert_eq!(
            evaluate_health(failing(0), gone.iter()).1,
            Some(disabled_reason::GONE),
            "a later success does not matter"
        );
        assert_eq!(evaluate_health(EndpointHealth::default(), gone[..1].iter()).1, Some(disabled_reason::GONE));
    }

    #[test]
    fn a_failed_test_only_degrades_and_a_successful_one_ends_the_failures() {
        let test = |status| {
            let attempt = attempt(6 * DAY, status);
            Attempt { due: DueDelivery { event_type: EventType::WebhookTest, ..attempt.due }, ..attempt }
        };
        for before in [failing(0), EndpointHealth::default()] {
            for (status, since, is_degraded) in
                [(410, before.failing_since, true), (503, before.failing_since, true), (200, None, false)]
            {
                let (health, reason) = evaluate_health(before, [test(status)].iter());
                assert_eq!((health.failing_since, reason), (since, None), "{status}");
                assert_eq!(health.is_degraded, is_degraded, "{status}");
            }
        }
    }

    #[test]
    fn a_slow_receiver_is_degraded_but_not_failing() {
        for (duration_ms, is_degraded) in [(0, false), (999, false), (1_000, true), (15_000, true)] {
            let mut late = attempt(7, 200);
            late.result.duration_ms = duration_ms;
            let (health, reason) = evaluate_health(EndpointHealth::default(), [attempt(6, 200), late].iter());
            assert_eq!((health.failing_since, health.is_degraded, reason), (None, is_degraded, None), "{duration_ms}");
        }
    }
}
