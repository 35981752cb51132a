//! Why a service did not do what it was asked: a closed list, each with its stable code.

use crate::contract::error::{Detail, DetailCode, ErrorCode, Place};
use crate::contract::project::Role;
use crate::repositories::StoreError;
use crate::security::PasswordError;

/// Why a service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of the request names something that cannot be.
    #[error("{}", .0.message)]
    Invalid(Detail),
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
    NotAMember,
    /// The caller's role does not allow it.
    #[error("the role does not allow it")]
    RoleTooLow {
        /// The least role that would.
        needed: Role,
        /// The role of the caller.
        given: Role,
    },
    /// It belongs to somebody else.
    #[error("it belongs to somebody else")]
    NotYours,
    /// The project can only be read.
    #[error("the project is archived")]
    ProjectArchived,
    /// Nothing is there; what was looked for.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// There is an account with this e-mail.
    #[error("the e-mail is taken")]
    EmailTaken,
    /// The server is about to stop.
    #[error("the server is about to stop")]
    Stopping,
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
}

impl Error {
    /// A field of the body names something that the caller may not use here.
    #[must_use]
    pub(crate) fn reference(place: Place, field: &str, message: &str) -> Self {
        Self::Invalid(Detail {
            place,
            field: field.to_owned(),
            code: DetailCode::Reference,
            message: format!("{field} {message}"),
        })
    }

    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::ValidationFailed,
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::TokenRevoked => ErrorCode::TokenRevoked,
            Self::InvalidCredentials => ErrorCode::InvalidCredentials,
            Self::InvalidRefreshToken => ErrorCode::InvalidRefreshToken,
            Self::RefreshTokenReused => ErrorCode::RefreshTokenReused,
            Self::NotAMember | Self::RoleTooLow { .. } | Self::NotYours => ErrorCode::Forbidden,
            Self::ProjectArchived => ErrorCode::ProjectArchived,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::EmailTaken => ErrorCode::EmailTaken,
            Self::Stopping
            | Self::NotReady(_)
            | Self::Store(StoreError::Unavailable(_))
            | Self::Password(PasswordError::Overloaded) => ErrorCode::Unavailable,
            Self::Store(StoreError::Failed(_)) | Self::Password(PasswordError::Failed(_)) | Self::Token(_) => {
                ErrorCode::Internal
            }
        }
    }

    /// The sentence for the caller, which gives nothing of the inside away.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(detail) => detail.message.clone(),
            Self::NotAMember => "You are not a member of this project.".to_owned(),
            Self::RoleTooLow { needed, given } => {
                let needed = match needed {
                    Role::Owner => "Only the owner of the project may do this",
                    Role::Editor | Role::Viewer => "This takes the role editor or owner in the project",
                };
                format!("{needed}; you are {}.", role_in_words(*given))
            }
            Self::NotYours => "This belongs to somebody else.".to_owned(),
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
