//! Encrypted values at rest, for the rotation of the encryption key.

use async_trait::async_trait;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait as _,
};
use uuid::Uuid;

use super::entities::{idempotency_key, previous_secret, webhook};
use super::repositories::SeaRepositories;
use crate::contract::{UserId, WebhookId};
use crate::repositories::{SealedColumn, SealedPlace, SealedValue, SealedValueRepository, StoreError};

fn value(place: SealedPlace, sealed: Vec<u8>) -> SealedValue {
    SealedValue { place, sealed }
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    async fn webhook_secrets(&self, after: Option<Uuid>, limit: u64) -> Result<Vec<SealedValue>, StoreError> {
        use webhook::{Column, Entity};
        let rows: Vec<(Uuid, Vec<u8>)> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Secret])
            .apply_if(after, |query, after| query.filter(Column::Id.gt(after)))
            .order_by_asc(Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(|(id, sealed)| value(SealedPlace::WebhookSecret(WebhookId(id)), sealed)).collect())
    }

    async fn previous_secrets(&self, after: Option<Uuid>, limit: u64) -> Result<Vec<SealedValue>, StoreError> {
        use previous_secret::{Column, Entity};
        let rows = Entity::find()
            .apply_if(after, |query, after| query.filter(Column::Id.gt(after)))
            .order_by_asc(Column::Id)
            .limit(limit)
            .all(&self.0)
            .await?;
        let place = |id, webhook| SealedPlace::PreviousSecret(id, WebhookId(webhook));
        Ok(rows.into_iter().map(|row| value(place(row.id, row.webhook_id), row.secret)).collect())
    }

    async fn stored_responses(&self, after: Option<(Uuid, &str)>, limit: u64) -> Result<Vec<SealedValue>, StoreError> {
        use idempotency_key::{Column, Entity};
        let later = |(user, key): (Uuid, &str)| {
            let of_same_user = Condition::all().add(Column::UserId.eq(user)).add(Column::Key.gt(key));
            Condition::any().add(Column::UserId.gt(user)).add(of_same_user)
        };
        let rows: Vec<(Uuid, String, Vec<u8>)> = Entity::find()
            .select_only()
            .columns([Column::UserId, Column::Key, Column::EncryptedBody])
            .filter(Column::EncryptedBody.is_not_null())
            .apply_if(after, |query, after| query.filter(later(after)))
            .order_by_asc(Column::UserId)
            .order_by_asc(Column::Key)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let place = |user, key| SealedPlace::StoredResponse(UserId(user), key);
        Ok(rows.into_iter().map(|(user, key, sealed)| value(place(user, key), sealed)).collect())
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> SealedValueRepository for SeaRepositories<C> {
    async fn list(
        &self,
        column: SealedColumn,
        after: Option<&SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedValue>, StoreError> {
        let after_id = match after {
            Some(SealedPlace::WebhookSecret(id)) => Some(id.0),
            Some(SealedPlace::PreviousSecret(id, _)) => Some(*id),
            _ => None,
        };
        match column {
            SealedColumn::WebhookSecrets => self.webhook_secrets(after_id, limit).await,
            SealedColumn::PreviousSecrets => self.previous_secrets(after_id, limit).await,
            SealedColumn::StoredResponses => {
                let after = match after {
                    Some(SealedPlace::StoredResponse(user, key)) => Some((user.0, key.as_str())),
                    _ => None,
                };
                self.stored_responses(after, limit).await
            }
        }
    }

    async fn replace(&self, value: &SealedValue, next: &[u8]) -> Result<bool, StoreError> {
        let next = Expr::value(next.to_vec());
        let before = || value.sealed.clone();
        match &value.place {
            SealedPlace::WebhookSecret(id) => {
                use webhook::{Column, Entity};
                let update = Entity::update_many().col_expr(Column::Secret, next);
                self.update_one(update.filter(Column::Id.eq(id.0)).filter(Column::Secret.eq(before()))).await
            }
            SealedPlace::PreviousSecret(id, _) => {
                use previous_secret::{Column, Entity};
                let update = Entity::update_many().col_expr(Column::Secret, next);
                self.update_one(update.filter(Column::Id.eq(*id)).filter(Column::Secret.eq(before()))).await
            }
            SealedPlace::StoredResponse(user, key) => {
                use idempotency_key::{Column, Entity};
                let update = Entity::update_many()
                    .col_expr(Column::EncryptedBody, next)
                    .filter(Column::UserId.eq(user.0))
                    .filter(Column::Key.eq(key.as_str()))
                    .filter(Column::EncryptedBody.eq(before()));
                self.update_one(update).await
            }
        }
    }
}
