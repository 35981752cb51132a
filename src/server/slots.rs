//! Connection slots: how many an address may hold, and which connection is closed when they run out.
//!
//! A connection takes a regular slot. If its address has its share, or all slots are taken, the longest idle connection
//! is closed for it. If none is idle, it takes one of a few reserved slots. The endpoint decides which requests of such
//! a connection it serves (see [`Reserved`](super::Reserved)), so that a load balancer can probe a busy server.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::limits::Limits;

/// Part of the reserved slots that one address may hold.
const RESERVED_SHARE: usize = 4;
/// Time between two warnings about the same shortage.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

type ConnectionId = u64;

/// Slots of a listener.
pub(super) struct Slots {
    state: Mutex<State>,
    released: Notify,
}

/// Slot of a connection, released on drop.
pub(super) struct Slot {
    handle: SlotHandle,
    evicted: Arc<Notify>,
    is_reserved: bool,
}

/// Reports to the slots whether a connection is idle.
#[derive(Clone)]
pub(super) struct SlotHandle {
    slots: Arc<Slots>,
    id: ConnectionId,
}

impl Slots {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let share = limits.max_connections_per_address.unwrap_or(usize::MAX);
        let reserved_share = match limits.max_connections_per_address {
            Some(_) => (limits.reserved_connections / RESERVED_SHARE).max(1),
            None => usize::MAX,
        };
        let state = State {
            regular: Pool::new(limits.max_connections.max(1), share),
            reserved: Pool::new(limits.reserved_connections, reserved_share),
            connections: HashMap::new(),
            next: 0,
            is_awaited: false,
            exhausted: Warning::default(),
            over_share: Warning::default(),
        };
        Arc::new(Self { state: Mutex::new(state), released: Notify::new() })
    }

    /// Takes a slot for a connection from `address`, or `None` if it must be closed because the address has its share.
    /// Waits if all slots are taken, the reserved ones included, and no connection is idle.
    pub(super) async fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let network = network(address);
        loop {
            let shortage = match self.lock().admit(network) {
                Ok((id, evicted, is_reserved)) => {
                    let handle = SlotHandle { slots: Arc::clone(self), id };
                    return Some(Slot { handle, evicted, is_reserved });
                }
                Err(shortage) => shortage,
            };
            if shortage == Shortage::Share {
                return None;
            }
            self.released.notified().await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if std::mem::take(&mut state.is_awaited) {
            self.released.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(super) fn handle(&self) -> SlotHandle {
        self.handle.clone()
    }

    /// Returns when the connection must be closed because another one took its slot.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.handle.slots.change(|state| drop(state.remove(self.handle.id)));
    }
}

impl SlotHandle {
    pub(super) fn set_idle(&self, is_idle: bool) {
        self.slots.change(|state| state.set_idle(self.id, is_idle));
    }
}

/// Returns the address that counts: IPv4, or the /64 of IPv6, which is what one household has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

struct State {
    regular: Pool,
    reserved: Pool,
    connections: HashMap<ConnectionId, Connection>,
    /// Next id, and next position in the order of idleness.
    next: u64,
    /// True if a connection waits for a slot.
    is_awaited: bool,
    exhausted: Warning,
    over_share: Warning,
}

struct Connection {
    network: IpAddr,
    is_reserved: bool,
    idle_since: Option<u64>,
    evicted: Arc<Notify>,
}

/// Reason why a pool has no room, even without its idle connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shortage {
    /// All slots are taken.
    Slots,
    /// The address has its share.
    Share,
}

impl State {
    fn admit(&mut self, network: IpAddr) -> Result<(ConnectionId, Arc<Notify>, bool), Shortage> {
        self.warn_of_shortage(network);
        let (victim, is_reserved) = match self.regular.find_room(network) {
            Ok(victim) => (victim, false),
            Err(regular) => match self.reserved.find_room(network) {
                Ok(victim) => (victim, true),
                Err(reserved) => {
                    // Only a lack of slots is worth a wait: all others could be served in the meantime.
                    let is_worth_waiting = regular == Shortage::Slots && reserved == Shortage::Slots;
                    self.is_awaited = is_worth_waiting;
                    return Err(if is_worth_waiting { Shortage::Slots } else { Shortage::Share });
                }
            },
        };
        if let Some(connection) = victim.and_then(|victim| self.remove(victim)) {
            connection.evicted.notify_one();
        }
        let id = self.next();
        let evicted = Arc::new(Notify::new());
        let connection = Connection { network, is_reserved, idle_since: None, evicted: Arc::clone(&evicted) };
        self.pool(is_reserved).open(network);
        self.connections.insert(id, connection);
        self.set_idle(id, true);
        Ok((id, evicted, is_reserved))
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        // Evicted connections have been removed before.
        let connection = self.connections.remove(&id)?;
        self.pool(connection.is_reserved).close(connection.network, connection.idle_since);
        Some(connection)
    }

