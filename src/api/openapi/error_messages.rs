//! Messages of errors that depend on the operation: the missing permission, and the resource that does not exist.

use serde_json::Value;

use super::headers::RETRY_AFTER_EXAMPLE;
use super::walk::Object;
use crate::api::errors;
use crate::api::media_types::{JSON, MERGE_PATCH};
use crate::api::operations::{Access, Cost, OperationPolicy};
use crate::contract::account::api_token::Scope;
use crate::contract::error::ErrorCode;
use crate::contract::project::Role;
use crate::services::Error;

/// The resources by the parameter of the path that identifies them.
const RESOURCES: [(&str, &str); 9] = [
    ("project_id", "project"),
    ("user_id", "member"),
    ("invitation_id", "invitation"),
    ("task_id", "task"),
    ("comment_id", "comment"),
    ("webhook_id", "webhook"),
    ("delivery_id", "delivery"),
    ("token_id", "API token"),
    ("session_id", "session"),
];

/// Returns the errors of some codes with the messages of an operation, each with a name for its example.
pub(super) fn of_operation(policy: &OperationPolicy, operation: &Object, codes: &[ErrorCode]) -> Vec<(String, Error)> {
    let all = permissions(policy).into_iter().chain(scopes(policy)).chain(missing_resources(operation));
    all.filter(|(_, error)| codes.contains(&error.code())).collect()
}

/// Returns the message of an error that the pipeline reports, unless it is the default one of the code.
pub(super) fn of_pipeline(policy: &OperationPolicy, code: ErrorCode) -> Option<String> {
    match code {
        ErrorCode::RateLimited => Some(errors::rate_limited(RETRY_AFTER_EXAMPLE)),
        ErrorCode::MalformedJson => Some("The request body is not valid JSON (line 1, column 10).".to_owned()),
        ErrorCode::WebhookUrlForbidden => Some("The URL must begin with https://.".to_owned()),
        // The default settings.
        ErrorCode::PayloadTooLarge if policy.cost == Cost::Batch => Some(errors::payload_too_large(1_048_576)),
        ErrorCode::PayloadTooLarge => Some(errors::payload_too_large(65_536)),
        // Every PATCH is an update, and accepts a merge patch too.
        ErrorCode::UnsupportedMediaType if policy.id.starts_with("update") => {
            Some(errors::unsupported_media_type(&[JSON, MERGE_PATCH]))
        }
        ErrorCode::UnsupportedMediaType => Some(errors::unsupported_media_type(&[JSON])),
        _ => None,
    }
}

fn permissions(policy: &OperationPolicy) -> Vec<(String, Error)> {
    let named = match (policy.access, policy.role.split('`').nth(1)) {
        (Access::Session | Access::OptionalSession, _) => {
            vec![("FORBIDDEN_SESSION", Error::SessionRequired), ("FORBIDDEN_NOT_YOURS", Error::NotOwner)]
        }
        _ if policy.id == "updateComment" => vec![no_member(Role::Viewer), ("FORBIDDEN_AUTHOR", Error::NotTheAuthor)],
        (_, Some("viewer")) => vec![no_member(Role::Viewer)],
        (_, Some("editor")) => vec![no_member(Role::Editor), role_too_low(Role::Editor, Role::Viewer)],
        (_, Some("owner")) => vec![no_member(Role::Owner), role_too_low(Role::Owner, Role::Editor)],
        // A repeated request shows the project only to its owner.
        _ if policy.id == "createProject" => vec![no_member(Role::Owner)],
        _ => vec![("FORBIDDEN_NOT_YOURS", Error::NotOwner)],
    };
    let is_possible = |error: &Error| match error {
        // Only an operation on one object can find that it belongs to another user.
        Error::NotOwner => policy.errors.contains(&ErrorCode::Forbidden),
        _ => true,
    };
    let possible = named.into_iter().filter(|(_, error)| is_possible(error));
    possible.map(|(name, error)| (name.to_owned(), error)).collect()
}

const fn no_member(needed: Role) -> (&'static str, Error) {
    let name = match needed {
        Role::Viewer => "FORBIDDEN",
        Role::Editor => "FORBIDDEN_EDITOR",
        Role::Owner => "FORBIDDEN_OWNER",
    };
    (name, Error::NotAMember { needed })
}

const fn role_too_low(needed: Role, given: Role) -> (&'static str, Error) {
    let name = if matches!(needed, Role::Owner) { "FORBIDDEN_OWNER_ROLE" } else { "FORBIDDEN_EDITOR_ROLE" };
    (name, Error::RoleTooLow { needed, given })
}

fn scopes(policy: &OperationPolicy) -> Vec<(String, Error)> {
    let named = |name: &str, scope| (name.to_owned(), Error::InsufficientScope(scope));
    let (read, write) = (named("INSUFFICIENT_SCOPE", Scope::Read), named("INSUFFICIENT_SCOPE_WRITE", Scope::Write));
    match policy.access {
        Access::Token(Scope::Read) => vec![read],
        Access::Token(Scope::Write) => vec![write],
        Access::BothScopes => vec![read, write],
        Access::Probe | Access::Public | Access::OptionalSession | Access::Session => Vec::new(),
    }
}

fn missing_resources(operation: &Object) -> Vec<(String, Error)> {
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let names =
        parameters.filter(|parameter| parameter["in"] == "path").filter_map(|parameter| parameter["name"].as_str());
    let found: Vec<_> = names.filter_map(|name| RESOURCES.into_iter().find(|(known, _)| *known == name)).collect();
    // A repeated request that created a project finds it deleted.
    let resources = if found.is_empty() { vec![("project_id", "project")] } else { found };
    let errors = resources.into_iter().map(|(_, resource)| {
        (format!("NOT_FOUND_{}", resource.to_uppercase().replace(' ', "_")), Error::NotFound(resource))
    });
    errors.collect()
}
