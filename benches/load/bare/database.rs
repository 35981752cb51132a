//! The product's SQL, verbatim, with `sqlx` alone.

use std::time::Duration;

use anyhow::Result;
use chrono::Utc;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, FromRow as _, PgPool, Row as _, SqlitePool};
use uuid::Uuid;

use super::task::{NewTask, PRIORITIES, Place, Task, Time};

/// Columns of a task. A macro, so that statements can be concatenated at compile time.
macro_rules! task_columns {
    () => {
        r#""tasks"."id", "tasks"."project_id", "tasks"."title", "tasks"."title_key", "tasks"."search_text",
           "tasks"."description", "tasks"."status", "tasks"."priority", "tasks"."due_at", "tasks"."due_key",
           "tasks"."assignee_id", "tasks"."labels", "tasks"."position", "tasks"."created_by", "tasks"."completed_at",
           "tasks"."deleted_at", "tasks"."version", "tasks"."created_at", "tasks"."updated_at""#
    };
}

const TASK: &str = concat!(
    "SELECT ",
    task_columns!(),
    r#", "members"."role" AS "member_role", "projects"."archived" AS "project_archived",
       "projects"."deleted_at" AS "project_deleted_at"
       FROM "tasks" INNER JOIN "projects" ON "tasks"."project_id" = "projects"."id"
       LEFT JOIN "members" ON "tasks"."project_id" = "members"."project_id" AND "members"."user_id" = $1
       WHERE "tasks"."id" = $2 LIMIT $3"#
);

const HEAD: &str = r#"SELECT "projects"."deleted_at" AS "project_deleted_at", "members"."role" AS "member_role",
       "projects"."task_total" AS "total", $1 AS "assignee_is_valid"
       FROM "projects" LEFT JOIN "members" ON "projects"."id" = "members"."project_id" AND "members"."user_id" = $2
       WHERE "projects"."id" = $3 LIMIT $4"#;

const TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    r#" FROM "tasks" WHERE "tasks"."project_id" = $1 AND "tasks"."deleted_at" IS NULL AND TRUE
       ORDER BY "tasks"."created_at" DESC, "tasks"."id" DESC LIMIT $2 OFFSET $3"#
);

macro_rules! lock {
    ($clause:literal) => {
        concat!(
            r#"SELECT "projects"."id", "projects"."owner_id", "projects"."name", "projects"."name_key",
               "projects"."search_text", "projects"."description", "projects"."color", "projects"."archived",
               "projects"."task_total", "projects"."task_done", "projects"."last_position",
               "projects"."deleted_at" AS "project_deleted_at", "projects"."version", "projects"."created_at",
               "projects"."updated_at", "members"."role" AS "member_role"
               FROM "projects"
               LEFT JOIN "members" ON "projects"."id" = "members"."project_id" AND "members"."user_id" = $1
               WHERE "projects"."id" = $2 LIMIT $3"#,
            $clause
        )
    };
}

const INSERT: &str = r#"INSERT INTO "tasks" ("id", "project_id", "title", "title_key", "search_text", "description",
       "status", "priority", "due_at", "due_key", "assignee_id", "labels", "position", "created_by", "completed_at",
       "deleted_at", "version", "created_at", "updated_at")
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"#;

const COUNT: &str = r#"UPDATE "projects" SET "task_total" = "task_total" + $1, "task_done" = "task_done" + $2,
       "last_position" = $3 WHERE "projects"."id" = $4"#;

/// Connection pools like the product's.
pub(super) enum Database {
    /// One writing connection and several readers.
    Sqlite { reader: SqlitePool, writer: SqlitePool },
    /// Shared connections.
    Postgres { reader: PgPool, writer: PgPool },
}

/// Runs the same code with the pool of either engine, which have different types.
macro_rules! with {
    ($database:expr, $role:ident, $pool:ident => $work:expr) => {
        match $database {
            Database::Sqlite { $role: $pool, .. } => $work,
            Database::Postgres { $role: $pool, .. } => $work,
        }
    };
}

impl Database {
    /// Connects with the product's settings.
    pub(super) async fn connect(url: &str) -> Result<Self> {
        if !url.starts_with("sqlite:") {
            let options = url.parse::<PgConnectOptions>()?.disable_statement_logging();
            let pool =
                PgPoolOptions::new().max_connections(10).test_before_acquire(false).connect_with(options).await?;
            return Ok(Self::Postgres { reader: pool.clone(), writer: pool });
        }
        let options = url.parse::<SqliteConnectOptions>()?.disable_statement_logging();
        let options = options.busy_timeout(Duration::from_secs(5)).foreign_keys(true).pragma("mmap_size", "268435456");
        let writing = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
        let writer = pool(1).connect_with(writing).await?;
        let reader = pool(10).connect_with(options.read_only(true)).await?;
        Ok(Self::Sqlite { reader, writer })
    }

