//! Events. From commit to browser:
//!
//! 1. `publish` appends the events of a change in its transaction (transactional outbox).
//! 2. The commit notifies the `hub`, the only reader of new events in a process (`LISTEN`/`NOTIFY` between processes).
//! 3. The hub broadcasts new events to the `subscription` of each `stream`, which forwards those that the user may see.
//! 4. A subscription that falls behind catches up from the database.
//!
//! `list` reads pages of the same feed by `cursor`.

pub(crate) mod cursor;
pub(crate) mod hub;
pub(crate) mod list;
pub(crate) mod publish;
pub(crate) mod stream;
pub(crate) mod subscription;
pub(crate) mod tickets;
pub(crate) mod visibility;

use std::sync::Arc;

use hub::EventHub;

use crate::services::context::ServiceContext;

/// Event feed and event streams.
#[derive(Clone)]
pub struct Events {
    context: Arc<ServiceContext>,
    hub: Arc<EventHub>,
}

impl Events {
    pub(crate) fn new(context: Arc<ServiceContext>, hub: EventHub) -> Self {
        Self { context, hub: Arc::new(hub) }
    }
}
