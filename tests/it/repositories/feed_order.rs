//! Order of the feed under concurrent writers: readers that continue from the last event miss nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pocket_tasks::contract::event::{Event, EventType};
use pocket_tasks::contract::{EventId, ProjectId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{NewEvent, Store as _};
use tokio::task::{JoinSet, yield_now};

use super::fixtures::{at, commit, soon};
use crate::on_both_databases;
use crate::support::{Random, TestDatabase};

/// Per process. One connection is left for the reader.
const WRITERS: usize = 3;
const TRANSACTIONS: usize = 40;

/// Plan of a transaction.
#[derive(Clone, Copy)]
struct Plan {
    events: usize,
    /// Number of further statements after the events.
    lingers: usize,
    commits: bool,
}

impl Plan {
    fn random(random: &mut Random) -> Self {
        let lingers = if random.percent(40) { random.below(12) } else { 0 };
        Self { events: 1 + random.below(3), lingers, commits: random.percent(75) }
    }
}

pub(super) fn new_event(project: ProjectId, kind: EventType) -> NewEvent {
    NewEvent {
        id: EventId::generate(),
        kind,
        project_id: project,
        actor_id: None,
        occurred_at: at(1),
        data: "{}".to_owned(),
        previous: None,
        request_id: None,
    }
}

/// Runs transactions one after the other, and returns the events of each that was committed.
async fn write(store: Arc<SeaStore>, plans: Vec<Plan>) -> Vec<Vec<EventId>> {
    let project = ProjectId::generate();
    let mut committed = Vec::new();
    for plan in plans {
        let events: Vec<_> = (0..plan.events).map(|_| new_event(project, EventType::TaskCreated)).collect();
        let transaction = store.begin().await.unwrap();
        transaction.events().append(&events).await.unwrap();
        for _ in 0..plan.lingers {
            transaction.users().find_credentials_by_email("nobody@example.com").await.unwrap();
            yield_now().await;
        }
        if plan.commits {
            transaction.commit().await.unwrap();
            committed.push(events.iter().map(|event| event.id).collect());
        }
    }
    committed
}

/// Follows the feed until the writers are done, and returns the events.
async fn follow(store: Arc<SeaStore>, done: Arc<AtomicBool>, at_once: u64) -> Vec<Event> {
    let mut seen: Vec<Event> = Vec::new();
    loop {
        // Checked before the read, so that the last read covers all writes.
        let is_last = done.load(Ordering::SeqCst);
        loop {
            let place = seen.last().map_or(0, |event| event.sequence);
            let found = store.read().events().tail(place, at_once).await.unwrap();
            if found.is_empty() {
                break;
            }
            seen.extend(found);
            assert!(seen.is_sorted_by(|one, next| one.sequence < next.sequence));
        }
        if is_last {
            return seen;
        }
        yield_now().await;
    }
}

/// Rereads the feed repeatedly. Up to a reported end it must never change.
async fn reread(store: Arc<SeaStore>, done: Arc<AtomicBool>) {
    let mut before: Vec<EventId> = Vec::new();
    loop {
        let is_last = done.load(Ordering::SeqCst);
        let end = store.read().events().bounds().await.unwrap().end;
        let now = store.read().events().tail(0, 10_000).await.unwrap();
        let now: Vec<EventId> = now.iter().filter(|event| event.sequence <= end).map(|event| event.id).collect();
        assert!(now.starts_with(&before), "an event came late, or is gone: {} and {}", before.len(), now.len());
        before = now;
        if is_last {
            return;
        }
        yield_now().await;
    }
}

on_both_databases! {
    async fn readers_see_each_event_once_and_in_order(database: TestDatabase) {
        let mut random = Random::new();
        // Two processes. On SQLite one of them would wait for the lock on the file.
        let mut stores = vec![database.another_store().await];
        if database.is_postgres() {
            stores.push(database.another_store().await);
        }
        let done = Arc::new(AtomicBool::new(false));
        let (mut readers, mut rereaders, mut writers) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        for (store, at_once) in stores.iter().zip([7, 1_000]) {
            readers.spawn(follow(Arc::clone(store), Arc::clone(&done), at_once));
            rereaders.spawn(reread(Arc::clone(store), Arc::clone(&done)));
            for _ in 0..WRITERS {
                let plans = (0..TRANSACTIONS).map(|_| Plan::random(&mut random)).collect();
                writers.spawn(write(Arc::clone(store), plans));
            }
        }
        let committed: Vec<Vec<EventId>> = soon(writers.join_all()).await.into_iter().flatten().collect();
        done.store(true, Ordering::SeqCst);
        soon(rereaders.join_all()).await;
        for seen in soon(readers.join_all()).await {
            let positions: HashMap<EventId, usize> =
                seen.iter().enumerate().map(|(place, event)| (event.id, place)).collect();
            let missed = committed.iter().flatten().filter(|id| !positions.contains_key(id)).count();
            assert_eq!(missed, 0, "missed, of {}", seen.len());
            // Rolled back events are absent; the events of a transaction are consecutive and in order.
            assert_eq!(seen.len(), committed.iter().map(Vec::len).sum::<usize>());
            for events in &committed {
                let first = positions[&events[0]];
                let here: Vec<EventId> = seen[first..first + events.len()].iter().map(|event| event.id).collect();
                assert_eq!(&here, events);
            }
        }
    }

    async fn a_rollback_releases_its_sequence_numbers(database: TestDatabase) {
        let store = database.store().await;
        let project = ProjectId::generate();
        let event = || new_event(project, EventType::TaskCreated);
        commit(&store, async |transaction| transaction.events().append(&[event()]).await.unwrap()).await;
        let dropped = store.begin().await.unwrap();
        dropped.events().append(&[event(), event()]).await.unwrap();
        drop(dropped);
        commit(&store, async |transaction| transaction.events().append(&[]).await.unwrap()).await;
        assert_eq!(store.read().events().bounds().await.unwrap().end, 1);
        // More rows than one statement inserts, and in two chunks.
        let many: Vec<_> = (0..43).map(|_| event()).collect();
        commit(&store, async |transaction| {
            transaction.events().append(&many).await.unwrap();
            transaction.events().append(&[event()]).await.unwrap();
        })
        .await;
        let found = store.read().events().tail(1, 100).await.unwrap();
        assert_eq!(found.iter().map(|event| event.sequence).collect::<Vec<_>>(), (2..=45).collect::<Vec<_>>());
        let ids: Vec<EventId> = found.iter().take(43).map(|event| event.id).collect();
        assert_eq!(ids, many.iter().map(|event| event.id).collect::<Vec<_>>());
    }
}
