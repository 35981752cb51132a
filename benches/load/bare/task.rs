//! A task as a row and as JSON.

use chrono::{DateTime, SecondsFormat};
use poem::http::StatusCode;
use serde::{Deserialize, Serialize, Serializer};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use uuid::Uuid;

/// Time in milliseconds since 1970, as text in JSON.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) i64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(time.timestamp_millis()))
    }
}

/// Request body of a new task.
#[derive(Deserialize)]
pub(super) struct NewTask {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) priority: String,
    pub(super) due_at: Option<Time>,
    pub(super) labels: Vec<String>,
}

/// Response body of a task.
#[derive(Serialize)]
pub(super) struct Task {
    pub(super) id: Uuid,
    pub(super) project_id: Uuid,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) status: String,
    pub(super) priority: &'static str,
    pub(super) due_at: Option<Time>,
    pub(super) assignee_id: Option<Uuid>,
    pub(super) labels: Vec<String>,
    pub(super) position: String,
    pub(super) created_by: Uuid,
    pub(super) completed_at: Option<Time>,
    pub(super) deleted_at: Option<Time>,
    pub(super) version: i64,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

/// Strings of the stored numbers.
pub(super) const PRIORITIES: [&str; 5] = ["none", "low", "medium", "high", "urgent"];

/// Project of a task with the fields needed for authorization.
pub(super) struct Place {
    role: Option<String>,
    deleted_at: Option<i64>,
}

impl Place {
    /// Rejects non-members, and everyone if the project is deleted.
    pub(super) fn require_member(&self) -> poem::Result<()> {
        match (&self.role, self.deleted_at) {
            (_, Some(_)) => Err(poem::Error::from_status(StatusCode::NOT_FOUND)),
            (None, None) => Err(poem::Error::from_status(StatusCode::FORBIDDEN)),
            (Some(_), None) => Ok(()),
        }
    }
}

// Like the derive of `sqlx`, which does not support the types of the JSON.
impl<'r, R: Row> FromRow<'r, R> for Task
where
    &'static str: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    i16: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let time = |column: &'static str| row.try_get::<Option<i64>, _>(column).map(|time| time.map(Time));
        let labels: String = row.try_get("labels")?;
        let priority = usize::try_from(row.try_get::<i16, _>("priority")?).unwrap_or_default();
        Ok(Self {
            id: row.try_get("id")?,
            project_id: row.try_get("project_id")?,
            title: row.try_get("title")?,
            description: row.try_get("description")?,
            status: row.try_get("status")?,
            priority: PRIORITIES.get(priority).copied().unwrap_or_default(),
            due_at: time("due_at")?,
            assignee_id: row.try_get("assignee_id")?,
            labels: labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect(),
            position: row.try_get("position")?,
            created_by: row.try_get("created_by")?,
            completed_at: time("completed_at")?,
            deleted_at: time("deleted_at")?,
            version: row.try_get("version")?,
            created_at: Time(row.try_get("created_at")?),
            updated_at: Time(row.try_get("updated_at")?),
        })
    }
}

impl<'r, R: Row> FromRow<'r, R> for Place
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self { role: row.try_get("member_role")?, deleted_at: row.try_get("project_deleted_at")? })
    }
}
