//! Accounts.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::user::User;
use crate::contract::{Timestamp, UserId};

/// A user, with what a password is compared with.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The hash of the password, in the format of bcrypt.
    pub password_hash: String,
}

/// Accounts.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// The user with this id.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user with this id, locked until the end of the transaction.
    async fn lock(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The credentials of the user with this id.
    async fn find_credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// The credentials of the user with this address, which is in lower case.
    async fn find_credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, StoreError>;

    /// Adds a user; `false` when the address is taken.
    async fn add(&self, user: &User, password_hash: &str) -> Result<bool, StoreError>;

    /// Writes what can change about a user.
    async fn update(&self, user: &User) -> Result<(), StoreError>;

    /// Replaces the password hash if it still is `current`; `false` when it was changed meanwhile.
    async fn replace_password(&self, id: UserId, current: &str, next: &str, at: Timestamp) -> Result<bool, StoreError>;
}
