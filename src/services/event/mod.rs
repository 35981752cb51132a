//! Events: published through a transactional outbox, read as pages and as live streams.

pub(crate) mod cursor;
pub(crate) mod hub;
pub(crate) mod publish;
pub(crate) mod stream;
pub(crate) mod subscription;
