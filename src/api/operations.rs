//! Policy of every operation, in one table.
//!
//! `pipeline` enforces it, `openapi` publishes it, and the authorization-matrix test reads it. A new operation takes a
//! service method, a handler and one row here.

use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use strum::IntoStaticStr;

use crate::contract::account::api_token::Scope;
use crate::contract::error::ErrorCode as E;
use crate::contract::resource::{StaleComment, StaleProject, StaleTask, StaleUser, StaleWebhook};
use crate::services;

/// Credentials that an operation requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// None; the operation has no rate limit either.
    Probe,
    /// None.
    Public,
    /// None. The access token of a session is accepted.
    OptionalSession,
    /// The access token of a session.
    Session,
    /// The access token of a session, or an API token with this scope.
    Token(Scope),
    /// The access token of a session, or an API token with both scopes.
    BothScopes,
}

/// Rate limit that applies to an operation. The names of the variants are published in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RateLimitClass {
    /// Operations that take credentials or send mail: per client network, and per user with a token.
    Auth,
    /// Password reset requests: like `Auth`, but counted apart, so that failed logins leave the way out open.
    ForgotPassword,
    /// Mail to other people: per user.
    Mail,
    /// Session refresh: per client IP.
    Refresh,
    /// Everything else: per user, or per client IP without a token.
    Api,
}

/// Cost of a request to an operation, counted in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One request.
    Single,
    /// One request for every ten operations of the batch.
    Batch,
    /// Five requests if it searches text or labels, which no index serves.
    Search,
}

/// Requirements of an operation, and the ways in which it can fail.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "columns of a table, not states")]
pub struct OperationPolicy {
    /// The `operationId`.
    pub id: &'static str,
    /// Required credentials.
    pub access: Access,
    /// Required role in a project, in words; empty if no project is concerned. `services::permissions` enforces it.
    pub role: &'static str,
    /// Rate limit.
    pub rate_limit: RateLimitClass,
    /// Cost of a request within the rate limit.
    pub cost: Cost,
    /// True if the operation accepts an `Idempotency-Key`.
    pub idempotent: bool,
    /// True if a response with a body has an `ETag`.
    pub etag: bool,
    /// True if the operation answers `If-None-Match` with 304.
    pub cacheable: bool,
    /// True if the query parameter `ticket` is accepted instead of the header `Authorization`.
    pub accepts_ticket: bool,
    /// True if responses contain credentials and must not be stored by any cache (RFC 6749, section 5.1).
    pub no_store: bool,
    /// Schema of the 412 response, if the operation accepts `If-Match`.
    pub stale: Option<fn(&mut Registry) -> MetaSchemaRef>,
    /// Errors beyond those that follow from the other columns.
    pub errors: &'static [E],
    /// Errors that are documented with these messages instead of the default of their code, each with the name of its
    /// example in the document.
    pub messages: fn() -> Vec<(&'static str, services::Error)>,
}

impl OperationPolicy {
    const fn new(id: &'static str, access: Access) -> Self {
        Self {
            id,
            access,
            role: "",
            rate_limit: RateLimitClass::Api,
            cost: Cost::Single,
            idempotent: false,
            etag: false,
            cacheable: false,
            accepts_ticket: false,
            no_store: false,
            stale: None,
            errors: &[],
            messages: Vec::new,
        }
    }

    const fn role(self, role: &'static str) -> Self {
        Self { role, ..self }
    }

    pub(super) const fn limited(self, rate_limit: RateLimitClass) -> Self {
        Self { rate_limit, ..self }
    }

    pub(super) const fn costs(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    pub(super) const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    pub(super) const fn etag(self) -> Self {
        Self { etag: true, ..self }
    }

    pub(super) const fn cacheable(self) -> Self {
        Self { etag: true, cacheable: true, ..self }
    }

    const fn accepts_ticket(self) -> Self {
        Self { accepts_ticket: true, ..self }
    }

    pub(super) const fn no_store(self) -> Self {
        Self { no_store: true, ..self }
    }

    pub(super) const fn if_match<T: Type>(self) -> Self {
        Self { stale: Some(schema::<T>), ..self }
    }

    pub(super) const fn errors(self, errors: &'static [E]) -> Self {
        Self { errors, ..self }
    }

    pub(super) const fn messages(self, messages: fn() -> Vec<(&'static str, services::Error)>) -> Self {
        Self { messages, ..self }
    }
}

fn schema<T: Type>(registry: &mut Registry) -> MetaSchemaRef {
    T::register(registry);
    T::schema_ref()
}

pub(super) const fn probe(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::Probe)
}

pub(super) const fn public(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::Public)
}

const fn optional_session(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::OptionalSession)
}

