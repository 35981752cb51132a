//! The one error shape of the API, and its closed vocabulary of codes.
//!
//! Guarantees: every code has one HTTP status, and the strings never change once published. Knows nothing of how an
//! error travels (that is `api::errors`) or why it arose (that is `services`).

use poem_openapi::{Enum, Object};

/// What went wrong, as a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The request breaks the rules of its schema; `details` lists every failure.
    ValidationFailed,
    /// The body is not JSON, has a key twice, or goes on after its end.
    MalformedJson,
    /// The cursor was not made for this list, with these filters and this sort, or was changed: begin again without one.
    InvalidCursor,
    /// The `Idempotency-Key` is not 1 to 255 visible ASCII characters.
    InvalidIdempotencyKey,
    /// No token, or one that cannot be read.
    Unauthenticated,
    /// The access token is past its end: refresh it.
    TokenExpired,
    /// The session of this token was ended.
    TokenRevoked,
    /// Wrong e-mail or password.
    InvalidCredentials,
    /// The refresh token is unknown or expired.
    InvalidRefreshToken,
    /// The refresh token had been used before: the session is ended.
    RefreshTokenReused,
    /// Not a member, or the role does not allow it.
    Forbidden,
    /// The API token does not have the scope that this takes.
    InsufficientScope,
    /// The address of the account was not proved to be the user's.
    EmailNotVerified,
    /// The project is archived and can only be read.
    ProjectArchived,
    /// Nothing is there, or it was deleted.
    NotFound,
    /// The path exists, but not with this method; see `Allow`.
    MethodNotAllowed,
    /// The response cannot be given in a media type that `Accept` allows.
    NotAcceptable,
    /// The body did not arrive in time.
    RequestTimeout,
    /// An account with this e-mail exists.
    EmailTaken,
    /// Who is invited is a member.
    AlreadyMember,
    /// Somebody with this address has an invitation that is good.
    AlreadyInvited,
    /// The invitation was answered, revoked, or has expired.
    InvitationNotPending,
    /// A project must have an owner: hand it over first.
    OwnerRequired,
    /// There are as many as there may be.
    LimitReached,
    /// The first request with this `Idempotency-Key` still runs; see `Retry-After`.
    IdempotencyInProgress,
    /// The resource was changed since the version that `If-Match` names; `current` is how it is now.
    PreconditionFailed,
    /// The body is larger than the server takes.
    PayloadTooLarge,
    /// The body is not sent as a media type that the operation takes.
    UnsupportedMediaType,
    /// This `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// The token from the mail is wrong, was used, or has expired.
    InvalidToken,
    /// Too many requests; see `Retry-After`.
    RateLimited,
    /// The server failed; quote `request_id` when you report it.
    Internal,
    /// The server is overloaded or its database is away; see `Retry-After`.
    Unavailable,
    /// The server gave up on the request because it took too long.
    Timeout,
}

