//! Opaque tokens: 256 random bits, of which only a hash is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// SHA-256 of a token, the key for looking it up.
pub type TokenHash = [u8; 32];

/// Kind of a token, encoded as its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Refreshes a session.
    Refresh,
    /// Authenticates a program on behalf of a user.
    Api,
    /// Sent by e-mail to verify the address or reset the password.
    Mail,
    /// Opens one event stream.
    StreamTicket,
}

impl TokenKind {
    /// Prefix that identifies the token, also for secret scanners.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "rt_",
            Self::Api => "pt_",
            Self::Mail => "mt_",
            Self::StreamTicket => "st_",
        }
    }
}

/// The secret part of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueToken([u8; 32]);

impl OpaqueToken {
    /// Generates a token from operating system randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Parses an encoded token of this kind.
    #[must_use]
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Encodes the token with the prefix of its kind.
    #[must_use]
    pub fn encode(&self, kind: TokenKind) -> String {
        format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Returns the stored hash. A plain hash suffices for 256 random bits.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.0).into()
    }

    /// Encrypts the successor of this token so that only a holder of this token can read it. The key is a one-time pad
    /// derived from this token.
    #[must_use]
    pub fn seal(&self, successor: &Self) -> [u8; 32] {
        let pad = self.pad();
        std::array::from_fn(|i| successor.0[i] ^ pad[i])
    }

    /// Decrypts the successor of this token.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Self> {
        let sealed: [u8; 32] = sealed.try_into().ok()?;
        let pad = self.pad();
        Some(Self(std::array::from_fn(|i| sealed[i] ^ pad[i])))
    }

    fn pad(&self) -> [u8; 32] {
        Sha256::new().chain_update("pocket-tasks successor").chain_update(self.0).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_token_parses_only_as_its_kind() {
        let token = OpaqueToken::generate().unwrap();
        let encoded = token.encode(TokenKind::Refresh);
        assert!(OpaqueToken::parse(TokenKind::Refresh, &encoded) == Some(token));
        for (kind, text) in
            [(TokenKind::Api, encoded.as_str()), (TokenKind::Refresh, "rt_short"), (TokenKind::Refresh, "")]
        {
            assert!(OpaqueToken::parse(kind, text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_predecessor_opens_a_sealed_successor() {
        let (token, successor) = (OpaqueToken::generate().unwrap(), OpaqueToken::generate().unwrap());
        let sealed = token.seal(&successor);
        assert!(token.open(&sealed).unwrap() == successor);
        assert!(successor.open(&sealed).unwrap() != successor);
        assert_ne!(sealed, successor.0);
    }
}
