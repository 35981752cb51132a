//! The one error shape of the API, and its closed vocabulary of codes.
//!
//! Guarantees: every code has one HTTP status, and the strings never change once published. Knows nothing of how an
//! error travels (that is `api::errors`) or why it arose (that is `services`).

use poem_openapi::{Enum, Object};

/// One row for each code: its word in responses, its status, and the sentence for whoever reads it.
macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $code:ident: $word:literal, $status:literal, $message:literal;)*) => {
        /// What went wrong, as a stable word for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        #[oai(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum ErrorCode {
            $($(#[doc = $doc])* $code,)*
        }

        impl ErrorCode {
            /// Every code there is, in the order of their statuses.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$code),*];

            /// The HTTP status that always goes with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// The sentence a caller reads when nothing more precise is known; also the example in the published
            /// document.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$code => $message,)* }
            }

            /// The code as it stands in responses, e.g. `NOT_FOUND`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }
        }
    };
}

error_codes! {
    /// The request breaks the rules of its schema; `details` lists every failure.
    ValidationFailed: "VALIDATION_FAILED", 400, "The request is not valid; see details.";
    /// The body is not JSON, has a key twice, or goes on after its end.
    MalformedJson: "MALFORMED_JSON", 400, "The request body is not valid JSON.";
    /// The cursor was not made for this list, with these filters and this sort, or was changed: begin again without
    /// one.
    InvalidCursor: "INVALID_CURSOR", 400, "The cursor does not belong to this list with these filters and this sort; begin again without one.";
    /// The `Idempotency-Key` is not 1 to 255 visible ASCII characters.
    InvalidIdempotencyKey: "INVALID_IDEMPOTENCY_KEY", 400, "The Idempotency-Key must be 1 to 255 visible ASCII characters.";
    /// No token, or one that cannot be read.
    Unauthenticated: "UNAUTHENTICATED", 401, "Send a valid access token as `Authorization: Bearer <token>`.";
    /// The access token is past its end: refresh it.
    TokenExpired: "TOKEN_EXPIRED", 401, "The access token has expired; refresh the session.";
    /// The session of this token was ended.
    TokenRevoked: "TOKEN_REVOKED", 401, "The session of this token was ended; log in again.";
    /// Wrong e-mail or password.
    InvalidCredentials: "INVALID_CREDENTIALS", 401, "The e-mail or the password is wrong.";
    /// The refresh token is unknown or expired.
    InvalidRefreshToken: "INVALID_REFRESH_TOKEN", 401, "The refresh token is not valid; log in again.";
    /// The refresh token had been used before: the session is ended.
    RefreshTokenReused: "REFRESH_TOKEN_REUSED", 401, "The refresh token had been used before, so the session was ended; log in again.";
    /// The caller may not do this; `message` says why, and which role would be sufficient where it is a matter of roles.
    Forbidden: "FORBIDDEN", 403, "You may not do this.";
    /// The API token does not have the scope that this takes.
    InsufficientScope: "INSUFFICIENT_SCOPE", 403, "The API token does not have the scope that this takes.";
    /// The address of the account was not proved to be the user's.
    EmailNotVerified: "EMAIL_NOT_VERIFIED", 403, "Prove your e-mail address first, by the link that was mailed to it.";
    /// The project is archived and can only be read.
    ProjectArchived: "PROJECT_ARCHIVED", 403, "The project is archived; un-archive it to change anything in it.";
    /// Nothing is there, or it was deleted.
    NotFound: "NOT_FOUND", 404, "There is nothing at this address.";
    /// The path exists, but not with this method; see `Allow`.
    MethodNotAllowed: "METHOD_NOT_ALLOWED", 405, "This address does not take this method; see the Allow header.";
    /// The response cannot be given in a media type that `Accept` allows.
    NotAcceptable: "NOT_ACCEPTABLE", 406, "The response is application/json, which the Accept header does not allow.";
    /// The body did not arrive in time.
    RequestTimeout: "REQUEST_TIMEOUT", 408, "The request body did not arrive in time.";
    /// An account with this e-mail exists.
    EmailTaken: "EMAIL_TAKEN", 409, "An account with this e-mail exists; log in instead.";
    /// Who is invited is a member.
    AlreadyMember: "ALREADY_MEMBER", 409, "Who has this address is a member of the project.";
    /// Somebody with this address has an invitation that is good.
    AlreadyInvited: "ALREADY_INVITED", 409, "This address has an invitation to the project that is still good.";
    /// The invitation was answered, revoked, or has expired.
    InvitationNotPending: "INVITATION_NOT_PENDING", 409, "The invitation was answered, revoked, or has expired.";
    /// A project must have an owner: hand it over first.
    OwnerRequired: "OWNER_REQUIRED", 409, "A project must have an owner; make another member its owner first.";
    /// There are as many as there may be.
    LimitReached: "LIMIT_REACHED", 409, "There are as many as there may be; remove one first.";
    /// The first request with this `Idempotency-Key` still runs; see `Retry-After`.
    IdempotencyInProgress: "IDEMPOTENCY_IN_PROGRESS", 409, "The first request with this Idempotency-Key still runs; try again after the seconds in Retry-After.";
    /// The resource was changed since the version that `If-Match` names; `current` is how it is now.
    PreconditionFailed: "PRECONDITION_FAILED", 412, "It was changed since the version that If-Match names; current shows how it is now.";
    /// The body is larger than the server takes.
    PayloadTooLarge: "PAYLOAD_TOO_LARGE", 413, "The request body is too large.";
    /// The body is not sent as a media type that the operation takes.
    UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE", 415, "The request body must be sent as JSON; see Content-Type and Content-Encoding.";
    /// This `Idempotency-Key` was used for another request.
    IdempotencyKeyReused: "IDEMPOTENCY_KEY_REUSED", 422, "This Idempotency-Key was used for another request; make a new one.";
    /// The token from the mail is wrong, was used, or has expired.
    InvalidToken: "INVALID_TOKEN", 422, "The token is wrong, was used before, or has expired; ask for a new mail.";
    /// Events may not be sent to this address; `message` says why.
    WebhookUrlForbidden: "WEBHOOK_URL_FORBIDDEN", 422, "Events may not be sent to this address.";
    /// Too many requests; see `Retry-After`.
    RateLimited: "RATE_LIMITED", 429, "Too many requests; try again after the seconds in Retry-After.";
    /// The server failed; quote `request_id` when you report it.
    Internal: "INTERNAL", 500, "Something went wrong on our side; quote the request_id when you report it.";
    /// The server is overloaded or its database is away; see `Retry-After`.
    Unavailable: "UNAVAILABLE", 503, "The service is temporarily unavailable. Try again after the number of seconds in Retry-After.";
    /// The server gave up on the request because it took too long.
    Timeout: "TIMEOUT", 504, "The request took too long and was given up.";
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
#[oai(rename_all = "lowercase")]
pub enum ErrorLocation {
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
    pub location: ErrorLocation,
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
    /// Every failure of the request, at most one for each field, in the order of the request; present exactly when
    /// `error` is `VALIDATION_FAILED`.
    pub details: Option<Vec<Detail>>,
    /// The `X-Request-Id` of this response, to quote when you report a problem.
    pub request_id: String,
}
