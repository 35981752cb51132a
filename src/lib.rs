//! Pocket Tasks: a task and project API, contract first, on SQLite and PostgreSQL.
//!
//! ```text
//!                 cli ─────► app (composition root) ◄───── tests
//!                              │
//!       ┌──────────────────────┼───────────────────┐
//!       ▼                      ▼                   ▼
//!      api ──► services ──► repositories ◄── database (SeaORM, entities)
//!               ▲   │         (traits)
//!      jobs ────┤   └─► security · webhooks
//!        └─► mail
//!      contract: the shared vocabulary; imports none of the others
//! ```
//!
//! A read is one query. A write is one short transaction, in which its service publishes events and enqueues jobs. Event
//! pages, event streams and webhooks are readers of one event feed. `docs/architecture.md` follows a read, a write, a
//! webhook delivery and an event stream through the code; `tests/it/architecture.rs` enforces the import rules.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod contract;
pub mod database;
pub mod jobs;
pub mod mail;
pub mod metrics_server;
pub mod repositories;
pub mod security;
pub mod server;
pub mod services;
pub mod telemetry;
pub mod webhooks;
