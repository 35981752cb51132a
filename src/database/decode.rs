//! Rows that are read by position, for the reads that clients send most.
//!
//! SeaORM finds each value of a row by its name and copies it, and a row of SQLite is a map that is built for that. For a
//! task that costs more than the statement.

use std::any::type_name;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use uuid::Uuid;

use crate::repositories::StoreError;

/// A value that is read from one or more columns of a row, in the order of the statement.
pub(super) trait Decode: Sized + Send + 'static {
    fn decode(row: &mut RowReader<'_>) -> Result<Self, DbErr>;
}

/// A row, with the position of the next column.
pub(super) struct RowReader<'a> {
    row: EngineRow<'a>,
    next: usize,
}

#[derive(Clone, Copy)]
enum EngineRow<'a> {
    Sqlite(&'a Row<'a>),
    Postgres(&'a QueryResult),
}

impl<'a> RowReader<'a> {
    pub(super) const fn sqlite(row: &'a Row<'a>) -> Self {
        Self { row: EngineRow::Sqlite(row), next: 0 }
    }

    pub(super) const fn postgres(row: &'a QueryResult) -> Self {
        Self { row: EngineRow::Postgres(row), next: 0 }
    }

    const fn advance(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }
}

/// A connection whose rows can be decoded.
pub(super) trait DecodingConnection: ConnectionTrait {
    /// Runs a statement, and reads all its rows.
    fn query_decoded<R: Decode>(&self, statement: Statement) -> impl Future<Output = Result<Vec<R>, DbErr>> + Send;

    /// Runs a statement that returns at most one row.
    fn query_decoded_one<R: Decode>(
        &self,
        statement: Statement,
    ) -> impl Future<Output = Result<Option<R>, StoreError>> + Send {
        let rows = self.query_decoded(statement);
        async { Ok(rows.await?.into_iter().next()) }
    }
}

/// Defines a row whose fields are the columns of a statement, in order.
macro_rules! decoded_row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field_vis:vis $field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        $vis struct $name { $($field_vis $field: $type,)+ }

        impl $crate::database::decode::Decode for $name {
            fn decode(row: &mut $crate::database::decode::RowReader<'_>) -> Result<Self, sea_orm::DbErr> {
                Ok(Self { $($field: $crate::database::decode::Decode::decode(row)?,)+ })
            }
        }
    };
}

pub(super) use decoded_row;

/// Defines the reading of the types of columns; `$read` converts a value of SQLite that is not null.
macro_rules! decode_columns {
    ($($type:ty: $read:expr;)*) => {$(
        impl Decode for $type {
            fn decode(row: &mut RowReader<'_>) -> Result<Self, DbErr> {
                let index = row.advance();
                match row.row {
                    EngineRow::Postgres(row) => row.try_get_by_index(index),
                    EngineRow::Sqlite(row) => read(value_of(row, index)?, $read, index),
                }
            }
        }

        impl Decode for Option<$type> {
            fn decode(row: &mut RowReader<'_>) -> Result<Self, DbErr> {
                let index = row.advance();
                match row.row {
                    EngineRow::Postgres(row) => row.try_get_by_index(index),
                    EngineRow::Sqlite(row) => match value_of(row, index)? {
                        ValueRef::Null => Ok(None),
                        value => read(value, $read, index).map(Some),
                    },
                }
            }
        }
    )*};
}

decode_columns! {
    i64: |value| value.as_i64().ok();
    i16: |value| value.as_i64().ok().and_then(|number| i16::try_from(number).ok());
    bool: |value| value.as_i64().ok().map(|number| number != 0);
    String: |value| value.as_str().ok().map(str::to_owned);
    Uuid: |value| value.as_blob().ok().and_then(|bytes| Uuid::from_slice(bytes).ok());
}

fn value_of<'a>(row: &'a Row<'_>, index: usize) -> Result<ValueRef<'a>, DbErr> {
    row.get_ref(index).map_err(|error| DbErr::Type(format!("column {index} cannot be read: {error}")))
}

fn read<T>(value: ValueRef<'_>, read: fn(ValueRef<'_>) -> Option<T>, index: usize) -> Result<T, DbErr> {
    read(value).ok_or_else(|| DbErr::Type(format!("column {index} has another type than {}", type_name::<T>())))
}
