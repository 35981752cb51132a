//! Password hashing, tokens, encryption, signatures, and the revocation lists.
//!
//! Secrets are compared, signed and encrypted only here, and never logged.

mod access_tokens;
mod client_network;
mod encryption;
mod opaque_tokens;
mod password_queue;
mod password_strength;
mod passwords;
mod revocation;
mod signing;
mod verified_tokens;

pub use access_tokens::{AccessTokens, Claims, TokenError};
pub use client_network::ClientNetwork;
pub use encryption::{EncryptionKey, SealError, Sealer};
pub use opaque_tokens::{OpaqueToken, TokenHash, TokenKind};
pub use password_queue::PasswordTurn;
pub use password_strength::Weakness;
pub use passwords::{NewPassword, PasswordError, Passwords, Verification};
pub use revocation::{EndedSessions, RevokedTokens};
pub use signing::Signer;
