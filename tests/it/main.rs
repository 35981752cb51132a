//! All integration tests, in one binary: building and linking once is most of the cost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod architecture;
mod contract;
mod english;
mod import_cycles;
mod jobs;
mod process;
mod repositories;
mod server;
mod support;
mod telemetry;
mod webhooks;
