//! Case-insensitive search in text.

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoColumnRef};

use crate::contract::unicode::fold;

/// Returns the folded text in which a name and its description are searched.
pub(super) fn search_text(name: &str, description: Option<&str>) -> String {
    fold(&description.map_or_else(|| name.to_owned(), |description| format!("{name}\n{description}")))
}

/// Condition that all terms occur in a column of folded text.
pub(super) fn contains_all(column: impl IntoColumnRef + Copy, terms: &[String], postgres: bool) -> Condition {
    terms.iter().fold(Condition::all(), |all, term| all.add(contains(column, &fold(term), postgres)))
}

/// Condition that a text occurs in a column, byte for byte.
///
/// SQLite's LIKE folds ASCII case, and takes time proportional to text length times pattern length.
pub(super) fn contains(column: impl IntoColumnRef, text: &str, postgres: bool) -> Expr {
    let position = if postgres { "strpos" } else { "instr" };
    Expr::from(Func::cust(position).arg(Expr::col(column)).arg(text)).gt(0)
}
