//! Table `idempotency_keys`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub fingerprint: Vec<u8>,
    pub claimed_at: i64,
    pub effect: Option<String>,
    pub etag: Option<String>,
    pub encrypted_body: Option<Vec<u8>>,
    pub project_id: Option<Uuid>,
    pub min_role: Option<String>,
    pub task_id: Option<Uuid>,
}

no_relations!();
