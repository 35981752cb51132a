//! Rows that are read by position, for the reads that clients send most.
//!
//! SeaORM finds each value of a row by its name and copies it, and a row of SQLite is a map that is built for that. For a
//! task that costs more than the statement.

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

macro_rules! decode_column {
    ($($type:ty: $value:ident => $sqlite:expr;)*) => {$(
        impl Decode for $type {
            fn decode(row: &mut RowReader<'_>) -> Result<Self, DbErr> {
                let index = row.advance();
                match &row.row {
                    EngineRow::Postgres(row) => row.try_get_by_index(index),
                    EngineRow::Sqlite(row) => {
                        let $value = row.get_ref(index).map_err(|error| mismatch(index, &error.to_string()))?;
                        $sqlite.ok_or_else(|| mismatch(index, stringify!($type)))
                    }
                }
            }
        }

        impl Decode for Option<$type> {
            fn decode(row: &mut RowReader<'_>) -> Result<Self, DbErr> {
                match &row.row {
                    EngineRow::Postgres(row_of_server) => {
                        let value = row_of_server.try_get_by_index(row.next);
                        row.advance();
                        value
                    }
                    EngineRow::Sqlite(row_of_file) => {
                        if matches!(row_of_file.get_ref(row.next), Ok(ValueRef::Null)) {
                            row.advance();
                            return Ok(None);
                        }
                        <$type>::decode(row).map(Some)
                    }
                }
            }
        }
    )*};
}

decode_column! {
    i64: value => value.as_i64().ok();
    i16: value => value.as_i64().ok().and_then(|number| i16::try_from(number).ok());
    bool: value => value.as_i64().ok().map(|number| number != 0);
    String: value => value.as_str().ok().map(str::to_owned);
    Uuid: value => value.as_blob().ok().and_then(|bytes| Uuid::from_slice(bytes).ok());
}

fn mismatch(index: usize, expected: &str) -> DbErr {
    DbErr::Type(format!("column {index} cannot be read: {expected}"))
}
