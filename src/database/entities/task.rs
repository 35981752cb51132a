//! Table `tasks`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    pub title: String,
    pub title_key: String,
    pub search_text: String,
    pub description: Option<String>,
    pub status: String,
    pub priority: i16,
    pub due_at: Option<i64>,
    pub due_key: i64,
    pub assignee_id: Option<Uuid>,
    pub labels: String,
    pub position: String,
    pub created_by: Option<Uuid>,
    pub completed_at: Option<i64>,
    pub deleted_at: Option<i64>,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

no_relations!();
