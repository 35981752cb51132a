//! Comments on tasks.

pub(crate) mod concurrency;
pub(crate) mod crud;
mod lists;
mod permissions;
