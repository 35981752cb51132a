//! The live event stream (SSE).

mod idle;
mod limits;
pub(crate) mod messages;
mod multi_process;
mod resume;
mod slow_clients;
mod termination;
mod tickets;
mod visibility;
