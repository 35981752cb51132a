//! Background jobs: the durable queue's runner, the schedule, and one handler per kind of job.
//!
//! A job is enqueued in the transaction of its cause. `runner` claims jobs under a lease and completes, retries or
//! dead-letters each; `schedule` enqueues the cron jobs. A job whose effect is in the database commits it together with
//! its completion, so the effect happens once. A job with an outside effect, such as an e-mail, runs at least once.

mod backoff;
mod context;
mod handlers;
mod runner;
mod schedule;

pub use context::{Handler, JobContext, JobError, JobResult};
pub use handlers::JobHandlers;
pub use runner::{Runner, RunnerTimings};
pub use schedule::Schedule;
