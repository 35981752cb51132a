//! The inventory of what refers to an account, compared with the schema.

use std::collections::BTreeSet;

use pocket_tasks::services::{OnReset, REFERENCES};

use super::raw::Raw;
use super::schema::Empty;
use crate::on_both_databases;

/// Names of columns that hold a user even where no foreign key says so.
fn names_a_user(column: &str) -> bool {
    column.ends_with("user_id")
        || column.ends_with("_by")
        || ["actor", "author", "assignee", "owner"].iter().any(|role| column == format!("{role}_id"))
}

fn table(reference: &str) -> &str {
    reference.split_once('.').map_or(reference, |(table, _)| table)
}

/// Every column as `table.column`, and every foreign key as `table.column table`. Without the tables that are an index of
/// tasks on SQLite.
async fn columns_and_keys(raw: &mut Raw, is_postgres: bool) -> (Vec<String>, Vec<String>) {
    let (columns, keys) = if is_postgres {
        (
            "SELECT table_name || '.' || column_name AS place FROM information_schema.columns \
             WHERE table_schema = 'public'",
            "SELECT conrelid::regclass::text || '.' || attname || ' ' || confrelid::regclass::text AS place \
             FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey) \
             WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
        )
    } else {
        (
            "SELECT tables.name || '.' || columns.name AS place FROM sqlite_schema AS tables \
             JOIN pragma_table_info(tables.name) AS columns \
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%' AND tables.name NOT LIKE 'task_trigram%'",
            "SELECT tables.name || '.' || keys.\"from\" || ' ' || keys.\"table\" AS place FROM sqlite_schema AS tables \
             JOIN pragma_foreign_key_list(tables.name) AS keys WHERE tables.type = 'table'",
        )
    };
    (raw.texts(columns, "place").await, raw.texts(keys, "place").await)
}

on_both_databases! {
    async fn every_reference_to_an_account_is_in_the_inventory(empty: Empty) {
        let store = empty.open(true).await.unwrap();
        let mut raw = Raw::connect(&empty.0).await;
        let (columns, keys) = columns_and_keys(&mut raw, empty.0.is_postgres()).await;
        drop(raw);
        store.close().await;
        empty.0.remove().await;

        let listed: BTreeSet<&str> = REFERENCES.iter().map(|(reference, _)| *reference).collect();
        assert_eq!(listed.len(), REFERENCES.len(), "a reference is listed twice");
        let tables: BTreeSet<&str> = columns.iter().map(|column| table(column)).collect();
        assert_eq!(
            listed.iter().map(|reference| table(reference)).collect::<BTreeSet<_>>(), tables,
            "a password reset must know every table: add it to REFERENCES in src/services/account/grants.rs"
        );
        let gone: Vec<_> = listed.iter()
            .filter(|reference| reference.contains('.') && !columns.iter().any(|column| column == **reference))
            .collect();
        assert!(gone.is_empty(), "not in the schema: {gone:?}");

        // A row that belongs to a grant may be a grant itself.
        let grants: BTreeSet<&str> = REFERENCES.iter()
            .filter(|(_, effect)| matches!(effect, OnReset::Ended(_)))
            .map(|(reference, _)| table(reference))
            .collect();
        let keyed = keys.iter().filter_map(|key| {
            let (column, target) = key.split_once(' ').unwrap();
            (target == "users" || grants.contains(target)).then_some(column)
        });
        let named = columns.iter().map(String::as_str)
            .filter(|column| names_a_user(column.split_once('.').unwrap().1));
        let required: BTreeSet<&str> = keyed.chain(named).collect();
        assert!(required.contains("sessions.user_id") && required.contains("deliveries.webhook_id"), "{required:?}");
        let missing: Vec<_> = required.difference(&listed).collect();
        assert!(
            missing.is_empty(),
            "a password reset must know these: add them to REFERENCES in src/services/account/grants.rs: {missing:?}"
        );
    }
}

#[test]
fn every_kept_reference_has_a_reason() {
    for (reference, effect) in REFERENCES {
        if let OnReset::Kept(reason) = effect {
            assert!(reason.len() > 20 && reason.ends_with('.'), "{reference}: {reason}");
        }
    }
}
