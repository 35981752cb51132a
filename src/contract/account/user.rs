//! Users, and what they may say about themselves.

use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::contract::strings::{Email, MailToken, Password, PasswordAttempt, PersonName, TimeZone};
use crate::contract::{Timestamp, UserId};

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct User {
    /// The id of the user.
    pub id: UserId,
    /// The address the account is known by, in lower case.
    pub email: Email,
    /// The name that others see.
    pub name: PersonName,
    /// The IANA time zone in which the user lives; the weekly digest follows it.
    pub timezone: TimeZone,
    /// Whether the user wants the weekly digest by e-mail.
    pub weekly_digest: bool,
    /// Whether the address was proved to be the user's. Where no proof is asked for, as without a mail server, it
    /// counts as proved.
    pub email_verified: bool,
    /// Counts the changes of this resource, from 1.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When the account was last changed.
    pub updated_at: Timestamp,
}

impl Example for User {
    fn example() -> Self {
        Self {
            id: UserId::example(),
            email: Email::example(),
            name: PersonName::example(),
            timezone: TimeZone::example(),
            weekly_digest: true,
            email_verified: true,
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

/// What it takes to register.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct Register {
    /// The address to log in with. Upper and lower case are the same.
    pub email: Email,
    /// The name that others see.
    pub name: PersonName,
    /// The password: at least 8 characters and at most 72 bytes of UTF-8.
    pub password: Password,
    /// The IANA time zone in which the user lives.
    #[oai(default = "default_timezone")]
    pub timezone: TimeZone,
    /// Whether the user wants the weekly digest by e-mail.
    #[oai(default = "default_weekly_digest")]
    pub weekly_digest: bool,
}

fn default_timezone() -> TimeZone {
    TimeZone::new_unchecked("UTC")
}

const fn default_weekly_digest() -> bool {
    true
}

/// What it takes to log in.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct Login {
    /// The address of the account.
    pub email: Email,
    /// The password of the account, at most 72 bytes of UTF-8.
    pub password: PasswordAttempt,
}

/// What a user changes about the account: what is absent stays.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct UpdateMe {
    /// The name that others see.
    pub name: Option<PersonName>,
    /// The IANA time zone in which the user lives.
    pub timezone: Option<TimeZone>,
    /// Whether the user wants the weekly digest by e-mail.
    pub weekly_digest: Option<bool>,
}

/// What it takes to change the password.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangePassword {
    /// The password until now, at most 72 bytes of UTF-8.
    pub current_password: PasswordAttempt,
    /// The password from now on: at least 8 characters and at most 72 bytes of UTF-8.
    pub new_password: Password,
    /// Also revokes everything else that acts for the account: API tokens, webhooks (which are disabled), mailed
    /// tokens, and the pending invitations you sent. Set it if somebody else may have used your account.
    #[oai(default)]
    pub revoke_all: bool,
}

impl Example for ChangePassword {
    fn example() -> Self {
        Self {
            current_password: PasswordAttempt::example(),
            new_password: Password::new_unchecked("even more correct horses"),
            revoke_all: false,
        }
    }
}

/// What it takes to prove an address.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct VerifyEmail {
    /// The token from the mail, which is good for 24 hours and once.
    pub token: MailToken,
}

/// What it takes to ask for another password.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct ForgotPassword {
    /// The address of the account.
    pub email: Email,
}

/// What it takes to set another password without knowing the current one.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct ResetPassword {
    /// The token from the mail, which is good for an hour and once.
    pub token: MailToken,
    /// The password from now on: at least 8 characters and at most 72 bytes of UTF-8.
    pub password: Password,
}
