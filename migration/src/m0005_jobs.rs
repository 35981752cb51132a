//! The queue of jobs, and what they compute: how much of a project is done.

use sea_orm_migration::prelude::*;

use crate::columns::{count, flag, id, optional_id, optional_key, optional_text, optional_time, text, time};
use crate::m0001_users_and_sessions::Users;
use crate::m0002_projects_and_members::Projects;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
pub(crate) enum Jobs {
    Table,
    Id,
    Kind,
    IsSlow,
    Payload,
    UserId,
    State,
    RunAt,
    Attempts,
    LeaseToken,
    WaitingKey,
    OnceKey,
    LastError,
    CreatedAt,
    FinishedAt,
}

#[derive(DeriveIden)]
enum Completion {
    CompletionPercentage,
}

/// The queue.
pub(crate) fn table(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let is_finished = Expr::col(Jobs::State).is_in(["done", "dead"]);
    let is_running = Expr::col(Jobs::State).eq("running");
    Table::create()
        .table(Jobs::Table)
        .col(id(Jobs::Id).primary_key())
        .col(text(Jobs::Kind))
        // Whether it waits for somebody outside; such jobs are looked for by themselves.
        .col(flag(Jobs::IsSlow))
        .col(text(Jobs::Payload))
        // Whose job it is: it goes with the account.
        .col(optional_id(Jobs::UserId))
        .col(text(Jobs::State).check(Expr::col(Jobs::State).is_in(["waiting", "running", "done", "dead"])))
        // When it may be taken: of a running job, when its lease ends.
        .col(time(Jobs::RunAt))
        .col(count(Jobs::Attempts).default(0))
        .col(optional_id(Jobs::LeaseToken))
        // Unique among the jobs that wait, and among all that are kept.
        .col(optional_key(manager, Jobs::WaitingKey).unique_key())
        .col(optional_key(manager, Jobs::OnceKey).unique_key())
        .col(optional_text(Jobs::LastError))
        .col(time(Jobs::CreatedAt))
        .col(optional_time(Jobs::FinishedAt))
        .check(is_running.eq(Expr::col(Jobs::LeaseToken).is_not_null()))
        .check(is_finished.eq(Expr::col(Jobs::FinishedAt).is_not_null()))
        .foreign_key(
            ForeignKey::create()
                .name("jobs_user")
                .from(Jobs::Table, Jobs::UserId)
                .to(Users::Table, Users::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// What is looked for: jobs that are due, those that are finished, and those of a user.
pub(crate) fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &str| Index::create().name(name).table(Jobs::Table).to_owned();
    [
        index("jobs_due")
            .col(Jobs::IsSlow)
            .col(Jobs::RunAt)
            .col(Jobs::Id)
            .and_where(Expr::col(Jobs::FinishedAt).is_null())
            .to_owned(),
        index("jobs_finished").col(Jobs::FinishedAt).and_where(Expr::col(Jobs::FinishedAt).is_not_null()).to_owned(),
        index("jobs_by_user").col(Jobs::UserId).and_where(Expr::col(Jobs::UserId).is_not_null()).to_owned(),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(table(manager)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager
            .alter_table(
                Table::alter()
                    .table(Projects::Table)
                    .add_column(count(Completion::CompletionPercentage).default(0))
                    .to_owned(),
            )
            .await?;
        let share = Expr::col(Projects::TaskDone).mul(100).div(Expr::col(Projects::TaskTotal));
        let fill = Query::update()
            .table(Projects::Table)
            .value(Completion::CompletionPercentage, share)
            .and_where(Expr::col(Projects::TaskTotal).gt(0))
            .to_owned();
        manager.execute(fill).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(Table::alter().table(Projects::Table).drop_column(Completion::CompletionPercentage).to_owned())
            .await?;
        manager.drop_table(Table::drop().table(Jobs::Table).to_owned()).await
    }
}
