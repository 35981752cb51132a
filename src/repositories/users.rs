//! Accounts.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::account::user::User;
use crate::contract::{Timestamp, UserId};

/// A user with the password hash. Without `Debug`, so that no log shows the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// Password hash, in bcrypt's format.
    pub password_hash: String,
    /// Time at which the account was soft-deleted.
    pub deleted_at: Option<Timestamp>,
    /// Time at which the operator disabled the account.
    pub disabled_at: Option<Timestamp>,
    /// Time at which the next digest is due.
    pub next_digest_at: Option<Timestamp>,
}

impl Credentials {
    /// Returns whether the account can be used: it is neither soft-deleted nor disabled.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.deleted_at.is_none() && self.disabled_at.is_none()
    }
}

/// Conditions on accounts, all of which must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserFilter {
    /// Soft-deleted or not.
    pub deleted: Option<bool>,
    /// Disabled or not.
    pub disabled: Option<bool>,
}

/// Accounts.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Finds a user by id.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Finds and locks a user.
    async fn lock(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// Finds the credentials of a user by id.
    async fn find_credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// Finds the credentials of a user by lower-case address.
    async fn find_credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, StoreError>;

    /// Lists at most `limit` accounts, the newest first.
    async fn list(&self, filter: UserFilter, limit: u64) -> Result<Vec<Credentials>, StoreError>;

    /// Adds a user; `false` if the address is in use.
    async fn add(&self, user: &User, password_hash: &str) -> Result<bool, StoreError>;

    /// Soft-deletes or restores an account, without its projects.
    async fn set_deleted(&self, id: UserId, deleted_at: Option<Timestamp>, now: Timestamp) -> Result<(), StoreError>;

    /// Disables or enables an account.
    async fn set_disabled(&self, id: UserId, disabled_at: Option<Timestamp>) -> Result<(), StoreError>;

    /// Replaces the address of a soft-deleted account, which makes the old one available, and makes the account due to be
    /// purged.
    async fn disown(&self, id: UserId, placeholder: &str) -> Result<(), StoreError>;

    /// Sets the time of the next digest; `None` for never.
    async fn schedule_digest(&self, id: UserId, at: Option<Timestamp>) -> Result<(), StoreError>;

    /// Lists and locks at most `limit` users whose digest is due, the oldest first.
    async fn list_due_digests(&self, now: Timestamp, limit: u64) -> Result<Vec<(User, Timestamp)>, StoreError>;

    /// Updates the mutable fields of a user.
    async fn update(&self, user: &User) -> Result<(), StoreError>;

    /// Replaces the hash of an unchanged password; `false` if it is no longer `current`.
    async fn renew_password_hash(&self, id: UserId, current: &str, next: &str) -> Result<bool, StoreError>;

    /// Finds the highest cost of all password hashes; `None` without accounts.
    async fn find_max_password_cost(&self) -> Result<Option<u32>, StoreError>;

    /// Replaces the password hash; `false` if it is no longer `current`.
    async fn replace_password(&self, id: UserId, current: &str, next: &str, at: Timestamp) -> Result<bool, StoreError>;
}
