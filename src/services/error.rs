//! Why a service did not do what it was asked: a closed list, each with its stable code.

use crate::contract::account::api_token::Scope;
use crate::contract::error::{Detail, DetailCode, ErrorCode, ErrorLocation};
use crate::contract::project::Role;
use crate::contract::resource::CurrentResource;
use crate::repositories::StoreError;
use crate::security::{PasswordError, SealError};
use crate::webhooks::Unable;

/// Why a service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Parts of the request name something that cannot be; never empty.
    #[error("{} parts of the request are not valid", .0.len())]
    Invalid(Vec<Detail>),
    /// A cursor was not made for this list, or was changed.
    #[error("invalid cursor")]
    InvalidCursor,
    /// A cursor was not made for the feed of this reader in this direction, or was changed.
    #[error("invalid cursor of the feed")]
    InvalidEventCursor,
    /// What stands after a cursor is no longer all there.
    #[error("the cursor is older than the feed")]
    CursorExpired,
    /// An operation of a batch, delta from 0, cannot be done.
    #[error("operation {0} of the batch")]
    BatchOperation(usize, #[source] Box<Self>),
    /// There is no token, or it cannot be read.
    #[error("no readable access token")]
    Unauthenticated,
    /// The access token is past its end.
    #[error("the access token has expired")]
    TokenExpired,
    /// The session of the access token was ended.
    #[error("the session was ended")]
    TokenRevoked,
    /// The e-mail or the password is wrong.
    #[error("wrong e-mail or password")]
    InvalidCredentials,
    /// The refresh token is unknown or past its end.
    #[error("invalid refresh token")]
    InvalidRefreshToken,
    /// The refresh token was used before.
    #[error("reused refresh token")]
    RefreshTokenReused,
    /// The caller is no member of the project.
    #[error("not a member of the project")]
    NotAMember {
        /// The least role that would do.
        needed: Role,
    },
    /// The caller's role does not allow it.
    #[error("the role does not allow it")]
    RoleTooLow {
        /// The least role that would.
        needed: Role,
        /// The role of the caller.
        given: Role,
    },
    /// The caller did not write the comment.
    #[error("the caller is not the author of the comment")]
    NotTheAuthor,
    /// The owner of the project that a task would leave is not a member of the target project.
    #[error("the owner of the source project is not a member of the target project")]
    SourceOwnerNotInTarget,
    /// A project must have an owner.
    #[error("the project would have no owner")]
    OwnerRequired,
    /// The address of the caller is not proved.
    #[error("the e-mail address is not verified")]
    EmailNotVerified,
    /// Who is invited is a member.
    #[error("a member already")]
    AlreadyMember,
    /// Who is invited has an invitation that is pending.
    #[error("invited already")]
    AlreadyInvited,
    /// The invitation cannot be answered or revoked any more.
    #[error("the invitation is not pending")]
    InvitationNotPending,
    /// It belongs to somebody else.
    #[error("it belongs to somebody else")]
    NotOwner,
    /// The API token does not have this scope.
    #[error("the API token lacks the scope {}", .0.as_str())]
    InsufficientScope(Scope),
    /// A person must do it, who is logged in.
    #[error("an API token may not do it")]
    SessionRequired,
    /// The API token was ended.
    #[error("the API token was revoked")]
    ApiTokenRevoked,
    /// A token that was sent by mail is wrong, was used, or has expired.
    #[error("an invalid token from a mail")]
    InvalidToken,
    /// Events may not be sent to the address; why, as a sentence.
    #[error("a forbidden URL of a webhook: {0}")]
    WebhookUrlForbidden(String),
    /// There are as many as there may be; who has what, as the beginning of a sentence.
    #[error("{0} as there may be")]
    LimitReached(&'static str),
    /// The caller follows the feed as often as one may.
    #[error("as many streams as there may be")]
    TooManyStreams,
    /// The caller's other searches and lists took too long to wait for.
    #[error("too many searches at once")]
    TooManySearches,
    /// The project can only be read.
    #[error("the project is archived")]
    ProjectArchived,
    /// Nothing is there; what was looked for.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// There is an account with this e-mail.
    #[error("the e-mail is taken")]
    EmailTaken,
    /// The idempotency key was used up, perhaps by this very request: its answer is stored.
    #[error("the idempotency key is used up")]
    KeyCompleted,
    /// The first request with the idempotency key still runs.
    #[error("the idempotency key is in use")]
    KeyInProgress,
    /// The idempotency key was used for another request.
    #[error("the idempotency key belongs to another request")]
    KeyMismatch,
    /// The resource is not at the version that the caller has seen.
    #[error("the resource was changed meanwhile")]
    PreconditionFailed {
        /// The resource as it is now.
        current: CurrentResource,
        /// The tag that it has now.
        etag: String,
    },
    /// The server is about to stop.
    #[error("the server is about to stop")]
    ShuttingDown,
    /// The database cannot be used.
    #[error("the database is not ready")]
    NotReady(#[source] StoreError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password could not be hashed or compared.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A token could not be made.
    #[error("a token could not be made")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This machine can send no webhooks.
    #[error(transparent)]
    WebhookClientUnavailable(#[from] Unable),
    /// Something stored cannot be sealed, or read again.
    #[error("a stored answer cannot be written or read")]
    CorruptData(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::corrupt(error)
    }
}

impl Error {
    /// A field of the body breaks a rule that only the service knows.
    #[must_use]
    pub(crate) fn invalid(field: &str, code: DetailCode, message: String) -> Self {
        Self::Invalid(vec![Detail { location: ErrorLocation::Body, field: field.to_owned(), code, message }])
    }

    /// A field of the body names something that the caller may not use here.
    #[must_use]
    pub(crate) fn reference(place: ErrorLocation, field: &str, message: &str) -> Self {
        Self::Invalid(vec![Detail {
            location: place,
            field: field.to_owned(),
            code: DetailCode::Reference,
            message: format!("{field} {message}"),
        }])
    }

    /// Something that was stored is not as this program writes it.
    pub(crate) fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::CorruptData(Box::new(error))
    }

    /// The same about an operation of a batch, delta from 0.
    #[must_use]
    pub(crate) fn at_operation(self, index: usize) -> Self {
        let place = format!("operations[{index}]");
        match self {
            Self::Invalid(details) => Self::Invalid(
                details
                    .into_iter()
                    .map(|detail| Detail {
                        field: format!("{place}.{}", detail.field),
                        message: format!("{place}.{}", detail.message),
                        ..detail
                    })
                    .collect(),
            ),
            other => Self::BatchOperation(index, Box::new(other)),
        }
    }

    /// Returns whether it failed only because too much was asked for at the same time.
    #[must_use]
    pub const fn is_overload(&self) -> bool {
        matches!(self, Self::TooManySearches | Self::Store(StoreError::Unavailable(_)))
    }

    /// Returns whether the log has the failure already: storage reports damage itself, and not once a request.
    #[must_use]
    pub const fn is_reported(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged(_)) | Self::NotReady(StoreError::Damaged(_)))
    }

    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::ValidationFailed,
            Self::InvalidCursor | Self::InvalidEventCursor | Self::CursorExpired => ErrorCode::InvalidCursor,
            Self::BatchOperation(_, error) => error.code(),
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::TokenExpired => ErrorCode::TokenExpired,
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
            Self::AlreadyMember => ErrorCode::AlreadyMember,
            Self::AlreadyInvited => ErrorCode::AlreadyInvited,
            Self::InvitationNotPending => ErrorCode::InvitationNotPending,
            Self::InsufficientScope(_) => ErrorCode::InsufficientScope,
            Self::InvalidToken => ErrorCode::InvalidToken,
            Self::WebhookUrlForbidden(_) => ErrorCode::WebhookUrlForbidden,
            Self::LimitReached(_) => ErrorCode::LimitReached,
            Self::TooManyStreams | Self::TooManySearches => ErrorCode::RateLimited,
            Self::ProjectArchived => ErrorCode::ProjectArchived,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::EmailTaken => ErrorCode::EmailTaken,
            Self::KeyCompleted | Self::KeyInProgress => ErrorCode::IdempotencyInProgress,
            Self::KeyMismatch => ErrorCode::IdempotencyKeyReused,
            Self::PreconditionFailed { .. } => ErrorCode::PreconditionFailed,
            Self::ShuttingDown
            | Self::NotReady(_)
            | Self::Store(StoreError::Unavailable(_) | StoreError::Damaged(_) | StoreError::Overtaken)
            | Self::Password(PasswordError::Overloaded) => ErrorCode::Unavailable,
            Self::Store(StoreError::Failed(_))
            | Self::Password(PasswordError::Failed(_))
            | Self::WebhookClientUnavailable(_)
            | Self::Token(_)
            | Self::CorruptData(_) => ErrorCode::Internal,
        }
    }

    /// The sentence for the caller, which gives nothing of the inside away.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(details) => {
                details.first().map_or_else(|| self.code().message().to_owned(), |first| first.message.clone())
            }
            Self::BatchOperation(index, error) => format!("operations[{index}]: {}", error.message()),
            Self::NotAMember { needed } => {
                let needed = match needed {
                    Role::Owner => "only its owner may do this",
                    Role::Editor => "this takes the role editor or owner in it",
                    Role::Viewer => "this takes the role viewer, editor or owner in it",
                };
                format!("You are not a member of this project; {needed}.")
            }
            Self::RoleTooLow { needed, given } => {
                let needed = match needed {
                    Role::Owner => "Only the owner of the project may do this",
                    Role::Editor | Role::Viewer => "This takes the role editor or owner in the project",
                };
                format!("{needed}; you are {}.", role_in_words(*given))
            }
            Self::NotTheAuthor => "Only the author of a comment can change it.".to_owned(),
            Self::SourceOwnerNotInTarget => {
                "The owner of the source project must be a member of the target project.".to_owned()
            }
            Self::InsufficientScope(scope) => {
                format!("This takes an API token with the scope `{}`.", scope.as_str())
            }
            Self::InvalidEventCursor => {
                "The cursor is not one of your feed in this order; begin again without one, or list everything anew to stay in step."
                    .to_owned()
            }
            Self::CursorExpired => {
                "The cursor is older than the events that are kept; list everything anew, and go on from the sync_cursor of that list."
                    .to_owned()
            }
            Self::SessionRequired => "An API token may not do this; log in.".to_owned(),
            Self::ApiTokenRevoked => "This API token was revoked; make a new one.".to_owned(),
            Self::WebhookUrlForbidden(why) => why.clone(),
            Self::LimitReached(what) => format!("{what} as there may be; remove one first."),
            Self::TooManyStreams => {
                "You have as many streams open as there may be; close one, or share one between the pages of a browser."
                    .to_owned()
            }
            Self::TooManySearches => {
                "Your other lists and searches are still running. Wait for them to finish, then try again.".to_owned()
            }
            Self::NotOwner => "This belongs to somebody else.".to_owned(),
            Self::NotFound(what) => format!("There is no such {what}."),
            other => other.code().message().to_owned(),
        }
    }
}

const fn role_in_words(role: Role) -> &'static str {
    match role {
        Role::Owner => "its owner",
        Role::Editor => "an editor",
        Role::Viewer => "a viewer",
    }
}
