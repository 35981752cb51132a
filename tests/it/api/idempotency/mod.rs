//! Requests with an `Idempotency-Key`.

mod access;
mod concurrency;
mod keys;
mod replay;
