//! Permanent removal of what has expired, in small batches.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, Iterable as _, JoinType, PrimaryKeyToColumn, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::entities::{
    api_token, audit_entry, comment, counter, delivery, email_token, event, idempotency_key, invitation, job,
    known_address, long_text, member, previous_secret, project, rate_limit, refresh_token, session, stream_ticket,
    task, user,
};
use super::relations::task_of_comment;
use super::repositories::SeaRepositories;
use super::{comments, mapping, stored_bytes};
use crate::contract::project::Role;
use crate::contract::webhook::delivery::DeliveryStatus;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{
    AnonymizedContent, CounterDelta, EventRepository as _, MaintenanceRepository, ProjectRepository as _, Prunable,
    StoreError,
};

/// Statement that deletes the oldest matching rows, by an age column.
fn delete_oldest<E: EntityTrait>(matching: Select<E>, age: E::Column, limit: u64) -> DeleteMany<E> {
    let key: Vec<_> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let oldest = matching.select_only().columns(key.iter().copied()).order_by_asc(age).limit(limit);
    E::delete_many().filter(Expr::tuple(key.into_iter().map(Expr::col)).in_subquery(oldest.into_query()))
}

impl<C: ConnectionTrait + Send + Sync> SeaRepositories<C> {
    /// Runs a deletion, and returns the number of deleted rows.
    async fn delete<E: EntityTrait>(&self, deletion: DeleteMany<E>) -> Result<u64, StoreError> {
        Ok(deletion.exec(&self.0).await?.rows_affected)
    }

    /// Deletes the oldest rows whose age column is before a time.
    async fn delete_before<A>(&self, age: A, before: i64, limit: u64) -> Result<u64, StoreError>
    where
        A: ColumnTrait<EntityName: EntityTrait<Column = A>>,
    {
        self.delete(delete_oldest(A::EntityName::find().filter(age.lt(before)), age, limit)).await
    }

