//! Table `projects`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub owner_id: Uuid,
    pub stored_bytes: i64,
    pub name: String,
    pub name_key: String,
    pub search_text: String,
    pub description: Option<String>,
    pub color: Option<String>,
    pub archived: bool,
    pub task_total: i64,
    pub task_done: i64,
    pub last_position: String,
    pub deleted_at: Option<i64>,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub completion_percentage: i64,
    pub deleted_with_owner: bool,
}

no_relations!();
