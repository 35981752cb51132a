//! The program as a separate process: settings, signals, exit status and output.

#![expect(clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

mod administration;
mod clients;
mod commands;
mod crash;
mod crowds;
mod deliveries;
mod event_client;
mod full_disk;
mod hang_ups;
mod http;
mod jobs;
mod killed_deliveries;
mod killed_workers;
mod logs;
mod mails;
mod program;
mod queue;
mod recipes;
mod serve;
mod settings;
mod smtp;
mod stop;
mod streams;
mod tls;
mod unread_bodies;
mod workers;
