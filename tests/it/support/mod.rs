//! Test infrastructure: a database for each test, the API in process, clients that check each response against the
//! published document, and an adjustable clock.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod databases;
pub(crate) mod document;
pub(crate) mod fault_store;
pub(crate) mod mail;
pub(crate) mod random;
pub(crate) mod receiver;
pub(crate) mod sse_client;
pub(crate) mod tls;

use std::time::Duration;

pub(crate) use app::{Options, TestApp};
pub(crate) use client::{Answer, Client};
pub(crate) use clock::TestClock;
pub(crate) use databases::TestDatabase;
pub(crate) use mail::Mail;
pub(crate) use random::Random;
pub(crate) use receiver::Receiver;
pub(crate) use sse_client::SseClient;

/// Interval between checks of an awaited condition.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Turns each function into a test on SQLite and one on PostgreSQL, each with its own database.
///
/// The argument is created from a `TestDatabase`: a `TestApp` or the `TestDatabase` itself.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($argument:ident: $type:ty) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn body($argument: $type) $body

            $crate::on_sqlite! { @test $type }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let Some(database) = $crate::support::databases::postgres().await else { return };
                body(<$type as $crate::support::databases::OnDatabase>::on(&database).await).await;
                database.remove().await;
            }
        }
    )*};
}

/// Defines one test per function, on SQLite: for subjects that do not depend on the database.
#[macro_export]
macro_rules! on_sqlite {
    (@test $type:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_sqlite() {
            let database = $crate::support::databases::sqlite().await;
            body(<$type as $crate::support::databases::OnDatabase>::on(&database).await).await;
            database.remove().await;
        }
    };
    ($($(#[$meta:meta])* async fn $name:ident($argument:ident: $type:ty) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn body($argument: $type) $body

            $crate::on_sqlite! { @test $type }
        }
    )*};
}
