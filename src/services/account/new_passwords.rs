//! New passwords: refused where they are weak.

use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use crate::contract::strings::Password;
use crate::security::{ClientNetwork, NewPassword, Weakness};
use crate::services::{Error, ServiceContext};

/// A new password in a field of the body.
pub(crate) struct PasswordField {
    field: &'static str,
    new: NewPassword,
}

impl PasswordField {
    /// Creates the field. `personal` is the name and the address of the user.
    pub(crate) fn new(field: &'static str, password: Password, personal: &[&str]) -> Self {
        let personal = personal.iter().map(|text| (*text).to_owned()).collect();
        Self { field, new: NewPassword { password: password.into_string(), personal } }
    }
}

impl ServiceContext {
    /// Hashes a new password, or refuses it.
    pub(crate) async fn hash_password(
        &self,
        password: PasswordField,
        client: Option<ClientNetwork>,
    ) -> Result<String, Error> {
        let hashed = self.passwords.hash(password.new, client).await?;
        hashed.map_err(|weakness| Error::Invalid(vec![too_weak(password.field, weakness)]))
    }

    /// Refuses a weak password without hashing a strong one.
    pub(crate) async fn require_strong(
        &self,
        password: PasswordField,
        client: Option<ClientNetwork>,
    ) -> Result<(), Error> {
        let weakness = self.passwords.assess(password.new, client).await?;
        weakness.map_or(Ok(()), |weakness| Err(Error::Invalid(vec![too_weak(password.field, weakness)])))
    }
}

fn too_weak(field: &str, weakness: Weakness) -> Detail {
    let message = match weakness {
        Weakness::Common => {
            format!("{field} is too easy to guess. Use several unrelated words, or a password manager.")
        }
        Weakness::Personal => format!("{field} must not be made of your name or e-mail address."),
    };
    Detail { location: ErrorLocation::Body, field: field.to_owned(), code: DetailCode::TooWeak, message }
}