    /// Purges at most `limit` of these tasks and their comments, comments first: a cascade would be unbounded.
    /// Returns the number of rows, and the bytes of their text.
    async fn purge_task_portion(&self, tasks: Select<task::Entity>, limit: u64) -> Result<(u64, i64), StoreError> {
        let sized: Vec<(Uuid, i64)> = tasks
            .select_only()
            .column(task::Column::Id)
            .expr_as(stored_bytes::of_task().cast_as("bigint"), "bytes")
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let ids: Vec<Uuid> = sized.iter().map(|(id, _)| *id).collect();
        let comments: Vec<(Uuid, i64)> = comment::Entity::find()
            .select_only()
            .column(comment::Column::Id)
            .expr_as(stored_bytes::of_comment().cast_as("bigint"), "bytes")
            .filter(comment::Column::TaskId.is_in(ids.iter().copied()))
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let bytes = |rows: &[(Uuid, i64)]| rows.iter().map(|(_, bytes)| bytes).sum();
        if comments.is_empty() {
            let purged = task::Entity::delete_many().filter(task::Column::Id.is_in(ids)).exec(&self.0).await?;
            return Ok((purged.rows_affected, bytes(&sized)));
        }
        let ids = comments.iter().map(|(id, _)| *id);
        let purged = comment::Entity::delete_many().filter(comment::Column::Id.is_in(ids)).exec(&self.0).await?;
        Ok((purged.rows_affected, bytes(&comments)))
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> MaintenanceRepository for SeaRepositories<C> {
    async fn prune(&self, what: Prunable, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let before = before.0;
        match what {
            Prunable::IdempotencyKeys => {
                let is_old = idempotency_key::Column::ClaimedAt.lt(before);
                let old = idempotency_key::Entity::find().filter(is_old.clone());
                // Checked again, because a request may be claiming the key again at this moment.
                self.delete(delete_oldest(old, idempotency_key::Column::ClaimedAt, limit).filter(is_old)).await
            }
            Prunable::RefreshTokens => self.delete_before(refresh_token::Column::ExpiresAt, before, limit).await,
            Prunable::EndedSessions => self.delete_before(session::Column::EndedAt, before, limit).await,
            Prunable::ExpiredSessions => self.delete_before(session::Column::ExpiresAt, before, limit).await,
            Prunable::EmailTokens => self.delete_before(email_token::Column::ExpiresAt, before, limit).await,
            Prunable::RevokedApiTokens => self.delete_before(api_token::Column::RevokedAt, before, limit).await,
            Prunable::ExpiredApiTokens => self.delete_before(api_token::Column::ExpiresAt, before, limit).await,
            Prunable::PreviousSecrets => self.delete_before(previous_secret::Column::ValidUntil, before, limit).await,
            Prunable::AuditEntries => self.delete_before(audit_entry::Column::CreatedAt, before, limit).await,
            Prunable::Events => self.prune_events(before, limit).await,
            Prunable::Counters => self.delete_before(counter::Column::EndsAt, before, limit).await,
            Prunable::RateLimits => {
                let is_full = rate_limit::Column::FullAt.lt(before.saturating_mul(1_000));
                let full = rate_limit::Entity::find().filter(is_full.clone());
                // Checked again, because a request may be charging the bucket at this moment.
                self.delete(delete_oldest(full, rate_limit::Column::FullAt, limit).filter(is_full)).await
            }
            Prunable::KnownAddresses => {
                let is_old = known_address::Column::LastLoginAt.lt(before);
                let old = known_address::Entity::find().filter(is_old.clone());
                // Checked again, because a login may be renewing the row at this moment.
                self.delete(delete_oldest(old, known_address::Column::LastLoginAt, limit).filter(is_old)).await
            }
            Prunable::StreamTickets => self.delete_before(stream_ticket::Column::ExpiresAt, before, limit).await,
            Prunable::LongTexts => {
                let is_old = long_text::Column::UsedAt.lt(before);
                let old = long_text::Entity::find().filter(is_old.clone());
                // Checked again, because a request may be using the text again at this moment.
                self.delete(delete_oldest(old, long_text::Column::UsedAt, limit).filter(is_old)).await
            }
            Prunable::Deliveries => {
                use delivery::{Column, Entity};
                let pending = mapping::delivery_status_str(DeliveryStatus::Pending);
                let old = Entity::find().filter(Column::CreatedAt.lt(before)).filter(Column::Status.ne(pending));
                self.delete(delete_oldest(old, Column::CreatedAt, limit)).await
            }
            Prunable::CompletedJobs => {
                use job::{Column, Entity};
                let old = Entity::find().filter(Column::FinishedAt.lt(before)).filter(Column::State.eq("done"));
                self.delete(delete_oldest(old, Column::FinishedAt, limit)).await
            }
        }
    }

    async fn purge_tasks(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use task::{Column, Entity};
        let oldest = Entity::find().select_only().column(Column::ProjectId).filter(Column::DeletedAt.lt(before.0));
        let oldest = oldest.order_by_asc(Column::DeletedAt).limit(1).into_tuple::<Uuid>().one(&self.0).await?;
        let Some(project) = oldest.map(ProjectId) else { return Ok(0) };
        // As every writer of a task does, and before the tasks are locked.
        self.lock_project(project).await?;
        let expired = Entity::find().filter(Column::ProjectId.eq(project.0)).filter(Column::DeletedAt.lt(before.0));
        let (purged, bytes) = self.purge_task_portion(expired, limit).await?;
        self.adjust_counters(project, CounterDelta { bytes: -bytes, ..CounterDelta::default() }, None).await?;
        Ok(purged)
    }

    async fn purge_project_tasks(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError> {
        let all = task::Entity::find().filter(task::Column::ProjectId.eq(project.0));
        Ok(self.purge_task_portion(all, limit).await?.0)
    }

    async fn purge_project_events(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError> {
        let all = event::Entity::find().filter(event::Column::ProjectId.eq(project.0));
        let texts = long_text::Entity::find().filter(long_text::Column::ProjectId.eq(project.0));
        let events = self.delete(delete_oldest(all, event::Column::Sequence, limit)).await?;
        Ok(events + self.delete(delete_oldest(texts, long_text::Column::UsedAt, limit)).await?)
    }

    async fn purge_audit_log(&self, user: UserId, limit: u64) -> Result<u64, StoreError> {
        use audit_entry::{Column, Entity};
        let own = Entity::find().filter(Column::UserId.eq(user.0));
        let mut changed = self.delete(delete_oldest(own, Column::CreatedAt, limit)).await?;
        // In the logs of others, the user becomes unknown.
        for column in [Column::ActorId, Column::TargetId] {
            let some = Entity::find().select_only().column(Column::Id).filter(column.eq(user.0)).limit(limit);
            let cleared = Entity::update_many()
                .col_expr(column, Expr::value(None::<Uuid>))
                .filter(Column::Id.in_subquery(some.into_query()));
            changed += cleared.exec(&self.0).await?.rows_affected;
        }
        Ok(changed)
    }

    async fn purge_project(&self, project: ProjectId) -> Result<(), StoreError> {
        project::Entity::delete_by_id(project.0).exec(&self.0).await?;
        Ok(())
    }

    async fn purge_user(&self, user: UserId) -> Result<(), StoreError> {
        let address = user::Entity::find_by_id(user.0).select_only().column(user::Column::Email).into_query();
        invitation::Entity::delete_many().filter(invitation::Column::Email.in_subquery(address)).exec(&self.0).await?;
        audit_entry::Entity::delete_many().filter(audit_entry::Column::UserId.eq(user.0)).exec(&self.0).await?;
        let acted = audit_entry::Entity::update_many()
            .col_expr(audit_entry::Column::ActorId, Expr::value(None::<Uuid>))
            .filter(audit_entry::Column::ActorId.eq(user.0));
        self.run_update(acted).await?;
        let named = audit_entry::Entity::update_many()
            .col_expr(audit_entry::Column::TargetId, Expr::value(None::<Uuid>))
            .filter(audit_entry::Column::TargetId.eq(user.0));
        self.run_update(named).await?;
        user::Entity::delete_by_id(user.0).exec(&self.0).await?;
        Ok(())
    }

    async fn list_expired_projects(&self, before: Timestamp, limit: u64) -> Result<Vec<ProjectId>, StoreError> {
        use project::{Column, Entity};
        let old = Entity::find().filter(Column::DeletedAt.lt(before.0)).order_by_asc(Column::DeletedAt).limit(limit);
        self.fetch_ids(old, Column::Id, ProjectId).await
    }

    async fn list_expired_users(&self, before: Timestamp, limit: u64) -> Result<Vec<UserId>, StoreError> {
        use user::{Column, Entity};
        let old = Entity::find().filter(Column::DeletedAt.lt(before.0)).order_by_asc(Column::DeletedAt).limit(limit);
        self.fetch_ids(old, Column::Id, UserId).await
    }

    async fn list_owned_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError> {
        let owned = project::Entity::find().filter(project::Column::OwnerId.eq(user.0));
        self.fetch_ids(owned, project::Column::Id, ProjectId).await
    }

    async fn list_foreign_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError> {
        let member = member::Entity::find()
            .filter(member::Column::UserId.eq(user.0))
            .filter(member::Column::Role.ne(mapping::role_str(Role::Owner)));
        let named = |column: task::Column| task::Entity::find().distinct().filter(column.eq(user.0));
        let commented = comment::Entity::find()
            .join(JoinType::InnerJoin, task_of_comment())
            .distinct()
            .filter(comment::Column::AuthorId.eq(user.0));
        let mut ids = self.fetch_ids(member, member::Column::ProjectId, ProjectId).await?;
        ids.extend(self.fetch_ids(named(task::Column::AssigneeId), task::Column::ProjectId, ProjectId).await?);
        ids.extend(self.fetch_ids(named(task::Column::CreatedBy), task::Column::ProjectId, ProjectId).await?);
        ids.extend(self.fetch_ids(commented, task::Column::ProjectId, ProjectId).await?);
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    async fn anonymize_member(
        &self,
        user: UserId,
        project: ProjectId,
        now: Timestamp,
        limit: u64,
    ) -> Result<AnonymizedContent, StoreError> {
        self.lock_project(project).await?;
        let named = |column: task::Column| column.eq(user.0);
        let without = |column: task::Column| -> SimpleExpr {
            Expr::case(named(column), Expr::value(None::<Uuid>)).finally(Expr::col(column)).into()
        };
        let tasks_before = task::Entity::find()
            .filter(task::Column::ProjectId.eq(project.0))
            .filter(named(task::Column::AssigneeId).or(named(task::Column::CreatedBy)))
            .limit(limit)
            .all(&self.0)
            .await?;
        let tasks_after = task::Entity::update_many()
            .col_expr(task::Column::AssigneeId, without(task::Column::AssigneeId))
            .col_expr(task::Column::CreatedBy, without(task::Column::CreatedBy))
            .col_expr(task::Column::Version, Expr::col(task::Column::Version).add(1))
            .col_expr(task::Column::UpdatedAt, Expr::value(now.0))
            .filter(task::Column::Id.is_in(tasks_before.iter().map(|task| task.id)))
            .exec_with_returning(&self.0)
            .await?;
        let comments_before = comment::Entity::find()
            .join(JoinType::InnerJoin, task_of_comment())
            .filter(comment::Column::AuthorId.eq(user.0))
            .filter(task::Column::ProjectId.eq(project.0))
            .limit(limit)
            .all(&self.0)
            .await?;
        let comments_after = comment::Entity::update_many()
            .col_expr(comment::Column::AuthorId, Expr::value(None::<Uuid>))
            .col_expr(comment::Column::Version, Expr::col(comment::Column::Version).add(1))
            .col_expr(comment::Column::UpdatedAt, Expr::value(now.0))
            .filter(comment::Column::Id.is_in(comments_before.iter().map(|comment| comment.id)))
            .exec_with_returning(&self.0)
            .await?;
        let has_more = [tasks_before.len(), comments_before.len()].iter().any(|count| *count as u64 == limit);
        if !has_more {
            member::Entity::delete_by_id((project.0, user.0)).exec(&self.0).await?;
        }
        let tasks = pairs(tasks_before, tasks_after, |task| task.id)
            .map(|(before, after)| Ok((mapping::task(before)?, mapping::task(after)?)))
            .collect::<Result<_, StoreError>>()?;
        let comments = pairs(comments_before, comments_after, |comment| comment.id)
            .map(|(before, after)| (comments::comment(before), comments::comment(after)))
            .collect();
        Ok(AnonymizedContent { tasks, comments, has_more })
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
pub(super) fn pairs<M>(mut before: Vec<M>, mut after: Vec<M>, id: impl Fn(&M) -> Uuid) -> impl Iterator<Item = (M, M)> {
    before.sort_unstable_by_key(&id);
    after.sort_unstable_by_key(&id);
    before.into_iter().zip(after)
}
