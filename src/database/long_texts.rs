//! Long texts of projects.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::entities::long_text::{ActiveModel, Column, Entity};
use super::repositories::SeaRepositories;
use crate::contract::{ProjectId, Timestamp};
use crate::repositories::{LongTextRepository, LongTexts, StoreError, TextHash};

/// Period in which the time of the last use is not written again.
pub(super) const USE_RESOLUTION: Duration = Duration::from_hours(24);

/// Number of texts per statement.
const BATCH_SIZE: usize = 100;

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> LongTextRepository for SeaRepositories<C> {
    async fn add(&self, project: ProjectId, texts: &LongTexts, now: Timestamp) -> Result<(), StoreError> {
        let mut texts: Vec<_> = texts.iter().collect();
        // In one order, so that concurrent transactions do not deadlock.
        texts.sort_unstable();
        for (hash, content) in texts {
            let row = ActiveModel {
                project_id: Set(project.0),
                hash: Set(hash.to_vec()),
                used_at: Set(now.0),
                content: Set(content.clone()),
            };
            let known = OnConflict::columns([Column::ProjectId, Column::Hash])
                .value(Column::UsedAt, now.0)
                .action_and_where(Expr::col((Entity, Column::UsedAt)).lt((now - USE_RESOLUTION).0))
                .to_owned();
            match Entity::insert(row).on_conflict(known).exec_without_returning(&self.0).await {
                // The text was used recently.
                Ok(_) | Err(DbErr::RecordNotInserted) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        hashes: &[(ProjectId, TextHash)],
    ) -> Result<HashMap<(ProjectId, TextHash), String>, StoreError> {
        let mut found = HashMap::new();
        for chunk in hashes.chunks(BATCH_SIZE) {
            let any = chunk.iter().fold(Condition::any(), |any, (project, hash)| {
                any.add(Column::ProjectId.eq(project.0).and(Column::Hash.eq(hash.to_vec())))
            });
            for row in Entity::find().filter(any).all(&self.0).await? {
                if let Ok(hash) = row.hash.try_into() {
                    found.insert((ProjectId(row.project_id), hash), row.content);
                }
            }
        }
        Ok(found)
    }
}
