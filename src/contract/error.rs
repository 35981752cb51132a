//! Error envelope and error codes.
//!
//! Every code has exactly one HTTP status. Published codes never change.

use poem_openapi::{Enum, Object};

/// Declares the error codes: published code, HTTP status and default message.
macro_rules! error_codes {
    ($($code:ident: $word:literal, $status:literal, $message:literal;)*) => {
        /// Machine-readable error code.
        #[expect(clippy::doc_markdown, reason = "a message is plain text, without backticks")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        #[oai(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum ErrorCode {
            $(#[doc = $message] $code,)*
        }

        impl ErrorCode {
            /// All codes, ordered by status.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$code),*];

            /// Returns the HTTP status of this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// Returns the default message, which is also the example in the OpenAPI document.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$code => $message,)* }
            }

            /// Returns the published code, for example `NOT_FOUND`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }
        }
    };
}

error_codes! {
    ValidationFailed: "VALIDATION_FAILED", 400, "The request is invalid; see details.";
    MalformedJson: "MALFORMED_JSON", 400, "The request body is not valid JSON.";
    InvalidCursor: "INVALID_CURSOR", 400, "The cursor does not belong to this list with these filters and this sort. Start again without a cursor.";
    InvalidIdempotencyKey: "INVALID_IDEMPOTENCY_KEY", 400, "The Idempotency-Key must be 1 to 255 visible ASCII characters.";
    MalformedRequest: "MALFORMED_REQUEST", 400, "The request is not valid HTTP. Check the request line, the headers, and that there is one Host header.";
    Unauthenticated: "UNAUTHENTICATED", 401, "Send a valid access token as `Authorization: Bearer <token>`.";
    TokenExpired: "TOKEN_EXPIRED", 401, "The access token has expired. Refresh the session.";
    TokenRevoked: "TOKEN_REVOKED", 401, "The session of this token has ended. Log in again.";
    InvalidCredentials: "INVALID_CREDENTIALS", 401, "The e-mail address or the password is wrong.";
    InvalidRefreshToken: "INVALID_REFRESH_TOKEN", 401, "The refresh token is invalid. Log in again.";
    RefreshTokenReused: "REFRESH_TOKEN_REUSED", 401, "The refresh token was used before, so its session has been ended. Log in again.";
    Forbidden: "FORBIDDEN", 403, "You do not have permission to do this.";
    InsufficientScope: "INSUFFICIENT_SCOPE", 403, "The API token does not have the required scope.";
    EmailNotVerified: "EMAIL_NOT_VERIFIED", 403, "Verify your e-mail address first, with the link in the e-mail we sent you.";
    AccountDisabled: "ACCOUNT_DISABLED", 403, "The operator of this server has disabled the account. Contact the operator.";
    ProjectArchived: "PROJECT_ARCHIVED", 403, "The project is archived. Unarchive it before you change anything in it.";
    NotFound: "NOT_FOUND", 404, "The resource does not exist.";
    MethodNotAllowed: "METHOD_NOT_ALLOWED", 405, "This path does not support this method; see the Allow header.";
    NotAcceptable: "NOT_ACCEPTABLE", 406, "The response is application/json, which the Accept header does not allow.";
    RequestTimeout: "REQUEST_TIMEOUT", 408, "The request body did not arrive in time.";
    EmailTaken: "EMAIL_TAKEN", 409, "An account with this e-mail address already exists. Log in instead.";
    AlreadyMember: "ALREADY_MEMBER", 409, "The user with this e-mail address is already a member of the project.";
    AlreadyInvited: "ALREADY_INVITED", 409, "This e-mail address already has a pending invitation to the project.";
    InvitationNotPending: "INVITATION_NOT_PENDING", 409, "The invitation was accepted, declined or revoked, or has expired.";
    OwnerRequired: "OWNER_REQUIRED", 409, "A project must have an owner. Make another member its owner first.";
    LimitReached: "LIMIT_REACHED", 409, "You have reached the limit for this resource. Remove one first.";
    IdempotencyInProgress: "IDEMPOTENCY_IN_PROGRESS", 409, "The first request with this Idempotency-Key is still running. Retry after the number of seconds in Retry-After.";
    PreconditionFailed: "PRECONDITION_FAILED", 412, "The resource has changed since the version in If-Match; see current for the current version.";
    PayloadTooLarge: "PAYLOAD_TOO_LARGE", 413, "The request body is too large.";
    UriTooLong: "URI_TOO_LONG", 414, "The URL of the request is too long.";
    UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE", 415, "The request body must be JSON; check Content-Type and Content-Encoding.";
    IdempotencyKeyReused: "IDEMPOTENCY_KEY_REUSED", 422, "This Idempotency-Key was used for a different request. Generate a new one.";
    InvalidToken: "INVALID_TOKEN", 422, "The token is wrong, was used before, or has expired. Request a new e-mail.";
    WebhookUrlForbidden: "WEBHOOK_URL_FORBIDDEN", 422, "Webhooks are not allowed to use this URL.";
    RateLimited: "RATE_LIMITED", 429, "Too many requests. Retry after the number of seconds in Retry-After.";
    HeadersTooLarge: "HEADERS_TOO_LARGE", 431, "The URL or the headers of the request are too large.";
    Internal: "INTERNAL", 500, "Something went wrong on our side. Include the request_id when you report the problem.";
    Unavailable: "UNAVAILABLE", 503, "The service is temporarily unavailable. Retry after the number of seconds in Retry-After.";
    Timeout: "TIMEOUT", 504, "The request took too long and was cancelled.";
}

