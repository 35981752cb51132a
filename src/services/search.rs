//! Search terms.

use std::collections::BTreeSet;

/// Splits a search into distinct terms, all of which must match.
pub(crate) fn terms(search: Option<&str>) -> Vec<String> {
    let words: BTreeSet<&str> = search.unwrap_or_default().split_whitespace().collect();
    words.into_iter().map(str::to_owned).collect()
}
