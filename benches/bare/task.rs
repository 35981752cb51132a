//! Tasks, similar to those of the API, and their three handlers for each engine.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Connections of the handlers. On PostgreSQL both pools are one.
#[derive(Clone)]
pub(crate) struct Pools<P> {
    pub(crate) read: P,
    pub(crate) write: P,
}

/// Task in a response.
#[derive(Serialize)]
pub(crate) struct Task {
    id: Uuid,
    project_id: Uuid,
    title: String,
    description: String,
    status: String,
    priority: String,
    due_at: Option<String>,
    labels: Vec<String>,
    version: i64,
    created_at: String,
    updated_at: String,
}

/// Body of a request that creates a task.
#[derive(Deserialize)]
pub(crate) struct NewTask {
    title: String,
    description: String,
    priority: String,
    due_at: Option<String>,
    labels: Vec<String>,
}

/// Number of tasks on a page.
#[derive(Deserialize)]
pub(crate) struct Page {
    limit: i64,
}

const FIND: &str = "SELECT id, project_id, title, description, status, priority, due_at, labels, version, created_at, \
    updated_at FROM tasks WHERE id = $1";

const LIST: &str = "SELECT id, project_id, title, description, status, priority, due_at, labels, version, created_at, \
    updated_at FROM tasks WHERE project_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2";

const CREATE: &str = "INSERT INTO tasks (id, project_id, title, description, status, priority, due_at, labels, version, \
    created_at, updated_at) VALUES ($1, $2, $3, $4, 'todo', $5, $6, $7, 1, $8, $8) RETURNING id, project_id, title, \
    description, status, priority, due_at, labels, version, created_at, updated_at";

/// Handlers of one engine: the rows of different databases share no trait that is easier to read than this macro.
macro_rules! handlers {
    ($engine:ident, $pool:ty, $row:ty) => {
        #[expect(clippy::disallowed_methods, reason = "the bare handlers share no code with the server")]
        pub(crate) mod $engine {
            use chrono::{SecondsFormat, Utc};
            use poem::error::{InternalServerError, NotFoundError};
            use poem::http::StatusCode;
            use poem::web::{Data, Json, Path, Query, WithStatus};
            use poem::{IntoResponse as _, Result, handler};
            use sqlx::Row as _;
            use uuid::Uuid;

            use super::{CREATE, FIND, LIST, NewTask, Page, Pools, Task};

            fn task(row: &$row) -> sqlx::Result<Task> {
                let labels: &str = row.try_get(7)?;
                Ok(Task {
                    id: row.try_get(0)?,
                    project_id: row.try_get(1)?,
                    title: row.try_get(2)?,
                    description: row.try_get(3)?,
                    status: row.try_get(4)?,
                    priority: row.try_get(5)?,
                    due_at: row.try_get(6)?,
                    labels: labels.split(',').map(str::to_owned).collect(),
                    version: row.try_get(8)?,
                    created_at: row.try_get(9)?,
                    updated_at: row.try_get(10)?,
                })
            }

            #[handler]
            pub(crate) async fn find(Data(pools): Data<&Pools<$pool>>, Path(id): Path<Uuid>) -> Result<Json<Task>> {
                let row = sqlx::query(FIND).bind(id).fetch_optional(&pools.read).await.map_err(InternalServerError)?;
                Ok(Json(task(&row.ok_or(NotFoundError)?).map_err(InternalServerError)?))
            }

            #[handler]
            pub(crate) async fn list(
                Data(pools): Data<&Pools<$pool>>,
                Path(project): Path<Uuid>,
                Query(page): Query<Page>,
            ) -> Result<Json<Vec<Task>>> {
                let query = sqlx::query(LIST).bind(project).bind(page.limit);
                let rows = query.fetch_all(&pools.read).await.map_err(InternalServerError)?;
                let tasks = rows.iter().map(task).collect::<sqlx::Result<_>>();
                Ok(Json(tasks.map_err(InternalServerError)?))
            }

            #[handler]
            pub(crate) async fn create(
                Data(pools): Data<&Pools<$pool>>,
                Path(project): Path<Uuid>,
                Json(new): Json<NewTask>,
            ) -> Result<WithStatus<Json<Task>>> {
                let query = sqlx::query(CREATE).bind(Uuid::now_v7()).bind(project).bind(new.title);
                let query = query.bind(new.description).bind(new.priority).bind(new.due_at).bind(new.labels.join(","));
                let query = query.bind(Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
                let row = query.fetch_one(&pools.write).await.map_err(InternalServerError)?;
                Ok(Json(task(&row).map_err(InternalServerError)?).with_status(StatusCode::CREATED))
            }
        }
    };
}

handlers!(sqlite, sqlx::SqlitePool, sqlx::sqlite::SqliteRow);
handlers!(postgres, sqlx::PgPool, sqlx::postgres::PgRow);
