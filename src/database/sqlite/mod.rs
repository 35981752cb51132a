//! SQLite in the thread of the request.
//!
//! The driver of SeaORM hands each statement to a thread of its own, and each row of the result back, which costs more
//! than most statements. Here a statement runs where it is called. A read that takes longer than about a millisecond is
//! interrupted, and runs again on a thread for blocking work. See `docs/decisions/0022-sqlite-in-process.md`.

mod connection;
mod errors;
mod reader;
mod rows;
mod writer;

pub(super) use self::connection::{Access, connect, open};
pub(super) use self::reader::{Reader, ReaderOptions};
pub(super) use self::rows::FromRow;
pub(super) use self::writer::{Unit, Writer, WriterOptions};

/// Statements that a connection keeps prepared.
const PREPARED_STATEMENTS: usize = 128;
