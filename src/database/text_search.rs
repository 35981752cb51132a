//! Text as it is compared: without regard to case, and with the terms of a search found anywhere.

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoColumnRef};

/// Folds upper and lower case, beyond ASCII too. The databases cannot: SQLite folds ASCII only, and PostgreSQL as its
/// locale says.
pub(super) fn fold(text: &str) -> String {
    // The lower case of Σ depends on where it stands; searching must not.
    text.to_lowercase().replace('ς', "σ")
}

/// What is searched in for a name and the text that goes with it.
pub(super) fn search_text(name: &str, description: Option<&str>) -> String {
    fold(&description.map_or_else(|| name.to_owned(), |description| format!("{name}\n{description}")))
}

/// All terms occur in the column, which holds folded text.
pub(super) fn contains_all(column: impl IntoColumnRef + Copy, terms: &[String], postgres: bool) -> Condition {
    terms.iter().fold(Condition::all(), |all, term| all.add(contains(column, &fold(term), postgres)))
}

/// The text occurs in the column, letter for letter.
///
/// Not by LIKE: on SQLite that takes as long as text times pattern, and does not tell upper from lower case.
pub(super) fn contains(column: impl IntoColumnRef, text: &str, postgres: bool) -> Expr {
    let position = if postgres { "strpos" } else { "instr" };
    Expr::from(Func::cust(position).arg(Expr::col(column)).arg(text)).gt(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_goes_beyond_ascii() {
        assert_eq!(fold("ÄPFEL Straße ΟΔΟΣ"), "äpfel straße οδοσ");
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
    }
}
