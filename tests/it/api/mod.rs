//! Behaviour through HTTP.

mod accounts;
mod cors;
mod docs;
mod encodings;
mod front;
mod me;
mod passwords;
mod rate_limits;
mod sessions;
mod tokens;
