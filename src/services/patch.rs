//! Merge patches and search terms.

use std::collections::BTreeSet;

use poem_openapi::types::MaybeUndefined;

/// Applies a field of a merge patch (RFC 7396) to its current value.
pub(crate) fn merge<T: Clone>(change: MaybeUndefined<T>, current: Option<&T>) -> Option<T> {
    match change {
        MaybeUndefined::Undefined => current.cloned(),
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(value) => Some(value),
    }
}

/// Splits a search into distinct terms, all of which must match.
pub(crate) fn search_terms(search: Option<&str>) -> Vec<String> {
    let words: BTreeSet<&str> = search.unwrap_or_default().split_whitespace().collect();
    words.into_iter().map(str::to_owned).collect()
}
