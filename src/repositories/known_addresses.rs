//! Networks from which the owner of an account has logged in.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::{Timestamp, UserId};

/// Keyed hash of the network of a client.
pub type AddressHash = [u8; 16];

/// Networks from which the owner of an account has logged in.
#[async_trait]
pub trait KnownAddressRepository: Send + Sync {
    /// Adds a network, or renews it.
    async fn add(&self, user: UserId, address: &AddressHash, at: Timestamp) -> Result<(), StoreError>;

    /// Finds the time of the last login from a network.
    async fn find(&self, user: UserId, address: &AddressHash) -> Result<Option<Timestamp>, StoreError>;
}
