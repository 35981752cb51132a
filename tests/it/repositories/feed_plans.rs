//! Query plans of the feed: pages are read by the memberships of the reader, and events of other projects are not scanned.

use pocket_tasks::contract::event::EventType;
use pocket_tasks::contract::page::Direction;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{EventFilter, EventRange, Store as _};

use super::feed_order::new_event;
use super::fixtures::{commit, project};
use super::plans::{Planner, word};
use super::raw::Raw;
use super::visible_plans::keeps_whole_statements;
use crate::support::{TestDatabase, databases};
use crate::{on_both_databases, on_sqlite};

/// Join of each row of a table with the first events of its project, on PostgreSQL and on SQLite.
const JOINS: [(&str, &str); 2] = [
    (
        r#"INNER JOIN LATERAL (SELECT "events".*"#,
        r#"CROSS JOIN "events" ON "events"."rowid" IN (SELECT "events"."rowid""#,
    ),
    (r#") AS "events" ON TRUE"#, ")"),
];

/// Number of events of other users.
const FOREIGN: usize = 20_000;

/// Adds many events of other users, in a hundred projects.
async fn add_foreign_events(raw: &mut Raw) {
    let (numbers, id, project) = match raw {
        Raw::Sqlite(_) => (
            format!(
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {FOREIGN}) \
                 INSERT INTO events (sequence, id, type, project_id, occurred_at, data)"
            ),
            "randomblob(16)",
            "unhex(printf('%032x', n % 100))",
        ),
        Raw::Postgres(_) => (
            format!(
                "WITH numbers (n) AS (SELECT generate_series(1, {FOREIGN})) \
                 INSERT INTO events (sequence, id, type, project_id, occurred_at, data)"
            ),
            "gen_random_uuid()",
            "lpad(to_hex(n % 100), 32, '0')::uuid",
        ),
    };
    raw.execute(&format!("{numbers} SELECT n, {id}, 'task.created', {project}, 7, '{{}}' FROM numbers")).await;
    raw.execute(&format!("UPDATE event_sequence SET sequence = {FOREIGN}")).await;
}

/// The statement for SQLite, with additional conditions on the events.
fn page_on_sqlite(direction: Direction, beyond: bool, more: &str) -> String {
    let sign = if direction == Direction::Asc { '>' } else { '<' };
    let beyond = if beyond { format!("AND events.sequence {sign} ?") } else { String::new() };
    let order = format!("ORDER BY events.sequence {}", word(direction));
    let first = |of: &str| {
        format!(
            "CROSS JOIN events ON events.rowid IN (SELECT events.rowid FROM events WHERE events.project_id = \
             {of}.project_id AND (events.type NOT IN (?, ?, ?, ?) OR {of}.role = ?) {more} {beyond} {order} LIMIT ?)"
        )
    };
    let (head, rest) = (first("members"), first("top"));
    format!(
        "SELECT events.* FROM (SELECT members.project_id, members.role FROM members {head} WHERE members.user_id = ? \
         {order} LIMIT ?) AS top {rest} {order} LIMIT ?"
    )
}

/// Asserts that only events of the reader's projects are read, and at most one page of each.
async fn reads_few(planner: &mut Planner, sql: &str) {
    let plan = planner.generic_plan(sql).await.replace('"', "");
    let (found, forbidden): (&str, &[&str]) = match planner.raw {
        Raw::Sqlite(_) => ("events USING INDEX events_by_project (project_id=?", &["SCAN events", "AUTOMATIC"]),
        Raw::Postgres(_) => ("events_by_project on events", &["Seq Scan on events", "events_pkey", "Bitmap"]),
    };
    assert_eq!(plan.replace("COVERING ", "").matches(found).count(), 2, "{sql}:\n{plan}");
    for sign in forbidden {
        assert!(!plan.contains(sign), "{sql}:\n{plan}");
    }
}

