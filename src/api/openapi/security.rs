//! Says which operations programs may call too, with an API token instead of an access token.

use serde_json::{Value, json};

use super::errors::is_versioned;
use super::walk;
use crate::api::extract::{ACCESS_TOKEN, API_TOKEN, is_for_sessions};

pub(super) fn publish(document: &mut Value) {
    for (path, operation) in walk::operations_mut(document) {
        if is_versioned(path) && !is_for_sessions(path) && operation.contains_key("security") {
            operation.insert("security".to_owned(), json!([{ ACCESS_TOKEN: [] }, { API_TOKEN: [] }]));
        }
    }
}
