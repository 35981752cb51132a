//! Users, and the requests that concern their own account.

use poem_openapi::Object;

use crate::contract::macros::example;
use crate::contract::strings::{Email, EmailToken, Password, PasswordAttempt, PersonName, TimeZone};
use crate::contract::{Timestamp, UserId, world};

/// User account.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct User {
    /// User id.
    pub id: UserId,
    /// E-mail address of the account, in lower case.
    pub email: Email,
    /// Name shown to other users.
    pub name: PersonName,
    /// IANA time zone of the user. Determines when the weekly digest is sent.
    pub timezone: TimeZone,
    /// True if the user receives the weekly digest by e-mail.
    pub weekly_digest: bool,
    /// True if the e-mail address has been verified.
    /// Always true on servers that do not require verification, such as those without a mail server.
    pub email_verified: bool,
    /// Version number, starting at 1. Every change increments it.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

example!(User {
    id,
    email,
    name,
    timezone,
    weekly_digest: true,
    email_verified: false,
    version: 1,
    created_at: world::january(12, 8, 0),
    updated_at: world::january(12, 8, 0)
});

/// Parameters for creating an account.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct Register {
    /// E-mail address to log in with. Case-insensitive.
    pub email: Email,
    /// Name shown to other users.
    pub name: PersonName,
    /// Password: at least 8 characters and at most 72 bytes of UTF-8.
    /// A common one, or one made of the name or the address, is refused with `too_weak`.
    pub password: Password,
    /// IANA time zone of the user.
    #[oai(default = "default_timezone")]
    pub timezone: TimeZone,
    /// True if the user receives the weekly digest by e-mail.
    #[oai(default = "default_weekly_digest")]
    pub weekly_digest: bool,
}

example!(Register { email, name, password, timezone, weekly_digest: true });

fn default_timezone() -> TimeZone {
    TimeZone::new_unchecked("UTC")
}

const fn default_weekly_digest() -> bool {
    true
}

/// Parameters for logging in.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct Login {
    /// E-mail address of the account.
    pub email: Email,
    /// Password of the account, at most 72 bytes of UTF-8.
    pub password: PasswordAttempt,
}

/// Changes to the account of the caller. Absent fields keep their value.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateMe {
    /// Name shown to other users.
    pub name: Option<PersonName>,
    /// IANA time zone of the user.
    pub timezone: Option<TimeZone>,
    /// True if the user receives the weekly digest by e-mail.
    pub weekly_digest: Option<bool>,
}

example!(UpdateMe { name: None, timezone: Some(TimeZone::new_unchecked("Europe/London")), weekly_digest: Some(false) });

/// Parameters for changing the password.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangePassword {
    /// Current password, at most 72 bytes of UTF-8.
    pub current_password: PasswordAttempt,
    /// New password: at least 8 characters and at most 72 bytes of UTF-8.
    /// A common one, or one made of the name or the address, is refused with `too_weak`.
    pub new_password: Password,
    /// Also revokes everything else that acts for the account, in case it was compromised.
    /// This covers API tokens, webhooks (which are disabled), password reset links and your pending invitations.
    #[oai(default)]
    pub revoke_all: bool,
}

example!(ChangePassword { current_password, new_password: world::changed_password(), revoke_all: false });

/// Parameters for verifying an e-mail address.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct VerifyEmail {
    /// Token from the e-mail. Single-use, valid for 24 hours.
    pub token: EmailToken,
    /// Password of the account, at most 72 bytes of UTF-8. Required unless the request has an access token of the
    /// account.
    pub password: Option<PasswordAttempt>,
}

example!(VerifyEmail { token, password: Some(PasswordAttempt::example()) });

/// Parameters for disowning an account.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct DisownAccount {
    /// Token from the verification e-mail. Single-use, valid for 24 hours.
    pub token: EmailToken,
}

example!(DisownAccount { token: world::disowning_token() });

/// Parameters for requesting a password reset.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct ForgotPassword {
    /// E-mail address of the account.
    pub email: Email,
}

/// Parameters for resetting a forgotten password.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ResetPassword {
    /// Token from the e-mail. Single-use, valid for one hour.
    pub token: EmailToken,
    /// New password: at least 8 characters and at most 72 bytes of UTF-8.
    /// A common one, or one made of the name or the address, is refused with `too_weak`.
    pub password: Password,
}

example!(ResetPassword { token: world::reset_token(), password: world::reset_password() });
