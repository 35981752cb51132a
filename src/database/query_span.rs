//! Tracing span of a statement.

use sea_orm::Statement;
use tracing::Span;

/// Returns the span of a statement, whose text has placeholders for values.
pub(super) fn query_span(statement: &Statement) -> Span {
    tracing::debug_span!("query", db.query.text = statement.sql)
}
