//! Idempotency keys, and the responses stored with them.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Func, FunctionCall, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, UpdateMany, Value};

use super::entities::idempotency_key::{ActiveModel, Column, Entity, Model};
use super::error::error_code;
use super::mapping;
use super::repositories::SeaRepositories;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{
    IdempotencyRepository, IdempotentRequest, KeyClaim, RequiredAccess, StoreError, StoredResponse,
};

/// SQLSTATE of PostgreSQL for a lock that was awaited too long.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Maximum wait for a key that another transaction holds.
const LOCK_TIMEOUT_MS: &str = "5000";

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> IdempotencyRepository for SeaRepositories<C> {
    async fn claim(
        &self,
        user: UserId,
        request: &IdempotentRequest,
        now: Timestamp,
        expired_before: Timestamp,
    ) -> Result<KeyClaim, StoreError> {
        let values: [(Column, Value); 4] = [
            (Column::UserId, user.0.into()),
            (Column::Key, request.key.as_str().into()),
            (Column::Fingerprint, request.fingerprint.to_vec().into()),
            (Column::ClaimedAt, now.0.into()),
        ];
        let mut claim = Query::select();
        claim.exprs(values.iter().map(|(_, value)| Expr::value(value.clone())));
        let mut insert = Query::insert();
        if self.is_postgres() {
            // Later locks wait up to the statement timeout, as in a transaction without a key.
            claim.from_function(set_lock_timeout(Some(LOCK_TIMEOUT_MS)), "lock_timeout");
            insert.returning(Query::returning().expr(set_lock_timeout(None)));
        } else {
            // SQLite would take ON CONFLICT after a SELECT without WHERE for a part of the SELECT.
            claim.and_where(Expr::val(true));
            insert.returning_col(Column::Key);
        }
        // `store_response` overwrites the response of an expired key.
        let conflict = OnConflict::columns([Column::UserId, Column::Key])
            .update_columns([Column::Fingerprint, Column::ClaimedAt])
            .action_and_where(Expr::col((Entity, Column::ClaimedAt)).lte(expired_before.0))
            .to_owned();
        insert
            .into_table(Entity)
            .columns(values.map(|(column, _)| column))
            .select_from(claim)
            .map_err(|error| StoreError::Internal(Box::new(error)))?
            .on_conflict(conflict);
        match self.0.query_one(&insert).await {
            Ok(None) => Ok(KeyClaim::Completed),
            Ok(Some(_)) => Ok(KeyClaim::Acquired),
            Err(error) if error_code(&error).as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(KeyClaim::InProgress),
            Err(error) => Err(error.into()),
        }
    }

    async fn store_response(&self, user: UserId, key: &str, response: &StoredResponse) -> Result<(), StoreError> {
        self.run_update(store_response_stmt(user, key, response)?).await
    }

    async fn find(
        &self,
        user: UserId,
        key: &str,
        expired_before: Timestamp,
    ) -> Result<Option<([u8; 32], StoredResponse)>, StoreError> {
        let row = Entity::find_by_id((user.0, key.to_owned()))
            .filter(Column::ClaimedAt.gt(expired_before.0))
            .one(&self.0)
            .await?;
        row.map(stored).transpose()
    }
}

/// Statement that stores a response with a claimed key.
pub(super) fn store_response_stmt(
    user: UserId,
    key: &str,
    response: &StoredResponse,
) -> Result<UpdateMany<Entity>, StoreError> {
    let effect = serde_json::to_string(&response.effect).map_err(|error| StoreError::Internal(error.into()))?;
    let changes = ActiveModel {
        effect: Set(Some(effect)),
        etag: Set(response.etag.clone()),
        encrypted_body: Set(response.encrypted_body.clone()),
        project_id: Set(response.access.map(|access| access.project.0)),
        min_role: Set(response.access.map(|access| mapping::role_str(access.role).to_owned())),
        task_id: Set(response.access.and_then(|access| access.task).map(|task| task.0)),
        ..ActiveModel::default()
    };
    Ok(Entity::update_many().set(changes).filter(Column::UserId.eq(user.0)).filter(Column::Key.eq(key)))
}

/// Limits the waits for locks in the rest of a transaction of PostgreSQL. `None` restores the default.
pub(super) fn set_lock_timeout(millis: Option<&str>) -> FunctionCall {
    // Without a value, `set_config` resets the setting.
    Func::cust("set_config").arg("lock_timeout").arg(millis).arg(true)
}

fn stored(row: Model) -> Result<([u8; 32], StoredResponse), StoreError> {
    let corrupt = || mapping::corrupt("response");
    let access = match (row.project_id, row.min_role) {
        (Some(project), Some(role)) => {
            let (project, task) = (ProjectId(project), row.task_id.map(TaskId));
            Some(RequiredAccess { project, task, role: mapping::role(&role)? })
        }
        _ => None,
    };
    let response = StoredResponse {
        effect: row.effect.and_then(|effect| serde_json::from_str(&effect).ok()).ok_or_else(corrupt)?,
        etag: row.etag,
        encrypted_body: row.encrypted_body,
        access,
    };
    Ok((row.fingerprint.try_into().map_err(|_| corrupt())?, response))
}
