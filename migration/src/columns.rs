//! The kinds of column that the schema is made of.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

/// An id.
pub(crate) fn id(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

/// An id of what may not be there.
pub(crate) fn optional_id(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).uuid().take()
}

/// A point in time, in milliseconds since 1970.
pub(crate) fn time(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// A point in time that may not have come.
pub(crate) fn optional_time(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).big_integer().take()
}

/// A count, or a version.
pub(crate) fn count(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// Text that is only read back.
pub(crate) fn text(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

/// Text that is only read back and may be missing.
pub(crate) fn optional_text(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).text().take()
}

/// Text that is sorted by or searched in: compared byte by byte on every database.
pub(crate) fn key(manager: &SchemaManager<'_>, name: impl IntoIden) -> ColumnDef {
    let mut column = text(name);
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        column.extra(r#"COLLATE "C""#);
    }
    column
}

/// Yes or no.
pub(crate) fn flag(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

/// Bytes.
pub(crate) fn bytes(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().take()
}

/// Bytes that may be missing.
pub(crate) fn optional_bytes(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).blob().take()
}

/// Text that is compared and may be missing.
pub(crate) fn optional_key(manager: &SchemaManager<'_>, name: impl IntoIden) -> ColumnDef {
    let mut column = optional_text(name);
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        column.extra(r#"COLLATE "C""#);
    }
    column
}
