//! Removing for good, in small portions.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::comments::{self, task_of_comment};
use super::entities::{
    api_token, comment, delivery, email_token, event, idempotency_key, invitation, job, member, previous_secret,
    project, refresh_token, session, task, user,
};
use super::{SeaRepositories, mapping};
use crate::contract::project::Role;
use crate::contract::webhook::delivery::DeliveryStatus;
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};
use crate::repositories::{
    AnonymizedContent, EventRepository as _, MaintenanceRepository, Prunable, StalledWebhooks, StoreError,
};

/// The ids of the first few rows, the oldest first.
fn oldest_ids<E: EntityTrait, C: ColumnTrait>(query: Select<E>, id: C, age: C, limit: u64) -> SelectStatement {
    query.select_only().column(id).order_by_asc(age).limit(limit).into_query()
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    async fn delete_by_subquery<E: EntityTrait, K: ColumnTrait>(
        &self,
        id: K,
        few: SelectStatement,
    ) -> Result<u64, StoreError> {
        Ok(E::delete_many().filter(id.in_subquery(few)).exec(&self.0).await?.rows_affected)
    }

    /// Deletes a few rows whose time came before another one, the oldest first.
    async fn delete_before<E: EntityTrait>(
        &self,
        id: E::Column,
        time: E::Column,
        before: i64,
        limit: u64,
    ) -> Result<u64, StoreError> {
        self.delete_by_subquery::<E, _>(id, oldest_ids(E::find().filter(time.lt(before)), id, time, limit)).await
    }

    async fn fetch_ids(&self, query: Select<impl EntityTrait>) -> Result<Vec<Uuid>, StoreError> {
        Ok(query.into_tuple().all(&self.0).await?)
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> MaintenanceRepository for SeaRepositories<C> {
    async fn prune(&self, what: Prunable, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let before = before.0;
        match what {
            Prunable::IdempotencyKeys => {
                use idempotency_key::{Column, Entity};
                let old = Entity::find()
                    .select_only()
                    .columns([Column::UserId, Column::Key])
                    .filter(Column::ClaimedAt.lt(before))
                    .order_by_asc(Column::ClaimedAt)
                    .limit(limit);
                let both = Expr::tuple([Expr::col(Column::UserId), Expr::col(Column::Key)]);
                let discarded = Entity::delete_many()
                    .filter(both.in_subquery(old.into_query()))
                    // Somebody may claim it anew at this moment.
                    .filter(Column::ClaimedAt.lt(before))
                    .exec(&self.0)
                    .await?;
                Ok(discarded.rows_affected)
            }
            Prunable::RefreshTokens => {
                use refresh_token::{Column, Entity};
                self.delete_before::<Entity>(Column::Hash, Column::ExpiresAt, before, limit).await
            }
            Prunable::EndedSessions => {
                use session::{Column, Entity};
                self.delete_before::<Entity>(Column::Id, Column::EndedAt, before, limit).await
            }
            Prunable::ExpiredSessions => {
                use session::{Column, Entity};
                self.delete_before::<Entity>(Column::Id, Column::ExpiresAt, before, limit).await
            }
            Prunable::MailTokens => {
                use email_token::{Column, Entity};
                self.delete_before::<Entity>(Column::Hash, Column::ExpiresAt, before, limit).await
            }
            Prunable::RevokedApiTokens => {
                use api_token::{Column, Entity};
                self.delete_before::<Entity>(Column::Id, Column::RevokedAt, before, limit).await
            }
            Prunable::ExpiredApiTokens => {
                use api_token::{Column, Entity};
                self.delete_before::<Entity>(Column::Id, Column::ExpiresAt, before, limit).await
            }
            Prunable::FormerSecrets => {
                use previous_secret::{Column, Entity};
                self.delete_before::<Entity>(Column::Id, Column::ValidUntil, before, limit).await
            }
            Prunable::Events => self.prune_events(before, limit).await,
            Prunable::Deliveries => {
                use delivery::{Column, Entity};
                let pending = mapping::delivery_status_str(DeliveryStatus::Pending);
                let old = Entity::find().filter(Column::CreatedAt.lt(before)).filter(Column::Status.ne(pending));
                self.delete_by_subquery::<Entity, _>(Column::Id, oldest_ids(old, Column::Id, Column::CreatedAt, limit))
                    .await
            }
            Prunable::DoneJobs => {
                use job::{Column, Entity};
                let old = Entity::find().filter(Column::FinishedAt.lt(before)).filter(Column::State.eq("done"));
                self.delete_by_subquery::<Entity, _>(Column::Id, oldest_ids(old, Column::Id, Column::FinishedAt, limit))
                    .await
            }
        }
    }

    async fn purge_tasks(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use task::{Column, Entity};
        let mut few =
            oldest_ids(Entity::find().filter(Column::DeletedAt.lt(before.0)), Column::Id, Column::DeletedAt, limit);
        // Somebody may be changing them, all tasks of who leaves a project for one: they go the next time.
        few.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        self.delete_by_subquery::<Entity, _>(Column::Id, few).await
    }

    async fn list_expired_projects(&self, before: Timestamp, limit: u64) -> Result<Vec<ProjectId>, StoreError> {
        use project::{Column, Entity};
        let old = Entity::find().select_only().column(Column::Id).filter(Column::DeletedAt.lt(before.0));
        let ids = self.fetch_ids(old.order_by_asc(Column::DeletedAt).limit(limit)).await?;
        Ok(ids.into_iter().map(ProjectId).collect())
    }

    async fn purge_project_tasks(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError> {
        use task::{Column, Entity};
        let all = Entity::find().filter(Column::ProjectId.eq(project.0));
        self.delete_by_subquery::<Entity, _>(Column::Id, oldest_ids(all, Column::Id, Column::Position, limit)).await
    }

    async fn list_user_webhooks(&self, user: UserId) -> Result<Vec<WebhookId>, StoreError> {
        self.webhooks_of(user).await
    }

    async fn list_project_webhooks(&self, project: ProjectId) -> Result<Vec<WebhookId>, StoreError> {
        self.webhooks_for(project).await
    }

    async fn purge_webhook_deliveries(&self, webhook: WebhookId, limit: u64) -> Result<u64, StoreError> {
        self.delete_deliveries_of(webhook, limit).await
    }

    async fn purge_webhook(&self, id: WebhookId) -> Result<(), StoreError> {
        self.delete_removed_webhook(id).await
    }

    async fn list_stalled_webhooks(
        &self,
        beyond: Option<WebhookId>,
        before: Timestamp,
        limit: u64,
    ) -> Result<StalledWebhooks, StoreError> {
        self.stranded_webhooks(beyond, before, limit).await
    }

    async fn purge_project(&self, project: ProjectId) -> Result<(), StoreError> {
        project::Entity::delete_by_id(project.0).exec(&self.0).await?;
        Ok(())
    }

    async fn list_expired_users(&self, before: Timestamp, limit: u64) -> Result<Vec<UserId>, StoreError> {
        use user::{Column, Entity};
        let old = Entity::find().select_only().column(Column::Id).filter(Column::DeletedAt.lt(before.0));
        let ids = self.fetch_ids(old.order_by_asc(Column::DeletedAt).limit(limit)).await?;
        Ok(ids.into_iter().map(UserId).collect())
    }

    async fn list_owned_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError> {
        use project::{Column, Entity};
        let owned = Entity::find().select_only().column(Column::Id).filter(Column::OwnerId.eq(user.0));
        Ok(self.fetch_ids(owned).await?.into_iter().map(ProjectId).collect())
    }

    async fn list_foreign_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError> {
        let member = member::Entity::find()
            .select_only()
            .column(member::Column::ProjectId)
            .filter(member::Column::UserId.eq(user.0))
            .filter(member::Column::Role.ne(mapping::role_str(Role::Owner)));
        let named = |column: task::Column| {
            task::Entity::find().select_only().column(task::Column::ProjectId).distinct().filter(column.eq(user.0))
        };
        let mut ids = self.fetch_ids(member).await?;
        ids.extend(self.fetch_ids(named(task::Column::AssigneeId)).await?);
        ids.extend(self.fetch_ids(named(task::Column::CreatedBy)).await?);
        let commented = comment::Entity::find()
            .join(JoinType::InnerJoin, task_of_comment())
            .select_only()
            .column(task::Column::ProjectId)
            .distinct()
            .filter(comment::Column::AuthorId.eq(user.0));
        ids.extend(self.fetch_ids(commented).await?);
        ids.sort_unstable();
        ids.dedup();
        Ok(ids.into_iter().map(ProjectId).collect())
    }

    async fn anonymize_member(
        &self,
        user: UserId,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<AnonymizedContent, StoreError> {
        self.lock_project(project).await?;
        let named = |column: task::Column| column.eq(user.0);
        let without = |column: task::Column| -> SimpleExpr {
            Expr::case(named(column), Expr::value(None::<Uuid>)).finally(Expr::col(column)).into()
        };
        let affected = task::Column::ProjectId
            .eq(project.0)
            .and(named(task::Column::AssigneeId).or(named(task::Column::CreatedBy)));
        let tasks_before = task::Entity::find().filter(affected.clone()).all(&self.0).await?;
        let tasks_after = task::Entity::update_many()
            .col_expr(task::Column::AssigneeId, without(task::Column::AssigneeId))
            .col_expr(task::Column::CreatedBy, without(task::Column::CreatedBy))
            .col_expr(task::Column::Version, Expr::col(task::Column::Version).add(1))
            .col_expr(task::Column::UpdatedAt, Expr::value(now.0))
            .filter(affected)
            .exec_with_returning(&self.0)
            .await?;
        let tasks = task::Entity::find()
            .select_only()
            .column(task::Column::Id)
            .filter(task::Column::ProjectId.eq(project.0))
            .into_query();
        let affected = comment::Column::AuthorId.eq(user.0).and(comment::Column::TaskId.in_subquery(tasks));
        let comments_before = comment::Entity::find().filter(affected.clone()).all(&self.0).await?;
        let comments_after = comment::Entity::update_many()
            .col_expr(comment::Column::AuthorId, Expr::value(None::<Uuid>))
            .col_expr(comment::Column::Version, Expr::col(comment::Column::Version).add(1))
            .col_expr(comment::Column::UpdatedAt, Expr::value(now.0))
            .filter(affected)
            .exec_with_returning(&self.0)
            .await?;
        member::Entity::delete_by_id((project.0, user.0)).exec(&self.0).await?;
        let tasks = pairs(tasks_before, tasks_after, |task| task.id)
            .map(|(before, after)| Ok((mapping::task(before)?, mapping::task(after)?)))
            .collect::<Result<_, StoreError>>()?;
        let comments = pairs(comments_before, comments_after, |comment| comment.id)
            .map(|(before, after)| (comments::comment(before), comments::comment(after)))
            .collect();
        Ok(AnonymizedContent { tasks, comments })
    }

    async fn purge_project_events(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError> {
        use event::{Column, Entity};
        let of_project = Entity::find().filter(Column::ProjectId.eq(project.0));
        self.delete_by_subquery::<Entity, _>(
            Column::Sequence,
            oldest_ids(of_project, Column::Sequence, Column::Sequence, limit),
        )
        .await
    }

    async fn anonymize_events(&self, user: UserId, beyond: i64, limit: i64) -> Result<Option<i64>, StoreError> {
        let end = self.bounds().await?.end;
        if beyond >= end {
            return Ok(None);
        }
        let last = Ord::min(end, beyond.saturating_add(limit));
        let email: Option<String> = user::Entity::find_by_id(user.0)
            .select_only()
            .column(user::Column::Email)
            .into_tuple()
            .one(&self.0)
            .await?;
        self.anonymize_event_range(user, email.as_deref(), (beyond, last)).await?;
        Ok(Some(last))
    }

    async fn purge_user(&self, user: UserId) -> Result<(), StoreError> {
        let address = user::Entity::find_by_id(user.0).select_only().column(user::Column::Email).into_query();
        invitation::Entity::delete_many().filter(invitation::Column::Email.in_subquery(address)).exec(&self.0).await?;
        user::Entity::delete_by_id(user.0).exec(&self.0).await?;
        Ok(())
    }
}

/// Rows as they were and as they are, in the order of their ids.
fn pairs<M>(mut before: Vec<M>, mut after: Vec<M>, id: impl Fn(&M) -> Uuid) -> impl Iterator<Item = (M, M)> {
    before.sort_unstable_by_key(&id);
    after.sort_unstable_by_key(&id);
    before.into_iter().zip(after)
}
