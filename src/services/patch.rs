//! Merge patches (RFC 7396).

use poem_openapi::types::MaybeUndefined;

/// Applies a field of a merge patch to its current value.
pub(crate) fn merge<T: Clone>(change: MaybeUndefined<T>, current: Option<&T>) -> Option<T> {
    match change {
        MaybeUndefined::Undefined => current.cloned(),
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(value) => Some(value),
    }
}