/// Rule that part of a request violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "ErrorDetailCode", rename_all = "snake_case")]
pub enum DetailCode {
    /// The value is missing.
    Required,
    /// The value has the wrong JSON type.
    Type,
    /// The value must not be `null`.
    Null,
    /// The field does not exist or is read-only.
    UnknownField,
    /// The operation has no such query parameter.
    UnknownParameter,
    /// The query parameter occurs more than once.
    DuplicateParameter,
    /// The string is too short.
    TooShort,
    /// The string is too long.
    TooLong,
    /// The array has too few items.
    TooFew,
    /// The array has too many items.
    TooMany,
    /// The number is too small.
    Minimum,
    /// The number is too large.
    Maximum,
    /// The value is not one of the allowed values.
    Enum,
    /// The string does not have the required format.
    Format,
    /// The string does not match the required pattern.
    Pattern,
    /// The array contains the same item more than once.
    Duplicate,
    /// The current password is wrong.
    Incorrect,
    /// The password is too easy to guess.
    TooWeak,
    /// The value cannot be combined with another one in the request.
    Conflict,
    /// The id does not refer to anything that the caller may use here.
    Reference,
}

/// Part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum ErrorLocation {
    /// JSON body.
    Body,
    /// Query string.
    Query,
    /// Request header.
    Header,
}

/// Violation of a rule by an invalid request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "ErrorDetail")]
pub struct Detail {
    /// Part of the request that contains the violation.
    #[oai(rename = "in")]
    pub location: ErrorLocation,
    /// Field, parameter or header, such as `labels[1]`; empty for the whole body.
    pub field: String,
    /// Rule that is violated.
    pub code: DetailCode,
    /// Human-readable explanation.
    pub message: String,
}

/// Body of every error response.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "ApiError", skip_serializing_if_is_none)]
pub struct ErrorBody {
    /// Machine-readable error code.
    pub error: ErrorCode,
    /// Human-readable explanation. The wording may change.
    pub message: String,
    /// First invalid field, parameter or header; absent if the error has none.
    pub field: Option<String>,
    /// Every violation in request order, at most one per field.
    /// Present only if `error` is `VALIDATION_FAILED`.
    pub details: Option<Vec<Detail>>,
    /// `X-Request-Id` of this response. Include it when you report a problem.
    pub request_id: String,
}
