//! Query plans of searches on PostgreSQL, and searches without its extension. Those of SQLite are tested where they are
//! built (`src/database/task_candidates.rs`), because SQLite does not report its statements.

use std::io::Write as _;
use std::time::Duration;

use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::contract::page::Total;
use pocket_tasks::contract::strings::{Label, TaskTitle};
use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::database::{SeaStore, Settings};
use pocket_tasks::repositories::{CursorRequest, Store as _, TaskFilter};

use super::fixtures::{all, asc};
use super::plans::Planner;
use super::raw::Raw;
use super::task_search::Crowd;
use super::visible_plans::keeps_whole_statements;
use crate::support::databases::{postgres, postgres_without_schema};

/// Statements with which the operator creates the index later, as in `docs/operations.md`.
const OPERATOR: [&str; 2] = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX CONCURRENTLY tasks_by_trigrams ON tasks USING gin (search_text gin_trgm_ops) \
     WITH (gin_pending_list_limit = 512)",
];

/// Returns whether the server has the extension. Some installations do not.
async fn has_extension(raw: &mut Raw) -> bool {
    let found = raw.texts("SELECT name AS line FROM pg_available_extensions WHERE name = 'pg_trgm'", "line").await;
    if found.is_empty() {
        // Bypasses the output capture of the test harness.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED on PostgreSQL: indexes of words; it has no extension pg_trgm");
    }
    !found.is_empty()
}

fn zanzibar() -> TaskFilter {
    TaskFilter { terms: vec!["zanzibar".to_owned()], ..TaskFilter::default() }
}

fn with_rare(number: usize, task: Task) -> Task {
    if number == 1_200 {
        Task { title: TaskTitle::new_unchecked("zanzibar"), labels: vec![Label::new_unchecked("rare")], ..task }
    } else {
        task
    }
}

#[tokio::test]
async fn rare_words_and_labels_are_found_by_an_index_on_postgres() {
    let Some(database) = postgres().await else { return };
    let mut planner = Planner::new(&database).await;
    if keeps_whole_statements(&mut planner).await {
        let crowd = Crowd::new(&database, with_rare).await;
        let rare = TaskFilter { labels: vec![Label::new_unchecked("rare")], ..TaskFilter::default() };
        let has_words = has_extension(&mut planner.raw).await;
        // The index of words has no order, so only bitmaps use it.
        for (filter, index, bitmaps, others) in [
            (zanzibar(), "Bitmap Index Scan on tasks_by_trigrams", "on", "off"),
            (rare, "using task_labels_pkey", "off", "on"),
        ] {
            if !has_words && !filter.terms.is_empty() {
                continue;
            }
            let scans = format!("SET enable_bitmapscan = {bitmaps}; SET enable_indexscan = {others}");
            planner.raw.execute(&scans).await;
            let request = CursorRequest { sort: asc(TaskSort::CreatedAt), after: None, limit: 20 };
            let lists = crowd.store.read().task_lists();
            // In all projects, an index finds a word among more tasks than these.
            for in_project in if filter.labels.is_empty() { &[true][..] } else { &[true, false] } {
                let in_project = *in_project;
                let found = if in_project {
                    let page = lists.list_in_project_by_cursor(crowd.home.id, crowd.reader.id, &filter, &request).await;
                    page.unwrap().unwrap().page.items
                } else {
                    lists.list_visible_by_cursor(crowd.reader.id, &filter, &request).await.unwrap().page.items
                };
                assert_eq!(found.len(), 1);
                let sent = planner.sent(r#"AS "candidates" CROSS JOIN "tasks"%ORDER BY"#).await;
                let plan = planner.generic_plan(&sent).await;
                assert!(plan.contains(index) && plan.contains("tasks_pkey"), "{sent}:\n{plan}");
                for sign in ["Seq Scan", "tasks_by_creation"] {
                    assert!(!plan.contains(sign), "{sent}:\n{plan}");
                }
            }
        }
    }
    drop(planner);
    database.remove().await;
}

#[tokio::test]
async fn without_the_extension_searches_find_the_same_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let mut raw = Raw::connect(&database).await;
    let role = format!("no_extensions_{}", new_uuid().simple());
    // It may create tables, but no extension.
    raw.execute(&format!("CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}")).await;
    let settings = Settings {
        url: format!("{}?options[role]={role}", database.url).into(),
        max_connections: 5,
        migrate: true,
        statement_timeout: Duration::from_secs(30),
    };
    let store = SeaStore::open(&settings).await.unwrap();
    let indexes = "SELECT indexname AS line FROM pg_indexes WHERE indexname = 'tasks_by_trigrams'";
    assert_eq!(raw.texts(indexes, "line").await, Vec::<String>::new());
    let (crowd, filter) = (Crowd::new(&database, with_rare).await, zanzibar());
    for is_indexed in [false, true] {
        let page = store.read_unindexed().task_lists();
        let page = page.list_in_project(crowd.home.id, crowd.reader.id, &filter, asc(TaskSort::CreatedAt), all());
        let page = page.await.unwrap().unwrap().page;
        assert_eq!((page.items.len(), page.total), (1, Total::exact(1)));
        if is_indexed {
            assert_eq!(raw.texts(indexes, "line").await, ["tasks_by_trigrams"]);
        } else if has_extension(&mut raw).await {
            for statement in OPERATOR {
                raw.execute(statement).await;
            }
        } else {
            break;
        }
    }
    // With the index of the operator.
    store.roll_back(Some(1)).await.unwrap();
    store.close().await;
    raw.execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    drop(raw);
    database.remove().await;
}
