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
//!      contract: the vocabulary that all of them share; it imports none of them
//! ```
//!
//! A request travels `server` → `api::middleware` → `api::pipeline` → `api::handlers` → `services` → `repositories`, and back. A
//! read costs one query; a write is one short transaction that its service opens and commits, and in which it tells
//! what happened (`services::event::publish`) and promises the jobs that follow: `jobs::runner` does them after the commit. The
//! feed has four readers: pages of it, pages from a cursor on, live streams (`services::event::hub`), and webhooks.
//! `tests/it/architecture.rs` enforces who may import whom.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod contract;
pub mod database;
pub mod jobs;
pub mod mail;
pub mod repositories;
pub mod security;
pub mod server;
pub mod services;
pub mod telemetry;
pub mod webhooks;
