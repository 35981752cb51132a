//! Migrations that a newer version has applied.

use sea_orm_migration::prelude::*;
use sea_orm_migration::{MigratorTrait, MigratorTraitSelf};

use crate::Migrator;

/// All migrations of this version, and those of a newer one by their names, which SeaORM would refuse as missing.
#[derive(Debug)]
pub struct TolerantMigrator {
    /// Names of the migrations that this version does not know.
    pub newer: Vec<String>,
}

impl MigratorTraitSelf for TolerantMigrator {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        let newer = self.newer.iter().map(|name| Box::new(Newer(name.clone())) as Box<dyn MigrationTrait>);
        <Migrator as MigratorTrait>::migrations().into_iter().chain(newer).collect()
    }
}

/// An applied migration of a newer version.
struct Newer(String);

impl MigrationName for Newer {
    fn name(&self) -> &str {
        &self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Newer {
    async fn up(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(format!("{} is unknown to this version", self.0)))
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(format!("{} is unknown to this version; roll it back with the newer one", self.0)))
    }
}
