//! Table `event_sequence`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_sequence")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub sequence: i64,
    pub pruned_through: i64,
    pub epoch: Option<Uuid>,
    pub file_id: Option<String>,
}

no_relations!();
