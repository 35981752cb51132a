//! What is kept from the eyes of who reads the database, and what clients hold but may not change.
//!
//! Both come from the one `ENCRYPTION_KEY`, by keys of their own that are derived from it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// As many bytes of an HMAC are kept: 128 bits, which nobody guesses.
const MAC_LENGTH: usize = 16;

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not 32 bytes in base64.
    #[error("the encryption key is not 32 bytes in base64")]
    Key,
    /// It was sealed under another key or for something else, or it was changed.
    #[error("what was sealed cannot be opened: was ENCRYPTION_KEY changed?")]
    Broken,
}

/// Encrypts what is stored, with AES-256-GCM.
#[derive(Debug)]
pub struct Sealer(RandomizedNonceKey);

impl Sealer {
    /// Derives the key for what `purpose` names.
    pub fn new(secret: &SecretString, purpose: &str) -> Result<Self, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, derived(secret, purpose)?.as_ref()).map(Self).map_err(|_| SealError::Key)
    }

    /// Encrypts; `context` must be the same when it is opened again.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(context), &mut sealed).map_err(|_| SealError::Broken)?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// Decrypts what was sealed in the same context.
    pub fn open(&self, context: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let nonce = sealed.split_off(sealed.len().saturating_sub(NONCE_LEN));
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SealError::Broken)?;
        let plain = self.0.open_in_place(nonce, Aad::from(context), &mut sealed).map_err(|_| SealError::Broken)?.len();
        sealed.truncate(plain);
        Ok(sealed)
    }
}

/// Signs what clients give back, with HMAC-SHA256 (RFC 2104).
#[derive(Debug)]
pub struct Signer(hmac::Key);

impl Signer {
    /// Derives the key for what `purpose` names.
    pub fn new(secret: &SecretString, purpose: &str) -> Result<Self, SealError> {
        Ok(Self(hmac::Key::new(HMAC_SHA256, derived(secret, purpose)?.as_ref())))
    }

    /// The signature for a text in a context, of which no two write themselves alike.
    #[must_use]
    pub fn sign(&self, context: &[u8; 32], text: &[u8]) -> [u8; MAC_LENGTH] {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(context);
        signing.update(text);
        let tag = signing.sign();
        std::array::from_fn(|index| tag.as_ref().get(index).copied().unwrap_or_default())
    }

    /// The text before the signature, if it was signed here for this context.
    #[must_use]
    pub fn verified<'t>(&self, context: &[u8; 32], signed: &'t [u8]) -> Option<&'t [u8]> {
        let (text, signature) = signed.split_at_checked(signed.len().checked_sub(MAC_LENGTH)?)?;
        verify_slices_are_equal(&self.sign(context, text), signature).ok()?;
        Some(text)
    }
}

fn derived(secret: &SecretString, purpose: &str) -> Result<hmac::Tag, SealError> {
    let bytes = STANDARD.decode(secret.expose_secret().trim()).map_err(|_| SealError::Key)?;
    if bytes.len() != 32 {
        return Err(SealError::Key);
    }
    Ok(hmac::sign(&hmac::Key::new(HMAC_SHA256, &bytes), purpose.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretString {
        STANDARD.encode([byte; 32]).into()
    }

    #[test]
    fn what_was_sealed_opens_only_with_its_key_and_in_its_context() {
        let ours = Sealer::new(&key(1), "answers").unwrap();
        let sealed = ours.seal("mine", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(ours.seal("mine", b"secret").unwrap(), sealed, "the nonce is new each time");
        assert_eq!(ours.open("mine", sealed.clone()).unwrap(), b"secret");
        assert_eq!(ours.open("yours", sealed.clone()), Err(SealError::Broken));
        for other in [Sealer::new(&key(2), "answers").unwrap(), Sealer::new(&key(1), "hooks").unwrap()] {
            assert_eq!(other.open("mine", sealed.clone()), Err(SealError::Broken));
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(ours.open("mine", changed), Err(SealError::Broken), "{index}");
        }
        for short in [0, 5, 12, 20] {
            assert_eq!(ours.open("mine", sealed[..short].to_vec()), Err(SealError::Broken), "{short}");
        }
    }

    #[test]
    fn what_was_signed_is_known_only_as_it_was() {
        let ours = Signer::new(&key(1), "cursors").unwrap();
        let signed = [b"text".as_slice(), &ours.sign(&[7; 32], b"text")].concat();
        assert_eq!(ours.verified(&[7; 32], &signed), Some(b"text".as_slice()));
        assert_eq!(ours.verified(&[8; 32], &signed), None);
        assert_eq!(Signer::new(&key(2), "cursors").unwrap().verified(&[7; 32], &signed), None);
        for index in 0..signed.len() {
            let mut changed = signed.clone();
            changed[index] ^= 1;
            assert_eq!(ours.verified(&[7; 32], &changed), None, "{index}");
        }
        assert_eq!(ours.verified(&[7; 32], &signed[..15]), None);
    }

    #[test]
    fn only_32_bytes_are_a_key() {
        for secret in ["", "c2hvcnQ=", "not base64"] {
            assert_eq!(Signer::new(&secret.into(), "cursors").map(drop), Err(SealError::Key), "{secret}");
        }
    }
}
