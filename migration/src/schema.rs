//! Building blocks of the schema: column types, foreign keys and indexes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

/// Id column.
pub(crate) fn id(name: &'static str) -> ColumnDef {
    optional_id(name).not_null().take()
}

/// Nullable id column.
pub(crate) fn optional_id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().take()
}

/// Time in milliseconds since 1970.
pub(crate) fn time(name: &'static str) -> ColumnDef {
    optional_time(name).not_null().take()
}

/// Nullable time in milliseconds since 1970.
pub(crate) fn optional_time(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().take()
}

/// Count or version.
pub(crate) fn count(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// Version of a resource, which starts at 1.
pub(crate) fn version() -> ColumnDef {
    count("version").check(Expr::col("version").gte(1)).take()
}

/// Text that is neither compared nor sorted.
pub(crate) fn text(name: &'static str) -> ColumnDef {
    optional_text(name).not_null().take()
}

/// Nullable text that is neither compared nor sorted.
pub(crate) fn optional_text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().take()
}

/// Text with a closed set of values.
pub(crate) fn one_of(name: &'static str, values: &[&'static str]) -> ColumnDef {
    text(name).check(Expr::col(name).is_in(values.iter().copied())).take()
}

/// Text that is compared or sorted, byte by byte on both engines.
pub(crate) fn key(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    optional_key(manager, name).not_null().take()
}

/// Nullable text that is compared or sorted, byte by byte on both engines.
pub(crate) fn optional_key(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = optional_text(name);
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        column.extra(r#"COLLATE "C""#);
    }
    column
}

/// Boolean column.
pub(crate) fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

/// Binary column.
pub(crate) fn bytes(name: &'static str) -> ColumnDef {
    optional_bytes(name).not_null().take()
}

/// Nullable binary column.
pub(crate) fn optional_bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().take()
}

/// Foreign key to the id of another table.
pub(crate) fn foreign_key(
    name: &str,
    (table, column): (&'static str, &'static str),
    target: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(name).from(table, column).to(target, "id").on_delete(on_delete).take()
}

/// Foreign key to the row to which this one belongs, and with which it is deleted.
pub(crate) fn owned_by(
    name: &str,
    from: (&'static str, &'static str),
    target: &'static str,
) -> ForeignKeyCreateStatement {
    foreign_key(name, from, target, ForeignKeyAction::Cascade)
}

/// Index of a table over some columns.
pub(crate) fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).take();
    for column in columns {
        index.col(*column);
    }
    index
}

/// Index over a column that is null in most rows.
pub(crate) fn sparse_index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = index(name, table, columns);
    if let Some(first) = columns.first() {
        index.and_where(Expr::col(*first).is_not_null());
    }
    index
}

/// Creates a table with its indexes.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    table: &mut TableCreateStatement,
    indexes: impl IntoIterator<Item = IndexCreateStatement>,
) -> Result<(), DbErr> {
    manager.create_table(table.take()).await?;
    for index in indexes {
        manager.create_index(index).await?;
    }
    Ok(())
}

/// Inserts the only row of a table.
pub(crate) async fn insert<const N: usize>(
    manager: &SchemaManager<'_>,
    table: &'static str,
    row: [(&'static str, i32); N],
) -> Result<(), DbErr> {
    let (columns, values) = (row.map(|(column, _)| column), row.map(|(_, value)| Expr::value(value)));
    manager.execute(Query::insert().into_table(table).columns(columns).values_panic(values).take()).await
}

/// Drops tables, in the given order.
pub(crate) async fn drop(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).take()).await?;
    }
    Ok(())
}
