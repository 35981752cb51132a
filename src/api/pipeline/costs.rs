//! Cost of requests: how many requests each counts as within the rate limit.

use poem::http::Uri;
use serde_json::Value;

use super::rate_limits::Charge;
use crate::api::operations::{Cost, OperationPolicy};
use crate::api::validation::percent_decode;

/// Number of operations of a batch that count as one request.
const OPERATIONS_PER_REQUEST: usize = 10;

/// Cost of a search. It scans text, for which there is no index.
const SEARCH: u32 = 5;

/// Query parameters that make a list a search.
const SEARCHES: [&str; 2] = ["q", "label"];

/// Returns the cost that is known before the body is read.
pub(super) fn of_head(policy: &OperationPolicy, uri: &Uri) -> Charge {
    let mut names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let mut searches = || names.any(|name| percent_decode(name).is_some_and(|name| SEARCHES.contains(&&*name)));
    let cost = if policy.cost == Cost::Search && searches() { SEARCH } else { 1 };
    Charge { cost, counted: 0 }
}

/// Returns the cost of a batch, of which one request is already counted.
pub(super) fn of_body(policy: &OperationPolicy, body: Option<&Value>) -> Option<Charge> {
    if policy.cost != Cost::Batch {
        return None;
    }
    let operations = body?.get("operations")?.as_array()?.len();
    let cost = u32::try_from(operations.div_ceil(OPERATIONS_PER_REQUEST)).unwrap_or(u32::MAX);
    Some(Charge { cost, counted: 1 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::operations::OPERATIONS;

    fn policy(id: &str) -> &'static OperationPolicy {
        OPERATIONS.iter().find(|policy| policy.id == id).unwrap()
    }

    #[test]
    fn a_batch_costs_one_request_for_every_ten_operations() {
        let charge = |id, operations: usize| {
            let body = json!({"operations": vec![json!({}); operations]});
            of_body(policy(id), Some(&body))
        };
        for (operations, cost) in [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (100, 10)] {
            assert_eq!(charge("batchTasks", operations), Some(Charge { cost, counted: 1 }), "{operations}");
        }
        assert_eq!(charge("createTask", 100), None);
        assert_eq!(of_body(policy("batchTasks"), Some(&json!({"operations": 7}))), None);
    }

    #[test]
    fn a_search_costs_more_than_a_list() {
        let cost = |id, uri: &'static str| of_head(policy(id), &Uri::from_static(uri)).cost;
        for (uri, expected) in [
            ("/v1/tasks", 1),
            ("/v1/tasks?status=todo&sort=title", 1),
            ("/v1/tasks?q=x", 5),
            ("/v1/tasks?limit=1&label=a", 5),
            ("/v1/tasks?%71=x", 5),
        ] {
            assert_eq!(cost("listTasks", uri), expected, "{uri}");
        }
        assert_eq!(cost("listMembers", "/v1/projects/x/members?q=x"), 1);
    }
}
