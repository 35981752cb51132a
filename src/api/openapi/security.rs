//! Publishes the credentials that each operation accepts.

use serde_json::{Value, json};

use super::walk::{self, Object};
use crate::api::operations::{Access, OperationPolicy};

const ACCESS_TOKEN: &str = "access_token";
const API_TOKEN: &str = "api_token";

pub(super) fn publish(operation: &mut Object, policy: Option<&OperationPolicy>) {
    let security = match policy.map(|policy| policy.access) {
        Some(Access::OptionalSession) => json!([{}, { ACCESS_TOKEN: [] }]),
        Some(Access::Session) => json!([{ ACCESS_TOKEN: [] }]),
        Some(Access::Token(_) | Access::BothScopes) => json!([{ ACCESS_TOKEN: [] }, { API_TOKEN: [] }]),
        _ => json!([]),
    };
    operation.insert("security".to_owned(), security);
}

pub(super) fn define_schemes(document: &mut Value) {
    if walk::operations(document).next().is_none() {
        return;
    }
    let scheme = |format: &str, description: &str| json!({ "type": "http", "description": description, "scheme": "bearer", "bearerFormat": format });
    let access_token = scheme(
        "JWT",
        "The `access_token` of a session, a JSON Web Token that is valid for a few minutes. Use the `refresh_token` to get \
         the next one.",
    );
    let api_token = scheme(
        "pt",
        "An API token for programs: `pt_...`. GET requires the scope `read`, every other method `write`, and creating or \
         updating a webhook, or creating a stream ticket, both. Not accepted under `/v1/auth`, for `/v1/me/password` and `/v1/me/audit-log`, and for \
         deleting the account, revoking sessions, and creating or revoking API tokens.",
    );
    let schemes = Object::from_iter([(ACCESS_TOKEN.to_owned(), access_token), (API_TOKEN.to_owned(), api_token)]);
    walk::add_components(document, "securitySchemes", schemes);
}
