//! The schema of the last release, which the current schema must contain.
//!
//! In a rolling update, and after a rollback, the program of the last release runs on the current schema. Its queries name
//! columns, so it needs each of them as it was, and no others that it would have to fill.

use std::collections::{BTreeMap, BTreeSet};

use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Columns of version 0.2.0, one per line: type on SQLite and PostgreSQL, whether it is required, whether it has a default.
///
/// It is replaced when a version is released, not with a migration.
const RELEASED: &str = include_str!("released_schema.txt");

fn table(column: &str) -> &str {
    column.split_once('.').unwrap().0
}

/// Type, and whether a column is required and has a default, by `table.column`.
async fn columns(database: &TestDatabase) -> BTreeMap<String, String> {
    let columns = if database.is_postgres() {
        "SELECT concat_ws(' ', table_name || '.' || column_name, replace(data_type, ' ', '_'), \
         CASE is_nullable WHEN 'NO' THEN 'required' ELSE 'nullable' END, \
         CASE WHEN column_default IS NULL THEN '-' ELSE 'default' END) AS line \
         FROM information_schema.columns WHERE table_schema = 'public'"
    } else {
        "SELECT tables.name || '.' || columns.name || ' ' || columns.type || \
         CASE columns.\"notnull\" WHEN 1 THEN ' required ' ELSE ' nullable ' END || \
         CASE WHEN columns.dflt_value IS NULL THEN '-' ELSE 'default' END AS line \
         FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns \
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%'"
    };
    let lines = Raw::connect(database).await.texts(columns, "line").await;
    lines.iter().map(|line| line.split_once(' ').unwrap()).map(|(name, rest)| (name.into(), rest.into())).collect()
}

on_both_databases! {
    async fn the_program_of_the_last_release_runs_on_the_current_schema(database: TestDatabase) {
        let current = columns(&database).await;
        let released: BTreeMap<&str, String> = RELEASED
            .lines()
            .map(|line| {
                let [name, sqlite, postgres, required, default] = line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                let kind = if database.is_postgres() { postgres } else { sqlite };
                (name, format!("{kind} {required} {default}"))
            })
            .collect();
        let changed: Vec<_> = released.iter().filter(|(name, column)| current.get(**name) != Some(*column)).collect();
        assert!(changed.is_empty(), "the last release needs these columns as they were: {changed:#?}");
        let tables: BTreeSet<&str> = released.keys().map(|name| table(name)).collect();
        let unfilled: Vec<_> = current
            .iter()
            .filter(|(name, column)| tables.contains(table(name)) && !released.contains_key(name.as_str()) && column.ends_with("required -"))
            .collect();
        assert!(unfilled.is_empty(), "the last release does not fill these columns: {unfilled:#?}");
    }
}