const fn session(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::Session)
}

pub(super) const fn read(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::Token(Scope::Read))
}

pub(super) const fn write(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::Token(Scope::Write))
}

/// A webhook shows its receiver what happens from then on, so writing one is reading too.
const fn both_scopes(id: &'static str) -> OperationPolicy {
    OperationPolicy::new(id, Access::BothScopes)
}

use RateLimitClass::{Auth, ForgotPassword, Mail, Refresh};

const VIEWER: &str = "`viewer` in the project";
const EDITOR: &str = "`editor` in the project";
const OWNER: &str = "`owner` in the project";
const FILTERED: &str = "`viewer` in the project, if one is named";
const OTHERS: &[E] = &[E::Forbidden, E::NotFound];
const IN_PROJECT: &[E] = &[E::Forbidden, E::ProjectArchived, E::NotFound];
/// In a project to which the operation can add tasks, comments or text.
const IN_FULL_PROJECT: &[E] = &[E::Forbidden, E::ProjectArchived, E::NotFound, E::LimitReached];
const MEMBERS: &[E] = &[E::Forbidden, E::ProjectArchived, E::NotFound, E::OwnerRequired];
const FEED: &[E] = &[E::InvalidCursor, E::Forbidden];

/// All operations.
pub const OPERATIONS: &[OperationPolicy] = &[
    public("register").limited(Auth).no_store().errors(&[E::EmailTaken]),
    public("login").limited(Auth).no_store().errors(&[E::InvalidCredentials, E::AccountDisabled]),
    public("refreshSession").limited(Refresh).no_store().errors(&[E::InvalidRefreshToken, E::RefreshTokenReused]),
    session("logout").no_store(),
    optional_session("verifyEmail").limited(Auth).no_store().errors(&[E::InvalidToken]),
    public("disownAccount").limited(Auth).no_store().errors(&[E::InvalidToken]),
    session("resendVerification").limited(Auth).no_store(),
    public("forgotPassword").limited(ForgotPassword).no_store(),
    public("resetPassword").limited(Auth).no_store().errors(&[E::InvalidToken]),
    // Account
    read("getMe").cacheable(),
    write("updateMe").etag().if_match::<StaleUser>(),
    session("deleteMe"),
    session("changePassword").limited(Auth),
    read("listSessions"),
    session("revokeSession").errors(OTHERS),
    session("listMyAuditLog"),
    read("listApiTokens"),
    session("createApiToken").idempotent().no_store().errors(&[E::LimitReached]),
    session("revokeApiToken").idempotent().errors(OTHERS),
    // Projects
    read("listProjects").costs(Cost::Search),
    write("createProject").idempotent().etag().errors(&[E::Forbidden, E::NotFound, E::LimitReached]),
    read("getProject").role(VIEWER).cacheable().errors(OTHERS),
    write("updateProject").role(OWNER).idempotent().etag().if_match::<StaleProject>().errors(IN_FULL_PROJECT),
    write("deleteProject").role(OWNER).idempotent().if_match::<StaleProject>().errors(OTHERS),
    write("restoreProject").role(OWNER).idempotent().etag().errors(&[E::Forbidden, E::NotFound, E::LimitReached]),
    // Members and invitations
    read("listMembers").role(VIEWER).errors(OTHERS),
    write("updateMember").role(OWNER).idempotent().errors(&[
        E::Forbidden,
        E::ProjectArchived,
        E::NotFound,
        E::OwnerRequired,
        E::LimitReached,
    ]),
    write("removeMember").role("`owner` in the project, except for leaving it").idempotent().errors(MEMBERS),
    read("listInvitations").role(OWNER).errors(OTHERS),
    write("createInvitation").role(OWNER).limited(Mail).idempotent().errors(&[
        E::Forbidden,
        E::EmailNotVerified,
        E::ProjectArchived,
        E::NotFound,
        E::AlreadyMember,
        E::AlreadyInvited,
        E::LimitReached,
    ]),
    write("revokeInvitation").role(OWNER).errors(&[
        E::Forbidden,
        E::ProjectArchived,
        E::NotFound,
        E::InvitationNotPending,
    ]),
    read("listMyInvitations").errors(&[E::EmailNotVerified]),
    write("acceptInvitation").errors(&[
        E::Forbidden,
        E::EmailNotVerified,
        E::ProjectArchived,
        E::NotFound,
        E::AlreadyMember,
        E::InvitationNotPending,
    ]),
    write("declineInvitation").errors(&[E::Forbidden, E::EmailNotVerified, E::NotFound, E::InvitationNotPending]),
    // Tasks
    read("listProjectTasks").role(VIEWER).costs(Cost::Search).errors(OTHERS),
    write("createTask").role(EDITOR).idempotent().etag().errors(IN_FULL_PROJECT),
    write("batchTasks").role(EDITOR).costs(Cost::Batch).idempotent().errors(IN_FULL_PROJECT),
    read("listTasks").role(FILTERED).costs(Cost::Search).errors(&[E::Forbidden]),
    read("getTask").role(VIEWER).cacheable().errors(OTHERS),
    write("updateTask").role(EDITOR).idempotent().etag().if_match::<StaleTask>().errors(IN_FULL_PROJECT),
    write("deleteTask").role(EDITOR).idempotent().if_match::<StaleTask>().errors(IN_PROJECT),
    write("restoreTask").role(EDITOR).idempotent().etag().errors(IN_FULL_PROJECT),
    write("moveTask")
        .role(EDITOR)
        .idempotent()
        .etag()
        .if_match::<StaleTask>()
        .errors(IN_FULL_PROJECT)
        .messages(|| vec![("FORBIDDEN_SOURCE_OWNER", services::Error::SourceOwnerNotInTarget)]),
    read("listProjectTasksV2").role(VIEWER).costs(Cost::Search).errors(&[E::InvalidCursor, E::Forbidden, E::NotFound]),
    read("listTasksV2").role(FILTERED).costs(Cost::Search).errors(FEED),
    // Comments
    read("listComments").role(VIEWER).errors(OTHERS),
    write("createComment").role(EDITOR).idempotent().etag().errors(IN_FULL_PROJECT),
    read("getComment").role(VIEWER).cacheable().errors(OTHERS),
    write("updateComment")
        .role("`viewer` in the project, as the author of the comment")
        .idempotent()
        .etag()
        .if_match::<StaleComment>()
        .errors(IN_FULL_PROJECT),
    write("deleteComment")
        .role("`owner` in the project, or `viewer` as the author of the comment")
        .idempotent()
        .if_match::<StaleComment>()
        .errors(IN_PROJECT),
    // Events
    read("listEvents").role(FILTERED).errors(FEED).messages(feed_messages),
    both_scopes("createStreamTicket").role(FILTERED).no_store().errors(&[E::Forbidden]),
    read("streamEvents").role(FILTERED).accepts_ticket().errors(FEED).messages(feed_messages),
    // Webhooks
    read("listWebhooks").role(FILTERED).errors(&[E::Forbidden]),
    both_scopes("createWebhook").role(FILTERED).idempotent().etag().no_store().errors(&[
        E::Forbidden,
        E::LimitReached,
        E::WebhookUrlForbidden,
    ]),
    read("getWebhook").cacheable().errors(OTHERS),
    both_scopes("updateWebhook").idempotent().etag().if_match::<StaleWebhook>().errors(&[
        E::Forbidden,
        E::NotFound,
        E::LimitReached,
        E::WebhookUrlForbidden,
    ]),
    write("deleteWebhook").idempotent().if_match::<StaleWebhook>().errors(OTHERS),
    write("rotateWebhookSecret").idempotent().etag().no_store().errors(OTHERS),
    write("testWebhook").idempotent().errors(OTHERS),
    read("listDeliveries").errors(OTHERS),
    write("redeliver").idempotent().errors(OTHERS),
    // Health
    probe("getLiveness"),
    probe("getReadiness").errors(&[E::Unavailable]),
];

pub(super) fn feed_messages() -> Vec<(&'static str, services::Error)> {
    vec![
        ("INVALID_CURSOR", services::Error::InvalidEventCursor),
        ("INVALID_CURSOR_TOO_OLD", services::Error::CursorExpired),
    ]
}

/// Start of the deprecation of the v1 task lists: 2026-11-22, in seconds since 1970.
pub(super) const DEPRECATED_AT: &str = "@1795305600";

/// Earliest removal of the v1 task lists.
pub(super) const SUNSET: &str = "Mon, 22 Nov 2027 00:00:00 GMT";
