//! The events of a project by their types: what is asked for by a rare type is found in the index alone, without reading
//! all that happened in the project.

use sea_orm_migration::prelude::*;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Events {
    Table,
    Sequence,
    Type,
    ProjectId,
}

const INDEX: &str = "events_by_project";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, by_project().col(Events::Type)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, &by_project()).await
    }
}

fn by_project() -> IndexCreateStatement {
    Index::create().name(INDEX).table(Events::Table).col(Events::ProjectId).col(Events::Sequence).to_owned()
}

async fn replace(manager: &SchemaManager<'_>, index: &IndexCreateStatement) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(INDEX).table(Events::Table).to_owned()).await?;
    manager.create_index(index.to_owned()).await
}
