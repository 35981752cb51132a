//! Table `events`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub id: Uuid,
    #[sea_orm(column_name = "type")]
    pub kind: String,
    pub project_id: Uuid,
    pub actor_id: Option<Uuid>,
    pub occurred_at: i64,
    pub data: String,
    pub previous: Option<String>,
    pub request_id: Option<String>,
}

no_relations!();
