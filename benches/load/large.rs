//! A large project, filled by SQL: one request after the other would take an hour.
//!
//! The rows equal those that the program would write. They are computed from numbers, so both databases have the same. There
//! are realistic ties: three tasks share a time of creation, 20 of a million a title, 300 a due time, and a third has no due
//! time. The order by title or due time is unrelated to that of the rows. All texts have the same length, so all pages have
//! the same size.

use anyhow::{Context as _, Result, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::data::{Content, DESCRIPTION};

/// Creation time of the first task: the beginning of 2025.
const BEGIN: i64 = 1_735_689_600_000;

/// Variable that reduces the size of projects.
const VARIABLE: &str = "BENCH_TASKS";

/// Number of tasks in a large project: the default or the value of the variable.
pub(crate) fn tasks(usual: i64) -> Result<i64> {
    let Ok(tasks) = std::env::var(VARIABLE) else { return Ok(usual) };
    let tasks = tasks.parse().with_context(|| format!("{VARIABLE} must be a number"))?;
    ensure!((1..=15_000_000).contains(&tasks), "{VARIABLE} must be 1 to 15000000");
    Ok(tasks)
}

/// Makes `$4` tasks; how to write an id is the only difference between the databases. It is a `UUIDv7` with a number
/// where others are random: 16 hexadecimal digits with the time and the version, and 16 with the variant.
///
/// A key of a position (`key`) has one digit for the first 62 tasks, two for the next 62², and so on.
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

/// Counters of the project.
const COUNT: &str = r#"UPDATE "projects" SET
    "task_total" = (SELECT count(*) FROM "tasks" WHERE "project_id" = $1),
    "task_done" = (SELECT count(*) FROM "tasks" WHERE "project_id" = $1 AND "status" = 'done'),
    "last_position" = (SELECT max("position") FROM "tasks" WHERE "project_id" = $1)
    WHERE "id" = $1"#;

/// Digits of positions.
const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fills a project by one connection, in one transaction; then the tables are tidied up, which else would happen at some
/// time during the measurement.
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

/// Fills an empty project. The server must not be running.
pub(crate) async fn fill(url: &str, project: &str, content: &Content, tasks: i64) -> Result<()> {
    let [project, user] = [Uuid::parse_str(project)?, Uuid::parse_str(&content.user)?];
    if url.starts_with("sqlite:") {
        // A cache of one gigabyte for the pages of indexes, which are written at random.
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
