//! What the tests stand on: a database of its own for each, the API in process, typed clients whose every answer is
//! checked against the published document, and a clock that tests can set.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod databases;
pub(crate) mod delegation;
pub(crate) mod document;
pub(crate) mod failing;
pub(crate) mod faults;
pub(crate) mod following;
pub(crate) mod held;
pub(crate) mod mail;
pub(crate) mod quiet;
pub(crate) mod random;
pub(crate) mod receiver;

use std::time::Duration;

pub(crate) use app::{Options, TestApp};
pub(crate) use client::{Answer, Client};
pub(crate) use clock::TestClock;
pub(crate) use databases::TestDatabase;
pub(crate) use following::Following;
pub(crate) use mail::Mail;
pub(crate) use random::Random;
pub(crate) use receiver::Receiver;

/// Pause between two checks of a condition that a test waits for.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Makes of each function one test on SQLite and one on PostgreSQL, each with a database of its own.
///
/// The argument is made by `From<TestDatabase>`-like constructors: a `TestApp`, or the `TestDatabase` itself.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($argument:ident: $type:ty) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn body($argument: $type) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let database = $crate::support::databases::sqlite().await;
                body(<$type as $crate::support::databases::OnDatabase>::on(&database).await).await;
                database.remove().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let Some(database) = $crate::support::databases::postgres().await else { return };
                body(<$type as $crate::support::databases::OnDatabase>::on(&database).await).await;
                database.remove().await;
            }
        }
    )*};
}
