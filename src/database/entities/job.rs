//! Table `jobs`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub queue: String,
    pub payload: String,
    pub user_id: Option<Uuid>,
    pub state: String,
    pub run_at: i64,
    pub attempts: i64,
    pub lease_token: Option<Uuid>,
    pub pending_key: Option<String>,
    pub forever_key: Option<String>,
    pub unfinished_key: Option<String>,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

no_relations!();
