//! Passwords, tokens, and the sessions that were ended.
//!
//! What is secret is compared, signed and sealed here and nowhere else; nothing here reaches a log. Knows the contract,
//! but neither storage nor HTTP.

mod access_tokens;
mod ended_sessions;
mod opaque_tokens;
mod passwords;
mod sealing;
mod signing;

pub use access_tokens::{AccessTokens, Claims, TokenError};
pub use ended_sessions::{EndedSessions, RevokedTokens};
pub use opaque_tokens::{OpaqueToken, TokenHash, TokenKind};
pub use passwords::{PasswordError, Passwords};
pub use sealing::{SealError, Sealer};
pub use signing::Signer;
