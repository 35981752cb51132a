//! Statements whose text is built only once.
//!
//! Building it costs as much as the rest of a short read in this process.

use std::sync::OnceLock;

use sea_orm::{DbBackend, Statement, Value};

/// The text of a statement, on each engine.
pub(super) struct Prepared {
    postgres: OnceLock<String>,
    sqlite: OnceLock<String>,
}

impl Prepared {
    pub(super) const fn new() -> Self {
        Self { postgres: OnceLock::new(), sqlite: OnceLock::new() }
    }

    /// Returns the statement with values, in the order of its parameters. `build` builds it the first time.
    pub(super) fn bind(
        &self,
        backend: DbBackend,
        build: impl FnOnce() -> Statement,
        values: impl IntoIterator<Item = Value>,
    ) -> Statement {
        let text = if backend == DbBackend::Postgres { &self.postgres } else { &self.sqlite };
        Statement::from_sql_and_values(backend, text.get_or_init(|| build().sql), values)
    }
}
