//! Metrics and traces, as Prometheus and a collector receive them.

mod documents;
mod metrics;
mod traces;
