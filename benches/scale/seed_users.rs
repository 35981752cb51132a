//! Fills a database by SQL with many projects of one user, of which others are members.

use anyhow::{Context as _, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::databases::DESCRIPTION;

/// Time of creation of the first project: the beginning of 2025.
const BEGIN: i64 = 1_735_689_600_000;

/// Users, and numbers of projects and tasks.
pub(crate) struct SeedUsers<'a> {
    /// Id of the owner of all projects.
    pub(crate) owner: &'a str,
    /// Id of a member of all projects.
    pub(crate) everywhere: &'a str,
    /// Id of a member of the first few projects.
    pub(crate) somewhere: &'a str,
    pub(crate) projects: i64,
    /// Number of projects of `somewhere`.
    pub(crate) few: i64,
    pub(crate) tasks: i64,
}

/// SQL expressions of an engine.
struct Dialect {
    /// Builds a `UUIDv7` from a time and a number.
    id: fn(&str, &str) -> String,
    /// Builds the literal of an id.
    known: fn(Uuid) -> String,
    /// Builds eight digits that sort like the number.
    digits: fn(&str) -> String,
}

const SQLITE: Dialect = Dialect {
    id: |time, number| format!("unhex(printf('%012x7%03x8%015x', {time}, {number} % 3, {number}))"),
    known: |id| format!("x'{}'", id.simple()),
    digits: |number| format!("printf('%08x', {number})"),
};

const POSTGRES: Dialect = Dialect {
    id: |time, number| {
        format!(
            "CAST(lpad(to_hex({time}), 12, '0') || '7' || lpad(to_hex({number} % 3), 3, '0') || '8' \
             || lpad(to_hex({number}), 15, '0') AS uuid)"
        )
    },
    known: |id| format!("CAST('{id}' AS uuid)"),
    digits: |number| format!("lpad(to_hex({number}), 8, '0')"),
};

/// Returns the statements in order. No sort order of tasks is that of the rows, and every project has tasks of every
/// kind; 20 of a million tasks share a title and 300 a due time.
fn statements(dialect: &Dialect, users: &SeedUsers<'_>) -> Result<[String; 5]> {
    let SeedUsers { projects, few, tasks, .. } = users;
    let [owner, everywhere, somewhere] =
        [users.owner, users.everywhere, users.somewhere].map(|id| Uuid::parse_str(id).map(dialect.known));
    let (owner, everywhere, somewhere) = (owner?, everywhere?, somewhere?);
    let numbers = |end: &i64| {
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {end})"
        )
    };
    let made = |number: &str| format!("({BEGIN} + ({number}) * 1000)");
    let project = |number: &str| (dialect.id)(&made(number), number);
    let home = format!("(n * 7919 / 10 % {projects})");
    let member = |user: &str, end: &i64| {
        format!(
            "INSERT INTO members (project_id, user_id, role, joined_at) SELECT id, {user}, 'editor', created_at \
             FROM projects WHERE owner_id = {owner} AND created_at < {}",
            made(&end.to_string())
        )
    };
    Ok([
        format!(
            "INSERT INTO projects (id, owner_id, name, name_key, search_text, description, archived, task_total, task_done, \
             last_position, version, created_at, updated_at) {} SELECT {}, {owner}, 'Kitchen ' || n * 7919 % 10007, \
             'kitchen ' || n * 7919 % 10007, 'kitchen ' || n * 7919 % 10007, '{DESCRIPTION}', FALSE, 0, 0, '', 1, \
             {created}, {created} FROM numbers",
            numbers(projects),
            project("n"),
            created = made("n"),
        ),
        member(&everywhere, projects),
        member(&somewhere, few),
        format!(
            "INSERT INTO tasks (id, project_id, title, title_key, search_text, description, status, priority, due_at, \
             due_key, labels, position, created_by, completed_at, version, created_at, updated_at) {}, \
             facts (n, made, title, due) AS (SELECT n, {BEGIN} + n / 3 * 60000, 'Order tiles of kind ' || (100000 + n * 7919 % 50021), \
             CASE WHEN n % 3 > 0 THEN {BEGIN} + n * 104729 % 2003 * 3600000 END FROM numbers) \
             SELECT {id}, {home}, title, lower(title), lower(title), '{DESCRIPTION}', \
             CASE WHEN n % 4 = 0 THEN 'done' ELSE 'todo' END, n % 5, due, coalesce(due, 9223372036854775807), \
             ',kitchen,shopping,', 'd' || {digits}, {owner}, CASE WHEN n % 4 = 0 THEN made END, 1, made, made FROM facts",
            numbers(tasks),
            id = (dialect.id)("made", "n"),
            home = project(&home),
            digits = (dialect.digits)("n"),
        ),
        // Counters of the projects.
        format!(
            "UPDATE projects SET (task_total, task_done, last_position) = (SELECT count(*), \
             coalesce(sum(CASE WHEN status = 'done' THEN 1 ELSE 0 END), 0), coalesce(max(position), '') FROM tasks \
             WHERE project_id = projects.id) WHERE owner_id = {owner}"
        ),
    ])
}

/// Runs the statements in one transaction, then analyses the tables, which would otherwise happen later.
macro_rules! fill_by {
    ($connection:expr, $dialect:expr, $users:expr, $tidy:literal) => {{
        let mut transaction = $connection.begin().await?;
        for statement in statements(&$dialect, $users)? {
            let context = statement.chars().take(40).collect::<String>();
            transaction.execute(AssertSqlSafe(statement)).await.context(context)?;
        }
        transaction.commit().await?;
        $connection.execute($tidy).await?;
        $connection.close().await?;
    }};
}

/// Fills a database. The server must not run.
pub(crate) async fn fill(url: &str, users: &SeedUsers<'_>) -> Result<()> {
    if url.starts_with("sqlite:") {
        // A gigabyte of cache, because writes to the indexes are scattered.
        let options = url.parse::<SqliteConnectOptions>()?;
        let options = options.synchronous(SqliteSynchronous::Off).pragma("cache_size", "-1000000");
        let mut connection = SqliteConnection::connect_with(&options).await?;
        fill_by!(connection, SQLITE, users, "ANALYZE");
    } else {
        let mut connection = PgConnection::connect(url).await?;
        fill_by!(connection, POSTGRES, users, "VACUUM ANALYZE");
    }
    Ok(())
}