    /// Finds a task.
    pub(super) async fn task(&self, id: Uuid, user: Uuid) -> sqlx::Result<Option<(Task, Place)>> {
        with!(self, reader, pool => {
            let row = sqlx::query(TASK).bind(user).bind(id).bind(1_i64).fetch_optional(pool).await?;
            row.map(|row| Ok((Task::from_row(&row)?, Place::from_row(&row)?))).transpose()
        })
    }

    /// Finds the project of a task list and its number of tasks.
    pub(super) async fn head(&self, project: Uuid, user: Uuid) -> sqlx::Result<Option<(Place, i64)>> {
        with!(self, reader, pool => {
            let query = sqlx::query(HEAD).bind(true).bind(user).bind(project).bind(1_i64);
            let row = query.fetch_optional(pool).await?;
            row.map(|row| Ok((Place::from_row(&row)?, row.try_get("total")?))).transpose()
        })
    }

    /// First page of a project's tasks.
    pub(super) async fn tasks(&self, project: Uuid, limit: u32) -> sqlx::Result<Vec<Task>> {
        with!(self, reader, pool => {
            sqlx::query_as(TASKS).bind(project).bind(i64::from(limit)).bind(0_i64).fetch_all(pool).await
        })
    }

    /// Adds a task at the end of a project.
    pub(super) async fn add(&self, project: Uuid, user: Uuid, new: NewTask) -> sqlx::Result<Option<Task>> {
        let (begin, lock) = match self {
            Self::Sqlite { .. } => ("BEGIN IMMEDIATE", lock!("")),
            Self::Postgres { .. } => ("BEGIN", lock!(r#" FOR UPDATE OF "projects""#)),
        };
        with!(self, writer, pool => {
            let mut transaction = pool.begin_with(begin).await?;
            let query = sqlx::query(lock).bind(user).bind(project).bind(1_i64);
            let Some(row) = query.fetch_optional(&mut *transaction).await? else { return Ok(None) };
            if Place::from_row(&row)?.require_member().is_err() {
                return Ok(None);
            }
            let task = task(project, user, new, row.try_get("task_total")?);
            sqlx::query(INSERT)
                .bind(task.id)
                .bind(task.project_id)
                .bind(&task.title)
                .bind(task.title.to_lowercase())
                .bind(format!("{}\n{}", task.title, task.description.as_deref().unwrap_or_default()).to_lowercase())
                .bind(&task.description)
                .bind(&task.status)
                .bind(priority(task.priority))
                .bind(task.due_at.map(|time| time.0))
                .bind(task.due_at.map_or(i64::MAX, |time| time.0))
                .bind(task.assignee_id)
                .bind(format!(",{},", task.labels.join(",")))
                .bind(&task.position)
                .bind(task.created_by)
                .bind(task.completed_at.map(|time| time.0))
                .bind(task.deleted_at.map(|time| time.0))
                .bind(task.version)
                .bind(task.created_at.0)
                .bind(task.updated_at.0)
                .execute(&mut *transaction)
                .await?;
            let query = sqlx::query(COUNT).bind(1_i64).bind(0_i64).bind(&task.position).bind(project);
            query.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(Some(task))
        })
    }
}

fn task(project: Uuid, user: Uuid, new: NewTask, total: i64) -> Task {
    #[expect(clippy::disallowed_methods, reason = "the bare handler does without the vocabulary of the product")]
    let now = Time(Utc::now().timestamp_millis());
    Task {
        id: pocket_tasks::contract::ids::new_uuid(),
        project_id: project,
        title: new.title,
        description: new.description,
        status: "todo".to_owned(),
        priority: PRIORITIES.into_iter().find(|word| *word == new.priority).unwrap_or_default(),
        due_at: new.due_at,
        assignee_id: None,
        labels: new.labels,
        position: format!("z{total:010}"),
        created_by: user,
        completed_at: None,
        deleted_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn priority(word: &str) -> i16 {
    (0..).zip(PRIORITIES).find_map(|(number, known)| (known == word).then_some(number)).unwrap_or_default()
}
