//! Accounts.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::account::user::User;
use crate::contract::project::Project;
use crate::contract::{Timestamp, UserId};

/// A user, with what a password is compared with. It has no `Debug`, so that no log shows the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The hash of the password, in the format of bcrypt.
    pub password_hash: String,
    /// When the account was put into the trash.
    pub deleted_at: Option<Timestamp>,
    /// When the next digest is due.
    pub next_digest_at: Option<Timestamp>,
}

/// Accounts.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// The user with this id.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user with this id, locked until the end of the transaction.
    async fn lock(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// The credentials of the user with this id.
    async fn find_credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// The credentials of the user with this address, which is in lower case.
    async fn find_credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, StoreError>;

    /// Adds a user; `false` when the address is taken.
    async fn add(&self, user: &User, password_hash: &str) -> Result<bool, StoreError>;

    /// Puts an account into the trash or takes it out, and with it the projects of its owner that are not there for
    /// another reason. Their versions go up; gives them as they are then, with the role of nobody.
    async fn set_deleted(
        &self,
        id: UserId,
        deleted_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Project>, StoreError>;

    /// Notes when the next digest of a user is due; `None`: never.
    async fn schedule_digest(&self, id: UserId, at: Option<Timestamp>) -> Result<(), StoreError>;

    /// Some users whose digest is due at `now`, with the moment that it was due, the oldest first. They are locked
    /// until the end of the transaction, so that nobody changes meanwhile what the next moment depends on.
    async fn list_due_digests(&self, now: Timestamp, limit: u64) -> Result<Vec<(User, Timestamp)>, StoreError>;

    /// Writes what can change about a user.
    async fn update(&self, user: &User) -> Result<(), StoreError>;

    /// Replaces the password hash if it still is `current`; `false` when it was changed meanwhile.
    async fn replace_password(&self, id: UserId, current: &str, next: &str, at: Timestamp) -> Result<bool, StoreError>;
}
