//! Permanent removal of what has expired, in small batches.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::entities::{
    api_token, comment, delivery, email_token, event, idempotency_key, invitation, job, member, previous_secret,
    project, refresh_token, session, task, user,
};
use super::relations::task_of_comment;
use super::repositories::SeaRepositories;
use super::{comments, mapping};
use crate::contract::project::Role;
use crate::contract::webhook::delivery::DeliveryStatus;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{AnonymizedContent, EventRepository as _, MaintenanceRepository, Prunable, StoreError};

/// Query for the ids of the oldest rows.
fn oldest_ids<E: EntityTrait, K: ColumnTrait>(query: Select<E>, id: K, age: K, limit: u64) -> SelectStatement {
    query.select_only().column(id).order_by_asc(age).limit(limit).into_query()
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Deletes the rows with the ids that a query selects, and returns their number.
    async fn delete_by_subquery<E: EntityTrait>(&self, id: E::Column, ids: SelectStatement) -> Result<u64, StoreError> {
        Ok(E::delete_many().filter(id.in_subquery(ids)).exec(&self.0).await?.rows_affected)
    }

    /// Deletes the oldest matching rows, by an age column.
    async fn delete_oldest<E: EntityTrait>(
        &self,
        matching: Select<E>,
        (id, age): (E::Column, E::Column),
        limit: u64,
    ) -> Result<u64, StoreError> {
        self.delete_by_subquery::<E>(id, oldest_ids(matching, id, age, limit)).await
    }

    /// Deletes the oldest rows whose age column is before a time.
    async fn delete_before<E: EntityTrait>(
        &self,
        (id, age): (E::Column, E::Column),
        before: i64,
        limit: u64,
    ) -> Result<u64, StoreError> {
        self.delete_oldest(E::find().filter(age.lt(before)), (id, age), limit).await
    }

    async fn prune_idempotency_keys(&self, before: i64, limit: u64) -> Result<u64, StoreError> {
        use idempotency_key::{Column, Entity};
        let old = Entity::find()
            .select_only()
            .columns([Column::UserId, Column::Key])
            .filter(Column::ClaimedAt.lt(before))
            .order_by_asc(Column::ClaimedAt)
            .limit(limit);
        let both = Expr::tuple([Expr::col(Column::UserId), Expr::col(Column::Key)]);
        let pruned = Entity::delete_many()
            .filter(both.in_subquery(old.into_query()))
            // A request may be claiming the key again at this moment.
            .filter(Column::ClaimedAt.lt(before))
            .exec(&self.0)
            .await?;
        Ok(pruned.rows_affected)
    }

    async fn fetch_ids(&self, query: Select<impl EntityTrait>) -> Result<Vec<Uuid>, StoreError> {
        Ok(query.into_tuple().all(&self.0).await?)
    }

    /// Returns the ids of rows that were deleted before a time, the oldest first.
    async fn deleted_before<E: EntityTrait>(
        &self,
        (id, deleted_at): (E::Column, E::Column),
        before: Timestamp,
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let old = E::find().select_only().column(id).filter(deleted_at.lt(before.0));
        self.fetch_ids(old.order_by_asc(deleted_at).limit(limit)).await
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> MaintenanceRepository for SeaRepositories<C> {
    async fn prune(&self, what: Prunable, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let before = before.0;
        match what {
            Prunable::IdempotencyKeys => self.prune_idempotency_keys(before, limit).await,
            Prunable::RefreshTokens => {
                use refresh_token::{Column, Entity};
                self.delete_before::<Entity>((Column::Hash, Column::ExpiresAt), before, limit).await
            }
            Prunable::EndedSessions => {
                use session::{Column, Entity};
                self.delete_before::<Entity>((Column::Id, Column::EndedAt), before, limit).await
            }
            Prunable::ExpiredSessions => {
                use session::{Column, Entity};
                self.delete_before::<Entity>((Column::Id, Column::ExpiresAt), before, limit).await
            }
            Prunable::EmailTokens => {
                use email_token::{Column, Entity};
                self.delete_before::<Entity>((Column::Hash, Column::ExpiresAt), before, limit).await
            }
            Prunable::RevokedApiTokens => {
                use api_token::{Column, Entity};
                self.delete_before::<Entity>((Column::Id, Column::RevokedAt), before, limit).await
            }
            Prunable::ExpiredApiTokens => {
                use api_token::{Column, Entity};
                self.delete_before::<Entity>((Column::Id, Column::ExpiresAt), before, limit).await
            }
            Prunable::PreviousSecrets => {
                use previous_secret::{Column, Entity};
                self.delete_before::<Entity>((Column::Id, Column::ValidUntil), before, limit).await
            }
            Prunable::Events => self.prune_events(before, limit).await,
            Prunable::Deliveries => {
                use delivery::{Column, Entity};
                let pending = mapping::delivery_status_str(DeliveryStatus::Pending);
                let old = Entity::find().filter(Column::CreatedAt.lt(before)).filter(Column::Status.ne(pending));
                self.delete_oldest(old, (Column::Id, Column::CreatedAt), limit).await
            }
            Prunable::CompletedJobs => {
                use job::{Column, Entity};
                let old = Entity::find().filter(Column::FinishedAt.lt(before)).filter(Column::State.eq("done"));
                self.delete_oldest(old, (Column::Id, Column::FinishedAt), limit).await
            }
        }
    }

    async fn purge_tasks(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use task::{Column, Entity};
        let old = Entity::find().filter(Column::DeletedAt.lt(before.0));
        let mut ids = oldest_ids(old, Column::Id, Column::DeletedAt, limit);
        // Locked tasks are left to the next run.
        ids.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        self.delete_by_subquery::<Entity>(Column::Id, ids).await
    }

    async fn purge_project_tasks(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError> {
        use task::{Column, Entity};
        let all = Entity::find().filter(Column::ProjectId.eq(project.0));
        self.delete_oldest(all, (Column::Id, Column::Position), limit).await
    }

    async fn purge_project_events(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError> {
        use event::{Column, Entity};
        let all = Entity::find().filter(Column::ProjectId.eq(project.0));
        self.delete_oldest(all, (Column::Sequence, Column::Sequence), limit).await
    }

    async fn purge_project(&self, project: ProjectId) -> Result<(), StoreError> {
        project::Entity::delete_by_id(project.0).exec(&self.0).await?;
        Ok(())
    }

    async fn purge_user(&self, user: UserId) -> Result<(), StoreError> {
        let address = user::Entity::find_by_id(user.0).select_only().column(user::Column::Email).into_query();
        invitation::Entity::delete_many().filter(invitation::Column::Email.in_subquery(address)).exec(&self.0).await?;
        user::Entity::delete_by_id(user.0).exec(&self.0).await?;
        Ok(())
    }

    async fn list_expired_projects(&self, before: Timestamp, limit: u64) -> Result<Vec<ProjectId>, StoreError> {
        use project::{Column, Entity};
        let ids = self.deleted_before::<Entity>((Column::Id, Column::DeletedAt), before, limit).await?;
        Ok(ids.into_iter().map(ProjectId).collect())
    }

    async fn list_expired_users(&self, before: Timestamp, limit: u64) -> Result<Vec<UserId>, StoreError> {
        use user::{Column, Entity};
        let ids = self.deleted_before::<Entity>((Column::Id, Column::DeletedAt), before, limit).await?;
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

    async fn anonymize_events(&self, user: UserId, after: i64, limit: i64) -> Result<Option<i64>, StoreError> {
        let end = self.bounds().await?.end;
        if after >= end {
            return Ok(None);
        }
        let last = Ord::min(end, after.saturating_add(limit));
        let email: Option<String> = user::Entity::find_by_id(user.0)
            .select_only()
            .column(user::Column::Email)
            .into_tuple()
            .one(&self.0)
            .await?;
        self.anonymize_event_range(user, email.as_deref(), (after, last)).await?;
        Ok(Some(last))
    }
}

/// Pairs rows before and after a change, in the order of their ids.
fn pairs<M>(mut before: Vec<M>, mut after: Vec<M>, id: impl Fn(&M) -> Uuid) -> impl Iterator<Item = (M, M)> {
    before.sort_unstable_by_key(&id);
    after.sort_unstable_by_key(&id);
    before.into_iter().zip(after)
}
