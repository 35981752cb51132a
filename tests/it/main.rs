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

/// That of the server. The tests allocate on many threads, for each of which glibc keeps memory of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
