//! Changes that are made in several transactions.

/// Part of a change that one transaction makes.
#[derive(Debug, Clone)]
pub struct Portion<T> {
    /// Objects that were changed.
    pub items: Vec<T>,
    /// True if objects remain to be changed.
    pub has_more: bool,
}