impl ErrorCode {
    /// The HTTP status that always goes with this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::ValidationFailed | Self::MalformedJson | Self::InvalidCursor | Self::InvalidIdempotencyKey => 400,
            Self::Unauthenticated
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::InvalidCredentials
            | Self::InvalidRefreshToken
            | Self::RefreshTokenReused => 401,
            Self::Forbidden | Self::InsufficientScope | Self::EmailNotVerified | Self::ProjectArchived => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::RequestTimeout => 408,
            Self::EmailTaken
            | Self::AlreadyMember
            | Self::AlreadyInvited
            | Self::InvitationNotPending
            | Self::OwnerRequired
            | Self::LimitReached
            | Self::IdempotencyInProgress => 409,
            Self::PreconditionFailed => 412,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::IdempotencyKeyReused | Self::InvalidToken => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The sentence a caller reads when nothing more precise is known; also the example in the published document.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::ValidationFailed => "The request is not valid; see details.",
            Self::MalformedJson => "The request body is not valid JSON.",
            Self::InvalidCursor => {
                "The cursor does not belong to this list with these filters and this sort; begin again without one."
            }
            Self::InvalidIdempotencyKey => "The Idempotency-Key must be 1 to 255 visible ASCII characters.",
            Self::Unauthenticated => "Send a valid access token as `Authorization: Bearer <token>`.",
            Self::TokenExpired => "The access token has expired; refresh the session.",
            Self::TokenRevoked => "The session of this token was ended; log in again.",
            Self::InvalidCredentials => "The e-mail or the password is wrong.",
            Self::InvalidRefreshToken => "The refresh token is not valid; log in again.",
            Self::RefreshTokenReused => {
                "The refresh token had been used before, so the session was ended; log in again."
            }
            Self::Forbidden => "You may not do this.",
            Self::InsufficientScope => "The API token does not have the scope that this takes.",
            Self::EmailNotVerified => "Prove your e-mail address first, by the link that was mailed to it.",
            Self::ProjectArchived => "The project is archived; un-archive it to change anything in it.",
            Self::NotFound => "There is nothing at this address.",
            Self::MethodNotAllowed => "This address does not take this method; see the Allow header.",
            Self::NotAcceptable => "The response is application/json, which the Accept header does not allow.",
            Self::RequestTimeout => "The request body did not arrive in time.",
            Self::EmailTaken => "An account with this e-mail exists; log in instead.",
            Self::AlreadyMember => "Who has this address is a member of the project.",
            Self::AlreadyInvited => "This address has an invitation to the project that is still good.",
            Self::InvitationNotPending => "The invitation was answered, revoked, or has expired.",
            Self::OwnerRequired => "A project must have an owner; make another member its owner first.",
            Self::LimitReached => "There are as many as there may be; remove one first.",
            Self::IdempotencyInProgress => {
                "The first request with this Idempotency-Key still runs; try again after the seconds in Retry-After."
            }
            Self::PreconditionFailed => {
                "It was changed since the version that If-Match names; current shows how it is now."
            }
            Self::PayloadTooLarge => "The request body is too large.",
            Self::UnsupportedMediaType => {
                "The request body must be sent as JSON; see Content-Type and Content-Encoding."
            }
            Self::IdempotencyKeyReused => "This Idempotency-Key was used for another request; make a new one.",
            Self::InvalidToken => "The token is wrong, was used before, or has expired; ask for a new mail.",
            Self::RateLimited => "Too many requests; try again after the seconds in Retry-After.",
            Self::Internal => "Something went wrong on our side; quote the request_id when you report it.",
            Self::Unavailable => "The service is busy; try again after the seconds in Retry-After.",
            Self::Timeout => "The request took too long and was given up.",
        }
    }

    /// The code as it stands in responses, e.g. `NOT_FOUND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ValidationFailed => "VALIDATION_FAILED",
            Self::MalformedJson => "MALFORMED_JSON",
            Self::InvalidCursor => "INVALID_CURSOR",
            Self::InvalidIdempotencyKey => "INVALID_IDEMPOTENCY_KEY",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TokenRevoked => "TOKEN_REVOKED",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::InvalidRefreshToken => "INVALID_REFRESH_TOKEN",
            Self::RefreshTokenReused => "REFRESH_TOKEN_REUSED",
            Self::Forbidden => "FORBIDDEN",
            Self::InsufficientScope => "INSUFFICIENT_SCOPE",
            Self::EmailNotVerified => "EMAIL_NOT_VERIFIED",
            Self::ProjectArchived => "PROJECT_ARCHIVED",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::AlreadyMember => "ALREADY_MEMBER",
            Self::AlreadyInvited => "ALREADY_INVITED",
            Self::InvitationNotPending => "INVITATION_NOT_PENDING",
            Self::OwnerRequired => "OWNER_REQUIRED",
            Self::LimitReached => "LIMIT_REACHED",
            Self::IdempotencyInProgress => "IDEMPOTENCY_IN_PROGRESS",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::InvalidToken => "INVALID_TOKEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
        }
    }

    /// Every code there is, in the order of their statuses.
    pub const ALL: [Self; 34] = [
        Self::ValidationFailed,
        Self::MalformedJson,
        Self::InvalidCursor,
        Self::InvalidIdempotencyKey,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::InvalidCredentials,
        Self::InvalidRefreshToken,
        Self::RefreshTokenReused,
        Self::Forbidden,
        Self::InsufficientScope,
        Self::EmailNotVerified,
        Self::ProjectArchived,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::RequestTimeout,
        Self::EmailTaken,
        Self::AlreadyMember,
        Self::AlreadyInvited,
        Self::InvitationNotPending,
        Self::OwnerRequired,
        Self::LimitReached,
        Self::IdempotencyInProgress,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyKeyReused,
        Self::InvalidToken,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::Timeout,
    ];
}

/// Which rule a part of the request breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "ErrorDetailCode", rename_all = "snake_case")]
pub enum DetailCode {
    /// It is missing.
    Required,
    /// It has another JSON type than the schema says.
    Type,
    /// It cannot be `null`.
    Null,
    /// The body has no such field, or it cannot be written.
    UnknownField,
    /// The operation has no such query parameter.
    UnknownParameter,
    /// The query parameter is there twice.
    DuplicateParameter,
    /// The text is shorter than allowed.
    TooShort,
    /// The text is longer than allowed.
    TooLong,
    /// The list has too few items.
    TooFew,
    /// The list has too many items.
    TooMany,
    /// The number is below the least one allowed.
    Minimum,
    /// The number is above the greatest one allowed.
    Maximum,
    /// It is none of the allowed values.
    Enum,
    /// It is not written in the format that the schema names.
    Format,
    /// The text has a character or a form that is not allowed.
    Pattern,
    /// The list has the same item twice.
    Duplicate,
    /// The current password is wrong.
    Incorrect,
    /// It excludes another field or parameter that is there too.
    Conflict,
    /// The id names nothing that the caller may use here.
    Reference,
}

/// The part of the request that a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "ErrorLocation", rename_all = "lowercase")]
pub enum Place {
    /// The JSON body.
    Body,
    /// The query string.
    Query,
    /// A request header.
    Header,
}

/// One failure of a request that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "ErrorDetail")]
pub struct Detail {
    /// The part of the request that the failure is about.
    #[oai(rename = "in")]
    pub place: Place,
    /// The field, parameter or header: `title`, `labels[1]`; empty where it is the body as a whole.
    pub field: String,
    /// The rule that it breaks.
    pub code: DetailCode,
    /// A sentence a person can act on.
    pub message: String,
}

/// What every response that is not a success says.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "ApiError", skip_serializing_if_is_none)]
pub struct ErrorBody {
    /// What went wrong, as a stable word for programs.
    pub error: ErrorCode,
    /// What went wrong, as a sentence a person can act on; its wording may change.
    pub message: String,
    /// The first field, parameter or header that is not valid; absent when the error is about none.
    pub field: Option<String>,
    /// Every failure of the request, at most one for each field, in the order of the request; present exactly when `error` is `VALIDATION_FAILED`.
    pub details: Option<Vec<Detail>>,
    /// The `X-Request-Id` of this response, to quote when you report a problem.
    pub request_id: String,
}
