//! All integration tests, in one binary: building and linking once is most of the cost.

mod api;
mod architecture;
mod contract;
mod repositories;
mod server;
mod support;
