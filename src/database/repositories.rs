//! The type that implements every repository.

use sea_orm::{ConnectionTrait, DbBackend};

/// All repositories over a pool or a transaction.
pub(super) struct SeaRepositories<C>(pub(super) C);

impl<C: ConnectionTrait> SeaRepositories<C> {
    pub(super) fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }
}
