//! Access tokens whose signature was verified a moment ago.
//!
//! Clients send the same token with every request of its lifetime. Only tokens with a valid signature are remembered, so
//! that forged ones take no room, and what changes with time is not part of it: expiry and revocation are checked again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Number of tokens in a generation, of some hundred bytes each.
const GENERATION_SIZE: usize = 4_096;

/// SHA-256 of a token: the memory of the process holds no token that could be used.
type TokenDigest = [u8; 32];

/// The contents of tokens, in two generations: when the current one is full, the tokens that were not used in the
/// meantime are forgotten.
#[derive(Debug)]
pub(super) struct VerifiedTokens<T>(Mutex<Generations<T>>);

#[derive(Debug)]
struct Generations<T> {
    current: HashMap<TokenDigest, T>,
    previous: HashMap<TokenDigest, T>,
}

impl<T> Default for VerifiedTokens<T> {
    fn default() -> Self {
        Self(Mutex::new(Generations { current: HashMap::new(), previous: HashMap::new() }))
    }
}

impl<T: Copy> VerifiedTokens<T> {
    /// Returns the content of a token, which is verified unless it is known.
    pub(super) fn get_or_verify<E>(&self, token: &str, verify: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let hash: TokenDigest = Sha256::digest(token).into();
        if let Some(content) = self.find(&hash) {
            return Ok(content);
        }
        let content = verify()?;
        self.insert(hash, content);
        Ok(content)
    }

    fn find(&self, hash: &TokenDigest) -> Option<T> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = generations.current.get(hash) {
            return Some(*content);
        }
        let content = generations.previous.remove(hash)?;
        generations.insert(*hash, content);
        Some(content)
    }

    fn insert(&self, hash: TokenDigest, content: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, content);
    }
}

impl<T> Generations<T> {
    fn insert(&mut self, hash: TokenDigest, content: T) {
        if self.current.len() >= GENERATION_SIZE {
            self.previous = std::mem::take(&mut self.current);
        }
        self.current.insert(hash, content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_verified_once_and_an_invalid_one_every_time() {
        let tokens = VerifiedTokens::default();
        assert_eq!(tokens.get_or_verify("good", || Ok::<_, ()>(1)), Ok(1));
        assert_eq!(tokens.get_or_verify("good", || panic!("verified again")), Ok::<_, ()>(1));
        assert_eq!(tokens.get_or_verify("gooD", || Err(())), Err(()));
        assert_eq!(tokens.get_or_verify("gooD", || Ok::<_, ()>(2)), Ok(2));
    }

    #[test]
    fn memory_is_bounded_and_the_tokens_in_use_stay() {
        let tokens = VerifiedTokens::default();
        for number in 0..3 * GENERATION_SIZE {
            tokens.get_or_verify(&number.to_string(), || Ok::<_, ()>(number)).unwrap();
            assert_eq!(tokens.get_or_verify("in use", || if number == 0 { Ok(7) } else { Err(()) }), Ok(7));
        }
        let generations = tokens.0.lock().unwrap();
        assert!(generations.current.len() + generations.previous.len() <= 2 * GENERATION_SIZE);
    }
}
