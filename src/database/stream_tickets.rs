//! Tickets for event streams.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _};

use super::entities::stream_ticket::{ActiveModel, Column, Entity, Model};
use super::mapping::{self, join_list, split_list};
use super::repositories::SeaRepositories;
use crate::contract::{ApiTokenId, ProjectId, SessionId, Timestamp, UserId};
use crate::repositories::{StoreError, StreamTicketRecord, StreamTicketRepository, TicketCredential};

fn valid(hash: &[u8; 32], now: Timestamp) -> Condition {
    Condition::all().add(Column::Hash.eq(hash.to_vec())).add(Column::ExpiresAt.gt(now.0))
}

fn record(row: &Model) -> Result<StreamTicketRecord, StoreError> {
    let credential = match (row.session_id, row.api_token_id) {
        (Some(session), None) => TicketCredential::Session(SessionId(session)),
        (None, Some(token)) => TicketCredential::ApiToken(ApiTokenId(token)),
        _ => return Err(mapping::corrupt("stream_tickets")),
    };
    Ok(StreamTicketRecord {
        user_id: UserId(row.user_id),
        credential,
        credential_expires_at: row.credential_expires_at.map(Timestamp),
        project_id: row.project_id.map(ProjectId),
        kinds: split_list(&row.kinds).map(str::to_owned).collect(),
        expires_at: Timestamp(row.expires_at),
    })
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> StreamTicketRepository for SeaRepositories<C> {
    async fn add(&self, hash: &[u8; 32], ticket: &StreamTicketRecord) -> Result<(), StoreError> {
        let (session, token) = match ticket.credential {
            TicketCredential::Session(session) => (Some(session.0), None),
            TicketCredential::ApiToken(token) => (None, Some(token.0)),
        };
        let new = ActiveModel {
            hash: Set(hash.to_vec()),
            user_id: Set(ticket.user_id.0),
            session_id: Set(session),
            api_token_id: Set(token),
            credential_expires_at: Set(ticket.credential_expires_at.map(|time| time.0)),
            project_id: Set(ticket.project_id.map(|project| project.0)),
            kinds: Set(join_list(&ticket.kinds)),
            expires_at: Set(ticket.expires_at.0),
        };
        self.insert_row(new).await
    }

    async fn find(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<StreamTicketRecord>, StoreError> {
        Entity::find().filter(valid(hash, now)).one(&self.0).await?.as_ref().map(record).transpose()
    }

    async fn consume(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<StreamTicketRecord>, StoreError> {
        let consumed = Entity::delete_many().filter(valid(hash, now)).exec_with_returning(&self.0).await?;
        consumed.first().map(record).transpose()
    }
}
