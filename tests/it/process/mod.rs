//! The program as it is run: a process of its own, with its settings, signals, exit status and output.

#![expect(clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

mod commands;
mod crash;
mod http;
mod logs;
mod program;
mod serve;
mod settings;
mod stop;