/// Asserts that events are read in order from the beginning of the page, and memberships by their key.
async fn reads_the_sequence(planner: &mut Planner, sql: &str) {
    let plan = planner.generic_plan(sql).await;
    let found: [&str; 2] = match planner.raw {
        Raw::Sqlite(_) => {
            ["SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "(project_id=? AND user_id=?)"]
        }
        Raw::Postgres(_) => ["using events_pkey on events", "on members"],
    };
    for found in found {
        assert!(plan.contains(found), "{found}: {sql}:\n{plan}");
    }
    for sign in ["SCAN ", "TEMP B-TREE", "AUTOMATIC", "Seq Scan on events", "Sort", "hashed"] {
        assert!(!plan.contains(sign), "{sql}:\n{plan}");
    }
}

async fn add_own_event(store: &SeaStore, planner: &Planner) {
    let event = new_event(planner.project.id, EventType::TaskUpdated);
    commit(store, async |transaction| transaction.events().append(&[event]).await.unwrap()).await;
}

on_both_databases! {
    async fn a_feed_page_is_read_by_the_projects_of_the_reader(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        if database.is_postgres() && !keeps_whole_statements(&mut planner).await {
            return;
        }
        add_foreign_events(&mut planner.raw).await;
        let store = database.store().await;
        let sqlite = databases::sqlite().await;
        // With few projects and with many.
        for more in [2, 60] {
            for _ in 0..more {
                let project = project(&store, &planner.user).await;
                let events: Vec<_> = (0..20).map(|_| new_event(project.id, EventType::TaskUpdated)).collect();
                commit(&store, async |transaction| transaction.events().append(&events).await.unwrap()).await;
            }
            planner.raw.execute("ANALYZE").await;
            if database.is_postgres() {
                // Planned without the values of parameters, like the program's statements.
                planner.raw.execute("SET enable_seqscan = on; SET enable_bitmapscan = on").await;
            }
            for (direction, beyond) in
                [Direction::Asc, Direction::Desc].into_iter().flat_map(|way| [(way, None), (way, Some(FOREIGN / 2))])
            {
                let beyond = beyond.map(|place| i64::try_from(place).unwrap());
                for filter in [
                    EventFilter::default(),
                    EventFilter { project: None, kinds: vec![EventType::TaskUpdated, EventType::MemberAdded] },
                    EventFilter { project: Some(planner.project.id), kinds: Vec::new() },
                ] {
                    let walk = EventRange { after: beyond, direction, limit: 21 };
                    let found = store.read().events().list(planner.user.id, &filter, walk).await.unwrap();
                    assert!(found.iter().all(|event| event.sequence > i64::try_from(FOREIGN).unwrap()));
                    if !database.is_postgres() {
                        // Written by hand, because SQLite does not report its statements; verified below.
                        reads_few(&mut planner, &page_on_sqlite(direction, beyond.is_some(), "")).await;
                        continue;
                    }
                    let order = format!(r#""top"%ORDER BY "events"."sequence" {}"#, word(direction));
                    let sent = planner.sent(&order).await;
                    reads_few(&mut planner, &sent).await;
                    // The statement for SQLite differs only in the joins and the names of parameters.
                    let sent = JOINS.iter().fold(sent, |sent, (postgres, sqlite)| sent.replace(postgres, sqlite));
                    reads_few(&mut Planner::new(&sqlite).await, &sent).await;
                }
            }
        }
        sqlite.remove().await;
    }

    async fn a_feed_page_of_a_reader_of_many_projects_is_searched_in_the_sequence(database: TestDatabase) {
        let (mut planner, store) = (Planner::new(&database).await, database.store().await);
        if database.is_postgres() && !keeps_whole_statements(&mut planner).await {
            return;
        }
        add_foreign_events(&mut planner.raw).await;
        for _ in 0..100 {
            project(&store, &planner.user).await;
        }
        planner.raw.execute("ANALYZE").await;
        let sqlite = databases::sqlite().await;
        for direction in [Direction::Asc, Direction::Desc] {
            let word = word(direction);
            if !database.is_postgres() {
                // Written by hand, because SQLite does not report its statements; verified below.
                let role = "(SELECT members.role FROM members WHERE members.project_id = events.project_id \
                            AND members.user_id = ?)";
                let sql = format!(
                    "SELECT events.* FROM events WHERE events.sequence BETWEEN ? AND ? AND {role} IS NOT NULL \
                     AND (events.type NOT IN (?, ?, ?, ?) OR {role} = ?) ORDER BY events.sequence {word} LIMIT ?"
                );
                reads_the_sequence(&mut planner, &sql).await;
                continue;
            }
            // The events are of other users, so the projects are read too.
            planner.raw.execute("SET enable_seqscan = on; SET enable_bitmapscan = on").await;
            let events = store.read().events();
            let walk = EventRange { after: Some(10_000), direction, limit: 21 };
            assert_eq!(events.list(planner.user.id, &EventFilter::default(), walk).await.unwrap(), []);
            planner.sent(&format!(r#""top"%ORDER BY "events"."sequence" {word}"#)).await;
            add_own_event(&store, &planner).await;
            let walk = EventRange { after: (direction == Direction::Asc).then_some(20_000), direction, limit: 1 };
            assert_eq!(events.list(planner.user.id, &EventFilter::default(), walk).await.unwrap().len(), 1);
            let sent = planner.sent(&format!(r#"BETWEEN%ORDER BY "events"."sequence" {word}"#)).await;
            reads_the_sequence(&mut planner, &sent).await;
            // The statement for SQLite differs only in the names of parameters.
            reads_the_sequence(&mut Planner::new(&sqlite).await, &sent).await;
        }
        sqlite.remove().await;
    }

    async fn a_rare_type_is_found_in_the_index(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        if !database.is_postgres() {
            let plan = planner.generic_plan(&page_on_sqlite(Direction::Desc, true, "AND events.type IN (?)")).await;
            assert_eq!(plan.matches("COVERING INDEX events_by_project (project_id=?").count(), 2, "{plan}");
            return;
        }
        if !keeps_whole_statements(&mut planner).await {
            return;
        }
        let filter = EventFilter { project: None, kinds: vec![EventType::ProjectRestored] };
        let walk = EventRange { after: Some(7), direction: Direction::Desc, limit: 21 };
        database.store().await.read().events().list(planner.user.id, &filter, walk).await.unwrap();
        let sent = planner.sent(r#""top"%ORDER BY "events"."sequence" DESC"#).await;
        let plan = planner.generic_plan(&sent).await;
        let conditions = plan.lines().filter(|line| line.contains("Index Cond") && line.contains("sequence"));
        assert_eq!(conditions.filter(|line| line.contains("type")).count(), 2, "{plan}");
    }

    async fn new_events_are_read_from_their_start(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        add_foreign_events(&mut planner.raw).await;
        planner.raw.execute("ANALYZE").await;
        let [first, second] = if database.is_postgres() { ["$1", "$2"] } else { ["?", "?"] };
        let sql = format!("SELECT * FROM events WHERE sequence > {first} ORDER BY sequence ASC LIMIT {second}");
        let plan = planner.generic_plan(&sql).await;
        let found =
            if database.is_postgres() { "Index Scan using events_pkey" } else { "INTEGER PRIMARY KEY (rowid>?)" };
        assert!(plan.contains(found) && !plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{plan}");
        let sql =
            format!("SELECT sequence FROM events WHERE occurred_at < {first} ORDER BY occurred_at LIMIT {second}");
        let plan = planner.generic_plan(&sql).await;
        assert!(plan.contains("events_by_time") && !plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

on_sqlite! {
    async fn statistics_of_a_small_feed_lead_to_no_scan_of_a_large_one(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        planner.raw.execute("ANALYZE").await;
        // As `PRAGMA optimize` leaves them when a server stops.
        for (table, index, statistics) in [
            ("events", "events_by_project", "256 29 1 1"),
            ("events", "sqlite_autoindex_events_1", "256 1"),
            ("members", "members_by_user", "22 4 1"),
        ] {
            planner.raw.execute(&format!("DELETE FROM sqlite_stat1 WHERE idx = '{index}'")).await;
            planner.raw.execute(&format!("INSERT INTO sqlite_stat1 VALUES ('{table}', '{index}', '{statistics}')")).await;
        }
        planner.raw.execute("ANALYZE sqlite_schema").await;
        for direction in [Direction::Asc, Direction::Desc] {
            reads_few(&mut planner, &page_on_sqlite(direction, true, "")).await;
        }
    }
}
