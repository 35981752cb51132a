//! The audit log of an account: who did what with it, from where, and when.

use poem_openapi::{Enum, Object};

use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::project::Role;
use crate::contract::strings::{ClientAddress, UserAgent};
use crate::contract::{ApiTokenId, AuditEntryId, AuditTargetId, ProjectId, SessionId, Timestamp, UserId, world};

macro_rules! audit_entry_types {
    ($($(#[doc = $doc:literal])+ $kind:ident: $name:literal;)*) => {
        /// Type of an entry of the audit log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum AuditEntryType {
            $($(#[doc = $doc])+ #[oai(rename = $name)] $kind,)*
        }

        impl AuditEntryType {
            /// All types.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Returns the published name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Parses a published name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
            }
        }
    };
}

audit_entry_types! {
    /// The account was registered.
    AccountRegistered: "account.registered";
    /// The e-mail address was verified with a mailed token.
    AccountVerified: "account.verified";
    /// An unverified account was disowned by the person with its address, and deleted.
    /// Only operators see this type.
    AccountDisowned: "account.disowned";
    /// The account was moved to the trash.
    AccountDeleted: "account.deleted";
    /// A login restored the account from the trash.
    AccountRestored: "account.restored";
    /// The operator disabled the account.
    AccountDisabled: "account.disabled";
    /// The operator enabled the account again.
    AccountEnabled: "account.enabled";
    /// A login succeeded and began a session (`session_id`).
    LoginSucceeded: "login.succeeded";
    /// A wrong password was sent for the account, to log in, to verify the address or to change the password.
    /// Failures from one address within an hour are one entry with a `count`.
    LoginFailed: "login.failed";
    /// A session ended by logging out.
    Logout: "session.logged_out";
    /// A session (`target_id`) was revoked.
    SessionRevoked: "session.revoked";
    /// A refresh token was used again, which is a sign of theft. Its session (`target_id`) was ended.
    RefreshTokenReused: "refresh_token.reused";
    /// The password was changed with the current one.
    PasswordChanged: "password.changed";
    /// The password was reset with a mailed token, or revoked by the operator.
    PasswordReset: "password.reset";
    /// An API token (`target_id`) was created.
    ApiTokenCreated: "api_token.created";
    /// An API token (`target_id`) was revoked.
    ApiTokenRevoked: "api_token.revoked";
    /// A webhook (`target_id`) was created.
    WebhookCreated: "webhook.created";
    /// A webhook (`target_id`) was changed.
    WebhookUpdated: "webhook.updated";
    /// The secret of a webhook (`target_id`) was rotated.
    WebhookSecretRotated: "webhook.secret_rotated";
    /// A webhook (`target_id`) was deleted.
    WebhookDeleted: "webhook.deleted";
    /// The `role` of a member (`target_id`) of a project was changed. In the logs of both.
    MemberRoleChanged: "member.role_changed";
    /// A member (`target_id`) left a project or was removed from it. In the logs of both.
    MemberRemoved: "member.removed";
    /// A project was transferred to another owner (`target_id`). In the logs of both.
    OwnershipTransferred: "project.ownership_transferred";
    /// A project was moved to the trash.
    ProjectDeleted: "project.deleted";
    /// A project was restored from the trash.
    ProjectRestored: "project.restored";
}

/// Entry of the audit log of an account. Kept for a year.
///
/// An entry about something that another user did to the account has an `actor_id`, but not the credential or the
/// location of that user. An account has at most 500 entries and 50 failed logins a day; beyond that, entries of one
/// type and day are one entry with a `count`, without details.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct AuditEntry {
    /// Id of the entry.
    pub id: AuditEntryId,
    /// Type of the action.
    #[oai(rename = "type")]
    pub kind: AuditEntryType,
    /// User who did it; null if the operator did it, if unknown, as after a failed login, and after that user's account was removed.
    pub actor_id: Option<UserId>,
    /// True if the operator of the server did it.
    pub by_operator: bool,
    /// Session with which it was done, or that began with it.
    pub session_id: Option<SessionId>,
    /// API token with which it was done.
    pub api_token_id: Option<ApiTokenId>,
    /// IP address of the client.
    pub client_address: Option<ClientAddress>,
    /// `User-Agent` of the client.
    pub user_agent: Option<UserAgent>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Object of the action; its kind depends on the type.
    pub target_id: Option<AuditTargetId>,
    /// Project in which it happened.
    pub project_id: Option<ProjectId>,
    /// New role of the member.
    pub role: Option<Role>,
    /// Number of times that it happened, at least 1.
    #[oai(validator(minimum(value = "1")))]
    pub count: i64,
    /// Time at which it happened first.
    pub created_at: Timestamp,
    /// Time at which it happened last.
    pub last_at: Timestamp,
}

example!(AuditEntry {
    id: world::login_entry(),
    kind: AuditEntryType::LoginSucceeded,
    actor_id: Some(UserId::example()),
    by_operator: false,
    session_id: Some(world::login_session()),
    api_token_id: None,
    client_address: Some(ClientAddress::example()),
    user_agent: Some(UserAgent::example()),
    request_id: Some(world::REQUEST_ID.to_owned()),
    target_id: None,
    project_id: None,
    role: None,
    count: 1,
    created_at: world::january(12, 8, 5),
    last_at: world::january(12, 8, 5)
});

collection! {
    /// Page of entries of the audit log.
    AuditEntryList of AuditEntry;

    /// Sort field of entries of the audit log.
    AuditEntrySort {
        /// Time at which it happened first.
        CreatedAt: Desc,
    }

    /// Query parameters for listing the audit log.
    AuditLogQuery {
        /// Sort direction.
        #[oai(default = "crate::contract::page::newest_first")]
        dir,
        /// Filters by type.
        #[oai(rename = "type")]
        kind: Option<AuditEntryType>,
    }
}
