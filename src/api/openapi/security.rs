//! Publishes the credentials that each operation accepts.

use serde_json::{Value, json};

use super::walk::{self, Object};
use crate::api::operations::{Access, OperationPolicy};

const SCHEME: &str = "bearer";

pub(super) fn publish(operation: &mut Object, policy: Option<&OperationPolicy>) {
    let access = policy.map_or(Access::Probe, |policy| policy.access);
    let (security, required) = match access {
        Access::Probe | Access::Public => (json!([]), "Requires no token.".to_owned()),
        Access::OptionalSession => {
            (json!([{}, { SCHEME: [] }]), "Requires no token, and accepts the access token of a session.".to_owned())
        }
        Access::Session => {
            (json!([{ SCHEME: [] }]), "Requires the access token of a session; API tokens are rejected.".to_owned())
        }
        Access::Token(_) | Access::BothScopes => {
            let scopes = match access {
                Access::Token(scope) => format!("scope `{}`", scope.as_str()),
                _ => "scopes `read` and `write`".to_owned(),
            };
            (json!([{ SCHEME: [] }]), format!("Requires an access token, or an API token with the {scopes}."))
        }
    };
    operation.insert("security".to_owned(), security);
    if policy.is_some() {
        let description = operation.get("description").and_then(Value::as_str).unwrap_or_default();
        let role = policy.map_or("", |policy| policy.role);
        let role = if role.is_empty() { String::new() } else { format!(" Requires at least the role {role}.") };
        let description = format!("{description}\n\n{required}{role}").trim().to_owned();
        operation.insert("description".to_owned(), json!(description));
    }
}

pub(super) fn define_schemes(document: &mut Value) {
    if walk::operations(document).next().is_none() {
        return;
    }
    let scheme = json!({
        "type": "http",
        "description": "Either the `access_token` of a session, a JSON Web Token that is valid for a few minutes (`refreshSession` \
            returns the next one), or an API token for programs (`pt_...`). With an API token, GET requires the scope `read`, \
            every other method `write`, and creating or updating a webhook, or creating a stream ticket, both. API tokens are \
            rejected by `logout`, `resendVerification` and `verifyEmail`, for `/v1/me/password` and `/v1/me/audit-log`, and for deleting the account, revoking \
            sessions, and creating or revoking API tokens. See [Authentication](/guides/authentication).",
        "scheme": "bearer",
    });
    walk::add_components(document, "securitySchemes", Object::from_iter([(SCHEME.to_owned(), scheme)]));
}
