//! Rows of tasks, without the columns that only serve searches and sorting.

use uuid::Uuid;

use super::decode::decoded_row;
use super::entities::task::{Column, Model};

/// The columns of a task that are published, in the order of `TaskRow`.
pub(super) const PUBLISHED: [Column; 16] = [
    Column::Id,
    Column::ProjectId,
    Column::Title,
    Column::Description,
    Column::Status,
    Column::Priority,
    Column::DueAt,
    Column::AssigneeId,
    Column::Labels,
    Column::Position,
    Column::CreatedBy,
    Column::CompletedAt,
    Column::DeletedAt,
    Column::Version,
    Column::CreatedAt,
    Column::UpdatedAt,
];

/// The columns of a listed task, including the keys by which lists are sorted, in the order of `ListedRow`.
pub(super) const LISTED: [Column; 18] = {
    let mut columns = [Column::TitleKey; 18];
    columns[1] = Column::DueKey;
    let mut index = 0;
    while index < PUBLISHED.len() {
        columns[index + 2] = PUBLISHED[index];
        index += 1;
    }
    columns
};

decoded_row! {
    /// The published columns.
    pub(super) struct TaskRow {
        pub(super) id: Uuid,
        pub(super) project_id: Uuid,
        pub(super) title: String,
        pub(super) description: Option<String>,
        pub(super) status: String,
        pub(super) priority: i16,
        pub(super) due_at: Option<i64>,
        pub(super) assignee_id: Option<Uuid>,
        pub(super) labels: String,
        pub(super) position: String,
        pub(super) created_by: Option<Uuid>,
        pub(super) completed_at: Option<i64>,
        pub(super) deleted_at: Option<i64>,
        pub(super) version: i64,
        pub(super) created_at: i64,
        pub(super) updated_at: i64,
    }
}

impl From<Model> for TaskRow {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            project_id: row.project_id,
            title: row.title,
            description: row.description,
            status: row.status,
            priority: row.priority,
            due_at: row.due_at,
            assignee_id: row.assignee_id,
            labels: row.labels,
            position: row.position,
            created_by: row.created_by,
            completed_at: row.completed_at,
            deleted_at: row.deleted_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

decoded_row! {
    /// A row of a list.
    pub(super) struct ListedRow {
        pub(super) title_key: String,
        pub(super) due_key: i64,
        pub(super) task: TaskRow,
    }
}
