//! Folds the text that is compared and searched by the rules of Unicode instead of to lower case.
//!
//! Labels are compared in Normalization Form C, so those stored before get it. Other text stays as it was written.

use caseless::Caseless as _;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{QueryResult, TryGetable};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

/// Number of rows per statement.
const PORTION: u64 = 500;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        fold_table(manager, "projects", ("name", "name_key"), None).await?;
        fold_table(manager, "tasks", ("title", "title_key"), Some("labels")).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

/// Folds the rows of a table, as of this migration: the function of the program may change, with another migration.
fn fold(text: &str) -> String {
    let folded: String = text.nfd().default_case_fold().nfd().collect();
    folded.replace("i\u{307}", "i").nfc().collect()
}

async fn fold_table(
    manager: &SchemaManager<'_>,
    table: &'static str,
    (name, name_key): (&'static str, &'static str),
    labels: Option<&'static str>,
) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let mut after: Option<Uuid> = None;
    loop {
        let mut rows = Query::select();
        rows.columns(["id", name, "description", name_key, "search_text"]).from(table).order_by("id", Order::Asc);
        rows.limit(PORTION).columns(labels);
        if let Some(after) = after {
            rows.and_where(Expr::col("id").gt(after));
        }
        let rows = connection.query_all(&rows).await?;
        for row in &rows {
            let id: Uuid = get(row, "id")?;
            after = Some(id);
            let (title, description): (String, Option<String>) = (get(row, name)?, get(row, "description")?);
            let text = description.map_or_else(|| title.clone(), |description| format!("{title}\n{description}"));
            let mut changed = vec![(name_key, fold(&title)), ("search_text", fold(&text))];
            if let Some(labels) = labels {
                changed.push((labels, normalize_labels(&get::<String>(row, labels)?)));
            }
            let mut update = Query::update();
            update.table(table).and_where(Expr::col("id").eq(id));
            let mut is_changed = false;
            for (column, value) in changed {
                is_changed |= get::<String>(row, column)? != value;
                update.value(column, value);
            }
            if is_changed {
                connection.execute(&update).await?;
            }
        }
        if rows.len() < usize::try_from(PORTION).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// Normalizes a list like `,one,two,`. Two spellings of one label become one.
fn normalize_labels(list: &str) -> String {
    let mut labels: Vec<String> = Vec::new();
    for label in list.split(',').map(|label| label.nfc().collect::<String>()) {
        if !label.is_empty() && !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels.iter().fold(String::from(","), |list, label| list + label + ",")
}

fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T, DbErr> {
    row.try_get("", column)
}
