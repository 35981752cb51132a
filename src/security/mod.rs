//! Password hashing, tokens, encryption, signatures, and the revocation lists.
//!
//! Secrets are compared, signed and encrypted only here, and never logged.

mod access_tokens;
mod encryption;
mod opaque_tokens;
mod passwords;
mod revocation;
mod signing;

pub use access_tokens::{AccessTokens, Claims, TokenError};
pub use encryption::{SealError, Sealer};
pub use opaque_tokens::{OpaqueToken, TokenHash, TokenKind};
pub use passwords::{PasswordError, Passwords};
pub use revocation::{EndedSessions, RevokedTokens};
pub use signing::Signer;
