//! Sessions and their refresh tokens.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, IntoTableRef as _, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use uuid::Uuid;

use super::entities::{refresh_token, session};
use super::repositories::SeaRepositories;
use crate::contract::account::session::{SessionInfo, SessionSort};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::strings::UserAgent;
use crate::contract::{SessionId, Timestamp, UserId};
use crate::repositories::{
    NewRefreshToken, NewSession, RefreshTokenRecord, SessionRecord, SessionRepository, StoreError,
};

/// Maximum number of old sessions that one call revokes.
const MAX_ENDED: u64 = 100;

#[derive(FromQueryResult)]
struct RefreshTokenRow {
    #[sea_orm(nested)]
    token: refresh_token::Model,
    user_id: Uuid,
    session_ended_at: Option<i64>,
}

fn session_info(row: session::Model) -> SessionInfo {
    SessionInfo {
        id: SessionId(row.id),
        current: false,
        user_agent: row.user_agent.map(UserAgent::new_unchecked),
        created_at: Timestamp(row.created_at),
        last_used_at: Timestamp(row.last_used_at),
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> SessionRepository for SeaRepositories<C> {
    async fn add(&self, session: &NewSession) -> Result<(), StoreError> {
        let new = session::ActiveModel {
            id: Set(session.id.0),
            user_id: Set(session.user_id.0),
            user_agent: Set(session.user_agent.clone()),
            created_at: Set(session.created_at.0),
            last_used_at: Set(session.created_at.0),
            expires_at: Set(session.expires_at.0),
            ended_at: Set(None),
        };
        self.insert_row(new).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let row = session::Entity::find_by_id(id.0).one(&self.0).await?;
        Ok(row.map(|row| SessionRecord {
            user_id: UserId(row.user_id),
            ended_at: row.ended_at.map(Timestamp),
            expires_at: Timestamp(row.expires_at),
        }))
    }

    async fn list(
        &self,
        user: UserId,
        now: Timestamp,
        sort: Sort<SessionSort>,
        paging: Paging,
    ) -> Result<Page<SessionInfo>, StoreError> {
        let active = session::Entity::find()
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::EndedAt.is_null())
            .filter(session::Column::ExpiresAt.gt(now.0));
        let column = match sort.field {
            SessionSort::CreatedAt => session::Column::CreatedAt,
            SessionSort::LastUsedAt => session::Column::LastUsedAt,
        };
        let columns = (column, session::Column::Id);
        self.page(active, columns, sort.direction, paging, |row| Ok(session_info(row))).await
    }

    async fn touch(&self, id: SessionId, at: Timestamp, expires_at: Timestamp) -> Result<(), StoreError> {
        let update = session::Entity::update_many()
            .col_expr(session::Column::LastUsedAt, Expr::value(at.0))
            .col_expr(session::Column::ExpiresAt, Expr::value(expires_at.0))
            .filter(session::Column::Id.eq(id.0));
        self.run_update(update).await
    }

    async fn end(&self, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
        let update = session::Entity::update_many()
            .col_expr(session::Column::EndedAt, Expr::value(at.0))
            .filter(session::Column::Id.eq(id.0))
            .filter(session::Column::EndedAt.is_null());
        let has_ended = self.update_one(update).await?;
        if has_ended {
            self.announce_sessions(&[id]).await?;
        }
        Ok(has_ended)
    }

    async fn end_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ending = session::Entity::update_many()
            .col_expr(session::Column::EndedAt, Expr::value(at.0))
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::EndedAt.is_null());
        if let Some(keep) = keep {
            ending = ending.filter(session::Column::Id.ne(keep.0));
        }
        let rows = ending.exec_with_returning(&self.0).await?;
        let ended: Vec<_> = rows.into_iter().map(|row| SessionId(row.id)).collect();
        self.announce_sessions(&ended).await?;
        Ok(ended)
    }

    async fn end_oldest(&self, user: UserId, keep: u64, at: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        let oldest: Vec<Uuid> = session::Entity::find()
            .select_only()
            .column(session::Column::Id)
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::EndedAt.is_null())
            .order_by_desc(session::Column::CreatedAt)
            .order_by_desc(session::Column::Id)
            .offset(keep)
            .limit(MAX_ENDED)
            .into_tuple()
            .all(&self.0)
            .await?;
        if oldest.is_empty() {
            return Ok(Vec::new());
        }
        let update = session::Entity::update_many()
            .col_expr(session::Column::EndedAt, Expr::value(at.0))
            .filter(session::Column::Id.is_in(oldest.iter().copied()))
            .filter(session::Column::EndedAt.is_null());
        self.run_update(update).await?;
        let ended: Vec<_> = oldest.into_iter().map(SessionId).collect();
        self.announce_sessions(&ended).await?;
        Ok(ended)
    }

    async fn list_ended(&self, since: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        let ended = session::Entity::find().filter(session::Column::EndedAt.gte(since.0));
        self.fetch_ids(ended, session::Column::Id, SessionId).await
    }

    async fn add_refresh_token(&self, token: &NewRefreshToken) -> Result<(), StoreError> {
        let new = refresh_token::ActiveModel {
            hash: Set(token.hash.to_vec()),
            session_id: Set(token.session_id.0),
            created_at: Set(token.created_at.0),
            expires_at: Set(token.expires_at.0),
            used_at: Set(None),
            encrypted_successor: Set(None),
        };
        self.insert_row(new).await
    }

    async fn lock_refresh_token(&self, hash: &[u8; 32]) -> Result<Option<RefreshTokenRecord>, StoreError> {
        let session_of_token = refresh_token::Entity::belongs_to(session::Entity)
            .from(refresh_token::Column::SessionId)
            .to(session::Column::Id)
            .into();
        let mut query = refresh_token::Entity::find_by_id(hash.to_vec())
            .join(JoinType::InnerJoin, session_of_token)
            .column_as(session::Column::UserId, "user_id")
            .column_as(session::Column::EndedAt, "session_ended_at");
        if self.is_postgres() {
            // The session first, so that users of a token and of its successor wait for the same row. The token too,
            // because after the wait PostgreSQL rereads only locked rows.
            QueryTrait::query(&mut query).lock_with_tables(
                LockType::Update,
                [session::Entity.into_table_ref(), refresh_token::Entity.into_table_ref()],
            );
        }
        let row = query.into_model::<RefreshTokenRow>().one(&self.0).await?;
        Ok(row.map(|row| RefreshTokenRecord {
            session_id: SessionId(row.token.session_id),
            user_id: UserId(row.user_id),
            session_ended_at: row.session_ended_at.map(Timestamp),
            expires_at: Timestamp(row.token.expires_at),
            used_at: row.token.used_at.map(Timestamp),
            encrypted_successor: row.token.encrypted_successor,
        }))
    }

    async fn rotate_refresh_token(&self, hash: &[u8; 32], at: Timestamp, successor: &[u8]) -> Result<(), StoreError> {
        let update = refresh_token::Entity::update_many()
            .col_expr(refresh_token::Column::UsedAt, Expr::value(at.0))
            .col_expr(refresh_token::Column::EncryptedSuccessor, Expr::value(successor.to_vec()))
            .filter(refresh_token::Column::Hash.eq(hash.to_vec()));
        self.run_update(update).await
    }
}