    fn set_idle(&mut self, id: ConnectionId, is_idle: bool) {
        let position = self.next();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (network, is_reserved) = (connection.network, connection.is_reserved);
        let before = std::mem::replace(&mut connection.idle_since, is_idle.then_some(position));
        let pool = self.pool(is_reserved);
        if let Some(before) = before {
            pool.remove_idle(network, before);
        }
        if is_idle {
            pool.add_idle(network, position, id);
        }
    }

    fn pool(&mut self, is_reserved: bool) -> &mut Pool {
        if is_reserved { &mut self.reserved } else { &mut self.regular }
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn warn_of_shortage(&mut self, network: IpAddr) {
        if self.regular.is_full() {
            if let Some(count) = self.exhausted.count(Instant::now()) {
                tracing::warn!(
                    server.connections = self.regular.open,
                    count,
                    "all connection slots are taken; idle connections are closed for new ones"
                );
            }
        } else if self.regular.has_share(network)
            && let Some(count) = self.over_share.count(Instant::now())
        {
            tracing::warn!(
                client.address = %network,
                server.connections = self.regular.share,
                count,
                "a client address has its share of connections; is it a proxy?"
            );
        }
    }
}

/// Slots of one kind.
struct Pool {
    limit: usize,
    share: usize,
    open: usize,
    idle: BTreeMap<u64, ConnectionId>,
    networks: HashMap<IpAddr, NetworkUsage>,
}

#[derive(Default)]
struct NetworkUsage {
    open: usize,
    idle: BTreeMap<u64, ConnectionId>,
}

impl Pool {
    fn new(limit: usize, share: usize) -> Self {
        Self { limit, share, open: 0, idle: BTreeMap::new(), networks: HashMap::new() }
    }

    fn is_full(&self) -> bool {
        self.open >= self.limit
    }

    fn has_share(&self, network: IpAddr) -> bool {
        self.networks.get(&network).is_some_and(|usage| usage.open >= self.share)
    }

    /// Returns the connection to close for another one, if one must be closed.
    fn find_room(&self, network: IpAddr) -> Result<Option<ConnectionId>, Shortage> {
        let (is_full, has_share) = (self.is_full(), self.has_share(network));
        if !is_full && !has_share {
            return Ok(None);
        }
        let candidates = match self.networks.get(&network) {
            Some(usage) if has_share => &usage.idle,
            _ => &self.idle,
        };
        let shortage = if is_full { Shortage::Slots } else { Shortage::Share };
        candidates.values().next().map(|longest_idle| Some(*longest_idle)).ok_or(shortage)
    }

    fn open(&mut self, network: IpAddr) {
        self.open += 1;
        self.networks.entry(network).or_default().open += 1;
    }

    fn close(&mut self, network: IpAddr, idle_since: Option<u64>) {
        if let Some(position) = idle_since {
            self.remove_idle(network, position);
        }
        self.open -= 1;
        if let Some(usage) = self.networks.get_mut(&network) {
            usage.open -= 1;
            if usage.open == 0 {
                self.networks.remove(&network);
            }
        }
    }

    fn add_idle(&mut self, network: IpAddr, position: u64, id: ConnectionId) {
        self.idle.insert(position, id);
        self.networks.entry(network).or_default().idle.insert(position, id);
    }

    fn remove_idle(&mut self, network: IpAddr, position: u64) {
        self.idle.remove(&position);
        if let Some(usage) = self.networks.get_mut(&network) {
            usage.idle.remove(&position);
        }
    }
}

/// A warning that is logged at most once per interval, with a count.
#[derive(Default)]
struct Warning {
    last: Option<Instant>,
    count: u64,
}

impl Warning {
    /// Counts an occurrence. Returns the number since the last warning if it is time for another one.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.last.is_some_and(|last| now < last + WARNING_INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests;
