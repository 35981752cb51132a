//! Pruning and purging of old data.

mod prune;
pub(crate) mod purge;
mod purge_shared;
