//! Fills a large project by SQL; requests would take an hour.
//!
//! The rows are those that the server would have written (`src/database`, `src/services/task/fractional_index.rs`). They
//! are computed from their numbers, so both databases hold the same. There are many ties: three tasks share a time of
//! creation, 20 of a million a title, 300 a due time, and a third has none. The order by title or due time is unrelated
//! to the order of the rows. All texts have the same length, so every page has the same size.

use anyhow::{Context as _, Result, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::databases::{Content, DESCRIPTION};

/// Time of creation of the first task: the beginning of 2025.
const BEGIN: i64 = 1_735_689_600_000;

/// Environment variable with a number of tasks.
const VARIABLE: &str = "BENCH_TASKS";

/// Returns the number of tasks of a large project: that of `BENCH_TASKS`, or the default.
pub(crate) fn tasks(default: i64) -> Result<i64> {
    let Ok(tasks) = std::env::var(VARIABLE) else { return Ok(default) };
    let tasks = tasks.parse().with_context(|| format!("{VARIABLE} must be a number"))?;
    ensure!((1..=15_000_000).contains(&tasks), "{VARIABLE} must be 1 to 15000000");
    Ok(tasks)
}

/// Inserts `$4` tasks. The databases differ only in the expression for an id, a `UUIDv7` with the number of the task in
/// place of the random bits.
///
/// A position has one digit for the first 62 tasks, two for the next 62², and so on.
macro_rules! fill {
    ($id:literal) => {
        concat!(
            r#"
WITH RECURSIVE
"numbers" ("n") AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT "n" + 1 FROM "numbers" WHERE "n" + 1 < $4),
"facts" ("n", "time", "title", "due", "digits", "key") AS (
    SELECT
        "n",
        $5 + "n" / 3 * 60000,
        'Order tiles of kind ' || (100000 + "n" * 7919 % 50021),
        CASE WHEN "n" % 3 > 0 THEN $5 + "n" * 104729 % 2003 * 3600000 END,
        CASE WHEN "n" < 62 THEN 1 WHEN "n" < 3906 THEN 2 WHEN "n" < 242234 THEN 3 ELSE 4 END,
        "n" - CASE WHEN "n" < 62 THEN 0 WHEN "n" < 3906 THEN 62 WHEN "n" < 242234 THEN 3906 ELSE 242234 END
    FROM "numbers"
),
"rows" AS (
    SELECT
        "facts".*,
        "n" % 4 = 0 AS "done",
        substr($6, CAST("key" / 238328 % 62 AS INTEGER) + 1, 1) || substr($6, CAST("key" / 3844 % 62 AS INTEGER) + 1, 1)
            || substr($6, CAST("key" / 62 % 62 AS INTEGER) + 1, 1) || substr($6, CAST("key" % 62 AS INTEGER) + 1, 1)
            AS "four_digits"
    FROM "facts"
)
INSERT INTO "tasks" ("id", "project_id", "title", "title_key", "search_text", "description", "status", "priority",
    "due_at", "due_key", "labels", "position", "created_by", "completed_at", "version", "created_at", "updated_at")
SELECT
    "#,
            $id,
            r#",
    $1, "title", lower("title"), lower("title") || $7, $3,
    CASE WHEN "done" THEN 'done' WHEN "n" % 4 = 1 THEN 'in_progress' ELSE 'todo' END,
    "n" % 5,
    "due", coalesce("due", 9223372036854775807),
    ',kitchen,shopping,',
    substr('abcd', "digits", 1) || substr("four_digits", 5 - "digits"),
    $2,
    CASE WHEN "done" THEN "time" + 3600000 END,
    CASE WHEN "done" THEN 2 ELSE 1 END,
    "time", CASE WHEN "done" THEN "time" + 3600000 ELSE "time" END
FROM "rows""#
        )
    };
}

const FILL_SQLITE: &str = fill!(r#"unhex(printf('%012x7%03x8%015x', "time", "n" % 3, "n"))"#);

const FILL_POSTGRES: &str = fill!(
    r#"CAST(lpad(to_hex("time"), 12, '0') || '7' || lpad(to_hex("n" % 3), 3, '0')
        || '8' || lpad(to_hex("n"), 15, '0') AS uuid)"#
);

/// Updates the counters of the project.
const COUNT: &str = r#"UPDATE "projects" SET
    "task_total" = (SELECT count(*) FROM "tasks" WHERE "project_id" = $1),
    "task_done" = (SELECT count(*) FROM "tasks" WHERE "project_id" = $1 AND "status" = 'done'),
    "last_position" = (SELECT max("position") FROM "tasks" WHERE "project_id" = $1)
    WHERE "id" = $1"#;

/// Digits of positions.
const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fills a project in one transaction, then analyses the tables, which would otherwise happen during the measurement.
macro_rules! fill_by {
    ($connection:expr, $sql:ident, $project:expr, $user:expr, $tasks:expr, $tidy:literal) => {{
        let mut transaction = $connection.begin().await?;
        sqlx::query($sql)
            .bind($project)
            .bind($user)
            .bind(DESCRIPTION)
            .bind($tasks)
            .bind(BEGIN)
            .bind(DIGITS)
            .bind(format!("\n{}", DESCRIPTION.to_lowercase()))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(COUNT).bind($project).execute(&mut *transaction).await?;
        transaction.commit().await?;
        $connection.execute($tidy).await?;
        $connection.close().await?;
    }};
}

/// Fills an empty project. The server must not run.
pub(crate) async fn fill(url: &str, project: &str, content: &Content, tasks: i64) -> Result<()> {
    let [project, user] = [Uuid::parse_str(project)?, Uuid::parse_str(&content.user)?];
    if url.starts_with("sqlite:") {
        // A gigabyte of cache, because writes to the indexes are scattered.
        let options = url.parse::<SqliteConnectOptions>()?;
        let options = options.synchronous(SqliteSynchronous::Off).pragma("cache_size", "-1000000");
        let mut connection = SqliteConnection::connect_with(&options).await?;
        fill_by!(connection, FILL_SQLITE, project, user, tasks, "ANALYZE");
    } else {
        let mut connection = PgConnection::connect(url).await?;
        fill_by!(connection, FILL_POSTGRES, project, user, tasks, "VACUUM ANALYZE");
    }
    Ok(())
}
