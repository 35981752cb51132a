//! Table `audit_entries`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Option<Uuid>,
    #[sea_orm(column_name = "type")]
    pub kind: String,
    pub actor_id: Option<Uuid>,
    pub session_id: Option<Uuid>,
    pub api_token_id: Option<Uuid>,
    pub client_address: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub target_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    pub role: Option<String>,
    pub count: i64,
    pub repeat_key: Option<String>,
    pub created_at: i64,
    pub last_at: i64,
    pub operator: Option<String>,
}

no_relations!();
