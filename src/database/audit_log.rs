//! The audit log.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait as _, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait as _,
};

use super::entities::audit_entry::{ActiveModel, Column, Entity, Model};
use super::mapping;
use super::repositories::SeaRepositories;
use crate::contract::account::audit_entry::{AuditEntry, AuditEntrySort, AuditEntryType};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::strings::{ClientAddress, UserAgent};
use crate::contract::{ApiTokenId, AuditEntryId, AuditTargetId, ProjectId, SessionId, Timestamp, UserId};
use crate::repositories::{AuditFilter, AuditLogRepository, AuditRecord, StoreError};

fn entry(row: Model) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: AuditEntryId(row.id),
        kind: AuditEntryType::parse(&row.kind).ok_or_else(|| mapping::corrupt("AuditEntryType"))?,
        actor_id: row.actor_id.map(UserId),
        by_operator: row.operator.is_some(),
        session_id: row.session_id.map(SessionId),
        api_token_id: row.api_token_id.map(ApiTokenId),
        client_address: row.client_address.map(ClientAddress::new_unchecked),
        user_agent: row.user_agent.map(UserAgent::new_unchecked),
        request_id: row.request_id,
        target_id: row.target_id.map(AuditTargetId),
        project_id: row.project_id.map(ProjectId),
        role: row.role.as_deref().map(mapping::role).transpose()?,
        count: row.count,
        created_at: Timestamp(row.created_at),
        last_at: Timestamp(row.last_at),
    })
}

/// Condition on the type. Entries of types that only a newer version knows are left out.
fn is_of(kind: Option<AuditEntryType>) -> Condition {
    Condition::all().add(match kind {
        Some(kind) => Column::Kind.eq(kind.as_str()),
        None => Column::Kind.is_in(AuditEntryType::ALL.iter().map(|kind| kind.as_str())),
    })
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> AuditLogRepository for SeaRepositories<C> {
    async fn add(&self, record: &AuditRecord, repeat_key: Option<&str>) -> Result<(), StoreError> {
        let entry = &record.entry;
        let new = ActiveModel {
            id: Set(entry.id.0),
            user_id: Set(record.user_id.map(|id| id.0)),
            kind: Set(entry.kind.as_str().to_owned()),
            actor_id: Set(entry.actor_id.map(|id| id.0)),
            session_id: Set(entry.session_id.map(|id| id.0)),
            api_token_id: Set(entry.api_token_id.map(|id| id.0)),
            client_address: Set(entry.client_address.as_deref().map(str::to_owned)),
            user_agent: Set(entry.user_agent.as_deref().map(str::to_owned)),
            request_id: Set(entry.request_id.clone()),
            target_id: Set(entry.target_id.map(|id| id.0)),
            project_id: Set(entry.project_id.map(|id| id.0)),
            role: Set(entry.role.map(|role| mapping::role_str(role).to_owned())),
            count: Set(entry.count),
            repeat_key: Set(repeat_key.map(str::to_owned)),
            created_at: Set(entry.created_at.0),
            last_at: Set(entry.last_at.0),
            operator: Set(record.operator.clone()),
        };
        let count_up = OnConflict::column(Column::RepeatKey)
            .value(Column::Count, Expr::col((Entity, Column::Count)).add(1))
            .value(Column::LastAt, Expr::value(entry.last_at.0))
            .to_owned();
        Entity::insert(new).on_conflict(count_up).exec_without_returning(&self.0).await?;
        Ok(())
    }

    async fn count(&self, user: Option<UserId>, kind: AuditEntryType, since: Timestamp) -> Result<u64, StoreError> {
        let of_user = match user {
            Some(user) => Column::UserId.eq(user.0),
            None => Column::UserId.is_null(),
        };
        let recent = Entity::find().filter(of_user).filter(Column::CreatedAt.gt(since.0));
        let recent = recent.filter(Column::Kind.eq(kind.as_str()));
        Ok(recent.count(&self.0).await?)
    }

    async fn list(
        &self,
        user: UserId,
        kind: Option<AuditEntryType>,
        sort: Sort<AuditEntrySort>,
        paging: Paging,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let matching = Entity::find().filter(Column::UserId.eq(user.0)).filter(is_of(kind));
        let column = match sort.field {
            AuditEntrySort::CreatedAt => Column::CreatedAt,
        };
        self.page(matching, (column, Column::Id), sort.direction, paging, entry).await
    }

    async fn list_all(&self, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = Entity::find()
            .filter(is_of(filter.kind))
            .apply_if(filter.user, |query, user| query.filter(Column::UserId.eq(user.0)))
            .apply_if(filter.since, |query, since| query.filter(Column::LastAt.gte(since.0)))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(limit)
            .all(&self.0)
            .await?;
        let record = |row: Model| {
            let (user_id, operator) = (row.user_id.map(UserId), row.operator.clone());
            Ok(AuditRecord { user_id, operator, entry: entry(row)? })
        };
        rows.into_iter().map(record).collect()
    }
}
