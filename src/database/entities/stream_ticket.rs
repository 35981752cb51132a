//! Table `stream_tickets`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stream_tickets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Vec<u8>,
    pub user_id: Uuid,
    pub session_id: Option<Uuid>,
    pub api_token_id: Option<Uuid>,
    pub credential_expires_at: Option<i64>,
    pub project_id: Option<Uuid>,
    pub kinds: String,
    pub expires_at: i64,
}

no_relations!();
