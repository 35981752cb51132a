//! Values of statements and rows.

use std::collections::BTreeMap;

use rusqlite::types::{ToSqlOutput, Value as OwnedValue, ValueRef};
use rusqlite::{CachedStatement, Column, Connection, Row};
use sea_orm::sea_query::Value;
use sea_orm::{DbErr, ProxyExecResult, ProxyRow, QueryResult, Statement};
use uuid::Uuid;

use super::errors::query_error;
use crate::database::decode::{Decode, RowReader};

/// Type of a column, which decides how a stored number or blob is read.
///
/// Entities have the types of this list only: SeaORM takes a value of another type for NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    SmallInt,
    Uuid,
    /// Another number (64 bits), a blob or text.
    Other,
}

impl Kind {
    /// Returns the kind of a column by its declared type (see `migration`), or that of an expression by its name.
    fn of(name: &str, declared: Option<&str>) -> Self {
        match declared {
            Some("boolean") => Self::Bool,
            Some("smallint") => Self::SmallInt,
            Some("uuid_text") => Self::Uuid,
            // Comparisons, which are numbers in SQLite.
            None if name.starts_with("is_") || name.contains("_is_") => Self::Bool,
            _ => Self::Other,
        }
    }
}

/// Columns of a result.
pub(in crate::database) struct Columns(Vec<(String, Kind)>);

/// Columns up to which a row can also be read by position.
const MAX_TUPLE: usize = 6;

impl Columns {
    fn of(statement: &CachedStatement<'_>) -> Self {
        let column = |column: &Column<'_>| (column.name().to_owned(), Kind::of(column.name(), column.decl_type()));
        Self(statement.columns().iter().map(column).collect())
    }

    /// Reads a row.
    ///
    /// SeaORM keeps the values of such a row by name, and reads the n-th value of a tuple in the order of the names. So
    /// each value of a short row is stored a second time, under a name that sorts first and has the position. A tuple
    /// cannot be read from a longer row: its first value is NULL.
    fn read(&self, row: &Row<'_>) -> Result<ProxyRow, DbErr> {
        let mut values = BTreeMap::new();
        for (index, (name, kind)) in self.0.iter().enumerate() {
            let value = value(row.get_ref(index).map_err(query_error)?, *kind);
            if self.0.len() <= MAX_TUPLE {
                if self.0.len() > 1 {
                    values.insert(format!("\0{index}"), value.clone());
                }
            } else if index == 0 {
                values.insert("\0".to_owned(), Value::Char(None));
            }
            values.insert(name.clone(), value);
        }
        Ok(ProxyRow::new(values))
    }
}

fn value(value: ValueRef<'_>, kind: Kind) -> Value {
    match (value, kind) {
        // Every conversion fails but that of an optional value, which becomes none.
        (ValueRef::Null, _) => Value::Char(None),
        (ValueRef::Integer(number), Kind::Bool) => Value::Bool(Some(number != 0)),
        (ValueRef::Integer(number), Kind::SmallInt) => Value::SmallInt(i16::try_from(number).ok()),
        (ValueRef::Integer(number), _) => Value::BigInt(Some(number)),
        (ValueRef::Real(number), _) => Value::Double(Some(number)),
        (ValueRef::Text(text), _) => Value::String(Some(String::from_utf8_lossy(text).into_owned())),
        (ValueRef::Blob(bytes), Kind::Uuid) => Value::Uuid(Uuid::from_slice(bytes).ok()),
        (ValueRef::Blob(bytes), _) => Value::Bytes(Some(bytes.to_vec())),
    }
}

/// A type that rows are read into.
pub(in crate::database) trait FromRow: Sized + Send + 'static {
    /// Needed of the columns, once per statement.
    type Columns;

    fn columns(statement: &CachedStatement<'_>) -> Self::Columns;

    fn from_row(columns: &Self::Columns, row: &Row<'_>) -> Result<Self, DbErr>;
}

impl FromRow for ProxyRow {
    type Columns = Columns;

    fn columns(statement: &CachedStatement<'_>) -> Columns {
        Columns::of(statement)
    }

    fn from_row(columns: &Columns, row: &Row<'_>) -> Result<Self, DbErr> {
        columns.read(row)
    }
}

impl FromRow for QueryResult {
    type Columns = Columns;

    fn columns(statement: &CachedStatement<'_>) -> Columns {
        Columns::of(statement)
    }

    fn from_row(columns: &Columns, row: &Row<'_>) -> Result<Self, DbErr> {
        columns.read(row).map(Into::into)
    }
}

impl<T: Decode> FromRow for T {
    type Columns = ();

    fn columns(_: &CachedStatement<'_>) {}

    fn from_row((): &(), row: &Row<'_>) -> Result<Self, DbErr> {
        T::decode(&mut RowReader::sqlite(row))
    }
}

/// Runs a statement and reads its rows.
pub(super) fn query<R: FromRow>(connection: &Connection, statement: &Statement) -> Result<Vec<R>, DbErr> {
    let mut prepared = prepare(connection, statement)?;
    let columns = R::columns(&prepared);
    let mut rows = prepared.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(query_error)? {
        found.push(R::from_row(&columns, row)?);
    }
    Ok(found)
}

/// Runs a statement, or several without values, and ignores its rows.
pub(super) fn execute(connection: &Connection, statement: &Statement) -> Result<ProxyExecResult, DbErr> {
    if statement.values.is_none() {
        connection.execute_batch(&statement.sql).map_err(query_error)?;
    } else {
        let mut prepared = prepare(connection, statement)?;
        let mut rows = prepared.raw_query();
        while rows.next().map_err(query_error)?.is_some() {}
    }
    Ok(ProxyExecResult::new(0, connection.changes()))
}

/// Prepares a statement, or finds it prepared, and binds its values.
fn prepare<'a>(connection: &'a Connection, statement: &Statement) -> Result<CachedStatement<'a>, DbErr> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(query_error)?;
    for (index, value) in statement.values.iter().flat_map(|values| &values.0).enumerate() {
        prepared.raw_bind_parameter(index + 1, parameter(value)?).map_err(query_error)?;
    }
    Ok(prepared)
}

fn parameter(value: &Value) -> Result<ToSqlOutput<'_>, DbErr> {
    let borrowed = |value| ToSqlOutput::Borrowed(value);
    let integer = |number: Option<i64>| ToSqlOutput::Owned(number.map_or(OwnedValue::Null, OwnedValue::Integer));
    Ok(match value {
        Value::Bool(value) => integer(value.map(i64::from)),
        Value::TinyInt(value) => integer(value.map(i64::from)),
        Value::SmallInt(value) => integer(value.map(i64::from)),
        Value::Int(value) => integer(value.map(i64::from)),
        Value::BigInt(value) => integer(*value),
        Value::Unsigned(value) => integer(value.map(i64::from)),
        Value::BigUnsigned(value) => integer(value.map(|value| i64::try_from(value).unwrap_or(i64::MAX))),
        Value::Double(value) => ToSqlOutput::Owned(value.map_or(OwnedValue::Null, OwnedValue::Real)),
        Value::String(value) => borrowed(value.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))),
        Value::Bytes(value) => borrowed(value.as_ref().map_or(ValueRef::Null, |bytes| ValueRef::Blob(bytes))),
        Value::Uuid(value) => {
            borrowed(value.as_ref().map_or(ValueRef::Null, |uuid| ValueRef::Blob(uuid.as_bytes().as_slice())))
        }
        other => return Err(DbErr::Type(format!("{other:?} cannot be bound"))),
    })
}
