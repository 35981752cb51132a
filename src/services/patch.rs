//! What requests say, in the form in which the rules use it.

use std::collections::BTreeSet;

use poem_openapi::types::MaybeUndefined;

/// What a field of a merge patch makes of the value that was there (RFC 7396).
pub(crate) fn merge<T: Clone>(change: MaybeUndefined<T>, current: Option<&T>) -> Option<T> {
    match change {
        MaybeUndefined::Undefined => current.cloned(),
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(value) => Some(value),
    }
}

/// The words of a search, of which every one must occur; each is looked for once.
pub(crate) fn search_terms(search: Option<&str>) -> Vec<String> {
    let words: BTreeSet<&str> = search.unwrap_or_default().split_whitespace().collect();
    words.into_iter().map(str::to_owned).collect()
}
