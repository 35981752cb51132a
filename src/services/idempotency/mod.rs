//! Idempotency keys.

pub(crate) mod key_locks;
pub(crate) mod replay;
