//! Domain errors: a closed enum in which every variant has a stable code.

use std::time::Duration;

use crate::contract::account::api_token::Scope;
use crate::contract::error::{Detail, DetailCode, ErrorCode, ErrorLocation};
use crate::contract::project::Role;
use crate::contract::resource::CurrentResource;
use crate::repositories::StoreError;
use crate::security::{PasswordError, SealError};
use crate::webhooks::ClientUnavailable;

/// Reason why a service refused or failed a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Details of invalid fields; never empty.
    #[error("{} invalid fields", .0.len())]
    Invalid(Vec<Detail>),
    /// The cursor is malformed or belongs to another list.
    #[error("invalid cursor")]
    InvalidCursor,
    /// The event cursor is malformed or belongs to another user or direction.
    #[error("invalid event cursor")]
    InvalidEventCursor,
    /// Some events after the cursor were pruned.
    #[error("the event cursor has expired")]
    CursorExpired,
    /// An operation of a batch failed; the index counts from 0.
    #[error("operation {0} of the batch")]
    BatchOperation(usize, #[source] Box<Self>),
    /// The access token is missing or malformed.
    #[error("missing or malformed access token")]
    Unauthenticated,
    /// The access token has expired.
    #[error("the access token has expired")]
    TokenExpired,
    /// The ticket for an event stream is unknown, used or expired.
    #[error("invalid stream ticket")]
    InvalidStreamTicket,
    /// The session of the access token was revoked.
    #[error("the session was revoked")]
    TokenRevoked,
    /// The e-mail address or the password is wrong.
    #[error("wrong e-mail or password")]
    InvalidCredentials,
    /// The refresh token is unknown or has expired.
    #[error("invalid refresh token")]
    InvalidRefreshToken,
    /// The refresh token was used before.
    #[error("reused refresh token")]
    RefreshTokenReused,
    /// The caller is not a member of the project.
    #[error("not a member of the project")]
    NotAMember {
        /// Lowest role that allows the action.
        needed: Role,
    },
    /// The role of the caller does not allow the action.
    #[error("the role does not allow the action")]
    RoleTooLow {
        /// Lowest role that allows the action.
        needed: Role,
        /// Role of the caller.
        given: Role,
    },
    /// The caller is not the author of the comment.
    #[error("the caller is not the author of the comment")]
    NotTheAuthor,
    /// The owner of the task's project is not a member of the target project.
    #[error("the owner of the source project is not a member of the target project")]
    SourceOwnerNotInTarget,
    /// The project would be left without an owner.
    #[error("the project would have no owner")]
    OwnerRequired,
    /// The e-mail address of the caller is not verified.
    #[error("the e-mail address is not verified")]
    EmailNotVerified,
    /// The operator disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The invitee is already a member.
    #[error("already a member")]
    AlreadyMember,
    /// The invitee already has a pending invitation.
    #[error("already invited")]
    AlreadyInvited,
    /// The invitation was already answered, was revoked or has expired.
    #[error("the invitation is not pending")]
    InvitationNotPending,
    /// The object belongs to another user.
    #[error("the object belongs to another user")]
    NotOwner,
    /// The API token lacks this scope.
    #[error("the API token lacks the scope {}", .0.as_str())]
    InsufficientScope(Scope),
    /// The operation requires a session.
    #[error("API tokens are not accepted here")]
    SessionRequired,
    /// The API token was revoked.
    #[error("the API token was revoked")]
    ApiTokenRevoked,
    /// The API token has expired.
    #[error("the API token has expired")]
    ApiTokenExpired,
    /// A token from an e-mail is unknown, used or expired.
    #[error("invalid e-mail token")]
    InvalidToken,
    /// Webhooks may not point to this URL; the text says why.
    #[error("forbidden webhook URL: {0}")]
    WebhookUrlForbidden(String),
    /// A limit was reached; the text is the message for the caller.
    #[error("{0}")]
    LimitReached(String),
    /// The caller has reached the maximum number of open event streams.
    #[error("too many event streams")]
    TooManyStreams,
    /// The caller's other searches and lists kept the request waiting for too long.
    #[error("too many concurrent searches")]
    TooManySearches,
    /// Too many requests of this kind; the text is the message for the caller.
    #[error("{message}")]
    RateLimited {
        /// Maximum number in the window.
        limit: u64,
        /// Time until the end of the window.
        retry_after: Duration,
        /// Message for the caller.
        message: String,
    },
    /// The project is archived and therefore read-only.
    #[error("the project is archived")]
    ProjectArchived,
    /// The object does not exist; the text names its kind.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// An account with this e-mail address exists.
    #[error("the e-mail is taken")]
    EmailTaken,
    /// A request with the idempotency key is still running.
    #[error("the idempotency key is in use")]
    KeyInProgress,
    /// The idempotency key was used for a different request.
    #[error("the idempotency key belongs to another request")]
    KeyMismatch,
    /// The resource has changed since the caller read it.
    #[error("the resource has changed")]
    PreconditionFailed {
        /// Current state of the resource.
        current: CurrentResource,
        /// Current entity tag of the resource.
        etag: String,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The database is not ready.
    #[error("the database is not ready")]
    NotReady(#[source] StoreError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password could not be hashed or verified.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A token could not be generated or signed.
    #[error("a token could not be generated")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client for webhooks could not be set up.
    #[error(transparent)]
    WebhookClientUnavailable(#[from] ClientUnavailable),
    /// A stored value could not be encrypted, decrypted or decoded.
    #[error("a stored value could not be encoded or decoded")]
    CorruptData(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::corrupt(error)
    }
}

impl Error {
    /// Creates a validation error for a field of the body.
    #[must_use]
    pub(crate) fn invalid(field: &str, code: DetailCode, message: String) -> Self {
        Self::Invalid(vec![Detail { location: ErrorLocation::Body, field: field.to_owned(), code, message }])
    }

    /// Creates a validation error for a field that refers to an object.
    #[must_use]
    pub(crate) fn reference(location: ErrorLocation, field: &str, message: &str) -> Self {
        Self::Invalid(vec![Detail {
            location,
            field: field.to_owned(),
            code: DetailCode::Reference,
            message: format!("{field} {message}"),
        }])
    }

    /// Creates an error for a stored value that cannot be decoded.
    pub(crate) fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::CorruptData(Box::new(error))
    }

    /// Attributes the error to an operation of a batch, counted from 0.
    #[must_use]
    pub(crate) fn at_operation(self, index: usize) -> Self {
        let operation = format!("operations[{index}]");
        match self {
            Self::Invalid(details) => Self::Invalid(
                details
                    .into_iter()
                    .map(|detail| Detail {
                        field: format!("{operation}.{}", detail.field),
                        message: format!("{operation}.{}", detail.message),
                        ..detail
                    })
                    .collect(),
            ),
            other => Self::BatchOperation(index, Box::new(other)),
        }
    }

    /// Returns whether the request failed only because of too many concurrent requests.
    #[must_use]
    pub const fn is_overload(&self) -> bool {
        matches!(self, Self::TooManySearches | Self::Store(StoreError::Unavailable(_)))
    }

    /// Returns whether the failure needs no line in the log: it is logged already, or part of a shutdown.
    #[must_use]
    pub const fn is_reported(&self) -> bool {
        matches!(
            self,
            Self::ShuttingDown | Self::Store(StoreError::Damaged(_)) | Self::NotReady(StoreError::Damaged(_))
        )
    }

    /// Returns when an overloaded service is expected to have recovered.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Password(PasswordError::Overloaded { retry_after }) => Some(*retry_after),
            _ => None,
        }
    }

    /// Returns the stable code of the error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::ValidationFailed,
            Self::InvalidCursor | Self::InvalidEventCursor | Self::CursorExpired => ErrorCode::InvalidCursor,
            Self::BatchOperation(_, error) => error.code(),
            Self::Unauthenticated | Self::InvalidStreamTicket => ErrorCode::Unauthenticated,
            Self::TokenExpired | Self::ApiTokenExpired => ErrorCode::TokenExpired,
            Self::TokenRevoked | Self::ApiTokenRevoked => ErrorCode::TokenRevoked,
            Self::InvalidCredentials => ErrorCode::InvalidCredentials,
            Self::InvalidRefreshToken => ErrorCode::InvalidRefreshToken,
            Self::RefreshTokenReused => ErrorCode::RefreshTokenReused,
            Self::NotAMember { .. }
            | Self::RoleTooLow { .. }
            | Self::NotTheAuthor
            | Self::SourceOwnerNotInTarget
            | Self::NotOwner
            | Self::SessionRequired => ErrorCode::Forbidden,
            Self::OwnerRequired => ErrorCode::OwnerRequired,
            Self::EmailNotVerified => ErrorCode::EmailNotVerified,
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::AlreadyMember => ErrorCode::AlreadyMember,
            Self::AlreadyInvited => ErrorCode::AlreadyInvited,
            Self::InvitationNotPending => ErrorCode::InvitationNotPending,
            Self::InsufficientScope(_) => ErrorCode::InsufficientScope,
            Self::InvalidToken => ErrorCode::InvalidToken,
            Self::WebhookUrlForbidden(_) => ErrorCode::WebhookUrlForbidden,
            Self::LimitReached(_) => ErrorCode::LimitReached,
            Self::TooManyStreams | Self::TooManySearches | Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::ProjectArchived => ErrorCode::ProjectArchived,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::EmailTaken => ErrorCode::EmailTaken,
            Self::KeyInProgress => ErrorCode::IdempotencyInProgress,
            Self::KeyMismatch => ErrorCode::IdempotencyKeyReused,
            Self::PreconditionFailed { .. } => ErrorCode::PreconditionFailed,
            Self::ShuttingDown
            | Self::NotReady(_)
            | Self::Store(StoreError::Unavailable(_) | StoreError::Damaged(_) | StoreError::ConcurrentMove)
            | Self::Password(PasswordError::Overloaded { .. }) => ErrorCode::Unavailable,
            Self::Store(StoreError::Internal(_))
            | Self::Password(PasswordError::Failed(_))
            | Self::WebhookClientUnavailable(_)
            | Self::Token(_)
            | Self::CorruptData(_) => ErrorCode::Internal,
        }
    }

    /// Returns the message for the caller, without internal details.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(details) => {
                details.first().map_or_else(|| self.code().message().to_owned(), |first| first.message.clone())
            }
            Self::BatchOperation(index, error) => format!("operations[{index}]: {}", error.message()),
            Self::NotAMember { needed } => {
                let needed = match needed {
                    Role::Owner => "Only its owner can do this.",
                    Role::Editor => "This requires the role editor or owner.",
                    Role::Viewer => "This requires the role viewer, editor or owner.",
                };
                format!("You are not a member of this project. {needed}")
            }
            Self::RoleTooLow { needed, given } => {
                let needed = match needed {
                    Role::Owner => "Only the owner of the project can do this.",
                    Role::Editor | Role::Viewer => "This requires the role editor or owner in the project.",
                };
                format!("{needed} You are {}.", role_in_words(*given))
            }
            Self::NotTheAuthor => "Only the author of a comment can change it.".to_owned(),
            Self::SourceOwnerNotInTarget => {
                "The owner of the source project must be a member of the target project.".to_owned()
            }
            Self::InsufficientScope(scope) => {
                format!("This requires an API token with the scope `{}`.", scope.as_str())
            }
            Self::InvalidEventCursor => {
                "The cursor does not belong to your event feed in this order, or the feed was restored from a backup. Start \
                 without a cursor, or list everything again."
                    .to_owned()
            }
            Self::CursorExpired => {
                "The cursor is older than the retained events. List everything again and continue from its sync_cursor."
                    .to_owned()
            }
            Self::InvalidStreamTicket => {
                "The ticket is wrong, was used before, or has expired. Create another one for each connection.".to_owned()
            }
            Self::SessionRequired => "API tokens cannot do this. Log in instead.".to_owned(),
            Self::ApiTokenExpired => "This API token has expired. Create a new one.".to_owned(),
            Self::ApiTokenRevoked => "This API token was revoked. Create a new one.".to_owned(),
            Self::WebhookUrlForbidden(message) | Self::LimitReached(message) | Self::RateLimited { message, .. } => {
                message.clone()
            }
            Self::Password(PasswordError::Overloaded { .. }) => {
                "Too many passwords are being checked. Retry after the number of seconds in Retry-After.".to_owned()
            }
            Self::TooManyStreams => {
                "You have reached the maximum number of open event streams. Close one, or share one between browser tabs."
                    .to_owned()
            }
            Self::TooManySearches => {
                "Your other lists and searches are still running. Wait for them to finish, then try again.".to_owned()
            }
            Self::NotOwner => "This belongs to another user.".to_owned(),
            Self::NotFound(what) => format!("There is no such {what}."),
            other => other.code().message().to_owned(),
        }
    }
}

const fn role_in_words(role: Role) -> &'static str {
    match role {
        Role::Owner => "the owner",
        Role::Editor => "an editor",
        Role::Viewer => "a viewer",
    }
}
