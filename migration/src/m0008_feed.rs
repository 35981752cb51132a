//! The feed: one event for every change, in one order.

use sea_orm_migration::prelude::*;

use crate::columns::{count, id, optional_id, optional_text, text, time};

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Feed {
    Table,
    Id,
    Sequence,
    PrunedThrough,
}

#[derive(DeriveIden)]
enum Events {
    Table,
    Sequence,
    Id,
    Type,
    ProjectId,
    ActorId,
    OccurredAt,
    Data,
    Previous,
    RequestId,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_feed(manager).await?;
        create_events(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Events::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Feed::Table).to_owned()).await
    }
}

/// One row: whoever appends to the feed locks it until the end of the transaction.
async fn create_feed(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Feed::Table)
                .col(count(Feed::Id).primary_key().check(Expr::col(Feed::Id).eq(1)))
                // The greatest number that was given to an event.
                .col(count(Feed::Sequence))
                // The greatest number of an event that was removed because of its age.
                .col(count(Feed::PrunedThrough))
                .to_owned(),
        )
        .await?;
    let row = Query::insert()
        .into_table(Feed::Table)
        .columns([Feed::Id, Feed::Sequence, Feed::PrunedThrough])
        .values_panic([1.into(), 0.into(), 0.into()])
        .to_owned();
    manager.execute(row).await
}

async fn create_events(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Events::Table)
                .col(count(Events::Sequence).primary_key())
                .col(id(Events::Id).unique_key())
                .col(text(Events::Type))
                // Bound neither to the project nor to the account by a foreign key: the check would lock the project
                // for whoever appends, who must not wait for anybody.
                .col(id(Events::ProjectId))
                .col(optional_id(Events::ActorId))
                .col(time(Events::OccurredAt))
                .col(text(Events::Data))
                .col(optional_text(Events::Previous))
                .col(optional_text(Events::RequestId))
                .to_owned(),
        )
        .await?;
    let index = |name: &str| Index::create().name(name).table(Events::Table).to_owned();
    for index in [
        index("events_by_project").col(Events::ProjectId).col(Events::Sequence),
        index("events_by_time").col(Events::OccurredAt),
    ] {
        manager.create_index(index.to_owned()).await?;
    }
    Ok(())
}
