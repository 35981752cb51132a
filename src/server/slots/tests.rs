//! Shares, evictions and waits.

use futures_util::FutureExt as _;

use super::*;

fn slots(limit: usize, share: usize, reserved: usize) -> Arc<Slots> {
    Slots::new(&Limits {
        max_connections: limit,
        max_connections_per_address: (share > 0).then_some(share),
        reserved_connections: reserved,
        ..Limits::default()
    })
}

fn idle(slots: &Arc<Slots>, address: &str) -> Slot {
    slots.admit(address.parse().unwrap()).now_or_never().unwrap().unwrap()
}

fn busy(slots: &Arc<Slots>, address: &str) -> Slot {
    let slot = idle(slots, address);
    slot.handle().set_idle(false);
    slot
}

fn is_evicted(slot: &Slot) -> bool {
    slot.evicted().now_or_never().is_some()
}

#[test]
fn the_longest_idle_connection_gives_way() {
    let slots = slots(3, 0, 0);
    let first = idle(&slots, "192.0.2.1");
    let second = idle(&slots, "192.0.2.2");
    let busy = busy(&slots, "192.0.2.3");
    // A request makes the first one the latest.
    first.handle().set_idle(false);
    first.handle().set_idle(true);
    let next = idle(&slots, "192.0.2.4");
    assert_eq!([&first, &second, &busy, &next].map(is_evicted), [false, true, false, false]);
    assert!(!next.is_reserved());
    // The evicted connection ends later and releases nothing twice.
    drop(second);
    assert_eq!(slots.lock().regular.open, 3);
}

#[test]
fn an_address_beyond_its_share_loses_its_own_connections_only() {
    let slots = slots(10, 2, 4);
    let other = idle(&slots, "192.0.2.9");
    let first = idle(&slots, "192.0.2.1");
    let second = busy(&slots, "192.0.2.1");
    let third = busy(&slots, "192.0.2.1");
    assert_eq!([&other, &first, &second, &third].map(is_evicted), [false, true, false, false]);
    // No own connection is idle: one reserved slot, and nothing beyond it.
    let reserved = busy(&slots, "192.0.2.1");
    assert!(reserved.is_reserved());
    assert!(matches!(slots.admit("192.0.2.1".parse().unwrap()).now_or_never(), Some(None)));
    assert!(!is_evicted(&other));
    assert!(!idle(&slots, "192.0.2.9").is_reserved());
}

#[test]
fn reserved_slots_serve_when_nothing_is_idle() {
    let slots = slots(2, 0, 2);
    let _taken = [busy(&slots, "192.0.2.1"), busy(&slots, "192.0.2.2")];
    let probe = idle(&slots, "192.0.2.3");
    let second = busy(&slots, "192.0.2.4");
    assert!(probe.is_reserved() && second.is_reserved());
    let third = busy(&slots, "192.0.2.5");
    assert!(third.is_reserved() && is_evicted(&probe));
    assert!(slots.admit("192.0.2.6".parse().unwrap()).now_or_never().is_none(), "waits for a slot");
}

#[tokio::test]
async fn a_connection_waits_until_another_one_ends_or_is_idle() {
    let slots = slots(1, 0, 0);
    let first = busy(&slots, "192.0.2.1");
    let mut waiting = Box::pin(slots.admit("192.0.2.2".parse().unwrap()));
    assert!(waiting.as_mut().now_or_never().is_none());
    first.handle().set_idle(true);
    let second = waiting.await.unwrap();
    assert!(is_evicted(&first));
    second.handle().set_idle(false);
    let mut waiting = Box::pin(slots.admit("192.0.2.3".parse().unwrap()));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(second);
    assert!(waiting.await.is_some_and(|slot| !slot.is_reserved()));
    assert!(slots.lock().regular.networks.is_empty(), "nothing is left of closed connections");
}

#[test]
fn ipv6_counts_by_the_network_of_a_household() {
    let network = |text: &str| network(text.parse().unwrap());
    assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
    assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
}

#[test]
fn a_warning_is_repeated_once_a_minute_with_a_count() {
    let (mut warning, start) = (Warning::default(), Instant::now());
    assert_eq!(warning.count(start), Some(1));
    assert_eq!(warning.count(start + WARNING_INTERVAL / 2), None);
    assert_eq!(warning.count(start + WARNING_INTERVAL), Some(2));
}
