//! Indexes that find the tasks with a rare word or label.
//!
//! They hold candidates: each search checks the tasks themselves. Triggers keep them, so that no statement that writes
//! tasks has to know of them, also one of the version before.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::schema::{create, drop, id, key};

/// Splits the list of labels, such as `,one,two,`, of a row on SQLite.
macro_rules! labels_of {
    ($row:literal) => {
        concat!("json_each('[' || replace(json_quote(trim(", $row, r#".labels, ',')), ',', '","') || ']') AS labels"#)
    };
}

/// Adds or removes the labels of a row on SQLite.
macro_rules! change_labels {
    (add $row:literal) => {
        concat!(
            "INSERT OR IGNORE INTO task_labels (label, project_id, task_id) SELECT labels.value, ",
            $row,
            ".project_id, ",
            $row,
            ".id FROM ",
            labels_of!($row),
            " WHERE labels.value <> ''; "
        )
    };
    (remove $row:literal) => {
        concat!(
            "DELETE FROM task_labels WHERE project_id = ",
            $row,
            ".project_id AND task_id = ",
            $row,
            ".id AND label IN (SELECT labels.value FROM ",
            labels_of!($row),
            "); "
        )
    };
}

const KEEP_LABELS_ON_SQLITE: [&str; 3] = [
    concat!(
        "CREATE TRIGGER task_labels_added AFTER INSERT ON tasks WHEN NEW.labels <> ',' BEGIN ",
        change_labels!(add "NEW"),
        "END"
    ),
    concat!(
        "CREATE TRIGGER task_labels_changed AFTER UPDATE OF labels, project_id ON tasks ",
        "WHEN OLD.labels <> NEW.labels OR OLD.project_id <> NEW.project_id BEGIN ",
        change_labels!(remove "OLD"),
        change_labels!(add "NEW"),
        "END"
    ),
    concat!(
        "CREATE TRIGGER task_labels_removed AFTER DELETE ON tasks WHEN OLD.labels <> ',' BEGIN ",
        change_labels!(remove "OLD"),
        "END"
    ),
];

const FILL_LABELS_ON_SQLITE: &str = concat!(
    "INSERT OR IGNORE INTO task_labels (label, project_id, task_id) SELECT labels.value, tasks.project_id, tasks.id ",
    "FROM tasks, ",
    labels_of!("tasks"),
    " WHERE labels.value <> '' ORDER BY 1, 2, 3"
);

const KEEP_LABELS_ON_POSTGRES: &str = r"
CREATE FUNCTION keep_task_labels() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM task_labels WHERE project_id = OLD.project_id AND task_id = OLD.id
            AND label = ANY (string_to_array(OLD.labels, ','));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO task_labels (label, project_id, task_id)
            SELECT label, NEW.project_id, NEW.id FROM unnest(string_to_array(NEW.labels, ',')) AS label WHERE label <> ''
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$function$;
CREATE TRIGGER task_labels_added AFTER INSERT ON tasks FOR EACH ROW WHEN (NEW.labels <> ',')
    EXECUTE FUNCTION keep_task_labels();
CREATE TRIGGER task_labels_changed AFTER UPDATE OF labels, project_id ON tasks FOR EACH ROW
    WHEN (OLD.labels <> NEW.labels OR OLD.project_id <> NEW.project_id) EXECUTE FUNCTION keep_task_labels();
CREATE TRIGGER task_labels_removed AFTER DELETE ON tasks FOR EACH ROW WHEN (OLD.labels <> ',')
    EXECUTE FUNCTION keep_task_labels();
INSERT INTO task_labels (label, project_id, task_id)
    SELECT label, project_id, id FROM tasks, unnest(string_to_array(labels, ',')) AS label WHERE label <> ''
    ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
";

const DROP_LABELS_ON_POSTGRES: &str = "
DROP TRIGGER task_labels_added ON tasks;
DROP TRIGGER task_labels_changed ON tasks;
DROP TRIGGER task_labels_removed ON tasks;
DROP FUNCTION keep_task_labels()
";

/// The index of SQLite: three tables.
///
/// - `task_trigrams` has the characters of the texts in groups of three. It stores no text, because the texts are folded
///   and checked anyway. An entry is found by a number.
/// - `task_trigram_rows` has the numbers. Those of SQLite's own rows change when a database is compacted, as by a backup.
/// - `task_trigram_queue` has the tasks that are not indexed yet, which every search reads too. Their positions add up the
///   lengths of the texts. The task that fills the queue indexes all of them, which costs a tenth of indexing each.
///
/// The queue is filled by 64 KiB of text, or by some 400 tasks without. Segments of the index are merged in small portions,
/// so that no write waits long for one.
const CREATE_TRIGRAMS_ON_SQLITE: [&str; 3] = [
    "CREATE VIRTUAL TABLE task_trigrams USING fts5(search_text, content = '', contentless_delete = 1, detail = none, \
     tokenize = 'trigram case_sensitive 1')",
    "CREATE TABLE task_trigram_rows (number INTEGER PRIMARY KEY, task_id uuid_text NOT NULL UNIQUE)",
    "CREATE TABLE task_trigram_queue (position INTEGER PRIMARY KEY, task_id uuid_text NOT NULL)",
];

/// Appends a row to the queue.
macro_rules! enqueue {
    () => {
        "INSERT INTO task_trigram_queue (position, task_id) \
         SELECT coalesce(max(position), 0) + length(NEW.search_text) + 150, NEW.id FROM task_trigram_queue; "
    };
}

/// Removes a row from the index or the queue.
macro_rules! remove_trigrams {
    () => {
        "DELETE FROM task_trigrams WHERE rowid = (SELECT number FROM task_trigram_rows WHERE task_id = OLD.id); \
         DELETE FROM task_trigram_rows WHERE task_id = OLD.id; \
         DELETE FROM task_trigram_queue WHERE task_id = OLD.id; "
    };
}

const KEEP_TRIGRAMS_ON_SQLITE: [&str; 4] = [
    "CREATE TRIGGER task_trigrams_indexed AFTER INSERT ON task_trigram_queue WHEN NEW.position >= 65536 BEGIN \
     INSERT INTO task_trigram_rows (task_id) SELECT task_id FROM task_trigram_queue ORDER BY position; \
     INSERT INTO task_trigrams (rowid, search_text) SELECT indexed.number, tasks.search_text \
     FROM task_trigram_queue AS queue CROSS JOIN task_trigram_rows AS indexed ON indexed.task_id = queue.task_id \
     CROSS JOIN tasks ON tasks.id = queue.task_id ORDER BY queue.position; \
     INSERT INTO task_trigrams (task_trigrams, rank) VALUES ('merge', 64); \
     DELETE FROM task_trigram_queue; END",
    concat!("CREATE TRIGGER task_trigrams_added AFTER INSERT ON tasks BEGIN ", enqueue!(), "END"),
    concat!(
        "CREATE TRIGGER task_trigrams_changed AFTER UPDATE OF search_text ON tasks ",
        "WHEN OLD.search_text <> NEW.search_text BEGIN ",
        remove_trigrams!(),
        enqueue!(),
        "END"
    ),
    concat!("CREATE TRIGGER task_trigrams_removed AFTER DELETE ON tasks BEGIN ", remove_trigrams!(), "END"),
];

const FILL_TRIGRAMS_ON_SQLITE: [&str; 5] = [
    "INSERT INTO task_trigram_rows (task_id) SELECT id FROM tasks ORDER BY rowid",
    "INSERT INTO task_trigrams (rowid, search_text) SELECT indexed.number, tasks.search_text \
     FROM task_trigram_rows AS indexed CROSS JOIN tasks ON tasks.id = indexed.task_id ORDER BY indexed.number",
    "INSERT INTO task_trigrams (task_trigrams, rank) VALUES ('automerge', 0)",
    "INSERT INTO task_trigrams (task_trigrams, rank) VALUES ('usermerge', 16)",
    "INSERT INTO task_trigrams (task_trigrams, rank) VALUES ('crisismerge', 32)",
];

/// The index of PostgreSQL, where the extension can be had. Without it, searches read all tasks.
///
/// Writes wait while it is created, so the operator creates it for many tasks. New entries are gathered in a list, which
/// every search reads too, and which is short.
///
/// The caught conditions: no permission to create an extension, an extension that is not installed (of two kinds), one in
/// a schema that is not searched, and no schema to create in.
const CREATE_TRIGRAMS_ON_POSTGRES: &str = "
DO $block$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    IF EXISTS (SELECT FROM tasks OFFSET 50000) THEN
        RAISE WARNING 'create the index tasks_by_trigrams for searches, see docs/operations.md';
    ELSE
        CREATE INDEX tasks_by_trigrams ON tasks USING gin (search_text gin_trgm_ops)
            WITH (gin_pending_list_limit = 512);
    END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object
    OR invalid_schema_name THEN
    RAISE WARNING 'searches for words have no index: %', SQLERRM;
END
$block$
";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DatabaseBackend::Postgres;
        create_labels(manager, is_postgres).await?;
        if is_postgres {
            return execute(manager, &[KEEP_LABELS_ON_POSTGRES, CREATE_TRIGRAMS_ON_POSTGRES]).await;
        }
        execute(manager, &KEEP_LABELS_ON_SQLITE).await?;
        execute(manager, &[FILL_LABELS_ON_SQLITE]).await?;
        execute(manager, &CREATE_TRIGRAMS_ON_SQLITE).await?;
        execute(manager, &KEEP_TRIGRAMS_ON_SQLITE).await?;
        execute(manager, &FILL_TRIGRAMS_ON_SQLITE).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            // The extension stays, because others may use it.
            execute(manager, &["DROP INDEX IF EXISTS tasks_by_trigrams", DROP_LABELS_ON_POSTGRES]).await?;
        } else {
            for trigger in [
                "DROP TRIGGER task_labels_added",
                "DROP TRIGGER task_labels_changed",
                "DROP TRIGGER task_labels_removed",
                "DROP TRIGGER task_trigrams_added",
                "DROP TRIGGER task_trigrams_changed",
                "DROP TRIGGER task_trigrams_removed",
            ] {
                execute(manager, &[trigger]).await?;
            }
            drop(manager, &["task_trigram_queue", "task_trigram_rows", "task_trigrams"]).await?;
        }
        drop(manager, &["task_labels"]).await
    }
}

/// Creates the table of labels. Its one index also holds its rows.
async fn create_labels(manager: &SchemaManager<'_>, is_postgres: bool) -> Result<(), DbErr> {
    let mut table = Table::create();
    table
        .table("task_labels")
        .col(key(manager, "label"))
        .col(id("project_id"))
        .col(id("task_id"))
        .primary_key(Index::create().col("label").col("project_id").col("task_id"));
    if !is_postgres {
        table.extra("WITHOUT ROWID");
    }
    create(manager, &mut table, []).await
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
