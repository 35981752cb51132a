//! Opaque tokens: 256 random bits, of which only a hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The SHA-256 of a token, by which it is found again.
pub type TokenHash = [u8; 32];

/// What a token is for. One kind is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// To refresh a session.
    Refresh,
    /// For programs that call on behalf of a user.
    Api,
    /// Sent by mail, to prove that it was received.
    Mail,
}

impl TokenKind {
    /// Tells tokens from other secrets, for people and for scanners of leaked secrets.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "rt_",
            Self::Api => "pt_",
            Self::Mail => "mt_",
        }
    }
}

/// The secret part of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueToken([u8; 32]);

impl OpaqueToken {
    /// Makes a token from the randomness of the operating system.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads a token as it was given out.
    #[must_use]
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The token as it is given out.
    #[must_use]
    pub fn reveal(&self, kind: TokenKind) -> String {
        format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What is kept of it. A plain hash is enough: there is nothing to guess in 256 random bits.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.0).into()
    }

    /// Seals the token that follows this one, so that only who has this one can read it: it is combined with a
    /// one-time pad that is derived from this token, which is used for nothing else.
    #[must_use]
    pub fn seal(&self, successor: &Self) -> [u8; 32] {
        let pad = self.pad();
        std::array::from_fn(|i| successor.0[i] ^ pad[i])
    }

    /// Reads the token that follows this one.
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
    fn a_token_is_read_back() {
        let token = OpaqueToken::generate().unwrap();
        let revealed = token.reveal(TokenKind::Refresh);
        assert!(OpaqueToken::parse(TokenKind::Refresh, &revealed) == Some(token));
        for (kind, text) in
            [(TokenKind::Api, revealed.as_str()), (TokenKind::Refresh, "rt_short"), (TokenKind::Refresh, "")]
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
