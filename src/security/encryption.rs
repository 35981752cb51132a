//! Encryption of stored secrets, with keys derived from `ENCRYPTION_KEY`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// Reason why encryption or decryption failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// `ENCRYPTION_KEY` is not 32 bytes in base64.
    #[error("the encryption key is not 32 bytes in base64")]
    Key,
    /// The ciphertext was altered, or encrypted with another key, purpose or context.
    #[error("decryption failed: was ENCRYPTION_KEY changed?")]
    Broken,
}

/// Key that decrypts a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionKey {
    /// `ENCRYPTION_KEY`, which also encrypts.
    Current,
    /// `ENCRYPTION_KEY_PREVIOUS`
    Previous,
}

/// Encrypts and decrypts with AES-256-GCM.
#[derive(Debug)]
pub struct Sealer {
    current: RandomizedNonceKey,
    previous: Option<RandomizedNonceKey>,
}

impl Sealer {
    /// Derives the keys for a purpose.
    pub fn new(secret: &SecretString, previous: Option<&SecretString>, purpose: &str) -> Result<Self, SealError> {
        let derive = |secret: &SecretString| -> Result<RandomizedNonceKey, SealError> {
            let key = derive_key(secret, purpose)?;
            RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| SealError::Key)
        };
        Ok(Self { current: derive(secret)?, previous: previous.map(derive).transpose()? })
    }

    /// Returns whether there is a previous key.
    #[must_use]
    pub const fn has_previous_key(&self) -> bool {
        self.previous.is_some()
    }

    /// Encrypts. Decryption requires the same `context`.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = plain.to_vec();
        let nonce =
            self.current.seal_in_place_append_tag(Aad::from(context), &mut sealed).map_err(|_| SealError::Broken)?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// Decrypts a ciphertext of the same context.
    pub fn open(&self, context: &str, sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        self.open_with_key(context, sealed).map(|(plain, _)| plain)
    }

    /// Decrypts a ciphertext of the same context, and returns which key did.
    pub fn open_with_key(&self, context: &str, sealed: Vec<u8>) -> Result<(Vec<u8>, EncryptionKey), SealError> {
        let Some(previous) = &self.previous else {
            return Ok((open(&self.current, context, sealed)?, EncryptionKey::Current));
        };
        match open(&self.current, context, sealed.clone()) {
            Err(SealError::Broken) => Ok((open(previous, context, sealed)?, EncryptionKey::Previous)),
            opened => Ok((opened?, EncryptionKey::Current)),
        }
    }
}

fn open(key: &RandomizedNonceKey, context: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
    let nonce = sealed.split_off(sealed.len().saturating_sub(NONCE_LEN));
    let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SealError::Broken)?;
    let plain = key.open_in_place(nonce, Aad::from(context), &mut sealed).map_err(|_| SealError::Broken)?.len();
    sealed.truncate(plain);
    Ok(sealed)
}

pub(super) fn derive_key(secret: &SecretString, purpose: &str) -> Result<hmac::Tag, SealError> {
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
    fn decryption_requires_the_same_key_purpose_and_context() {
        let ours = Sealer::new(&key(1), None, "answers").unwrap();
        let sealed = ours.seal("mine", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(ours.seal("mine", b"secret").unwrap(), sealed, "the nonce is new each time");
        assert_eq!(ours.open("mine", sealed.clone()).unwrap(), b"secret");
        assert_eq!(ours.open("yours", sealed.clone()), Err(SealError::Broken));
        for other in [Sealer::new(&key(2), None, "answers").unwrap(), Sealer::new(&key(1), None, "hooks").unwrap()] {
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
    fn the_previous_key_decrypts_and_the_current_one_encrypts() {
        let before = Sealer::new(&key(1), None, "answers").unwrap();
        let rotated = Sealer::new(&key(2), Some(&key(1)), "answers").unwrap();
        let after = Sealer::new(&key(2), None, "answers").unwrap();
        let old = before.seal("mine", b"secret").unwrap();
        assert_eq!(rotated.open_with_key("mine", old.clone()).unwrap(), (b"secret".to_vec(), EncryptionKey::Previous));
        assert_eq!(rotated.open("yours", old.clone()), Err(SealError::Broken));
        assert_eq!(after.open("mine", old), Err(SealError::Broken));
        let new = rotated.seal("mine", b"secret").unwrap();
        assert_eq!(rotated.open_with_key("mine", new.clone()).unwrap(), (b"secret".to_vec(), EncryptionKey::Current));
        assert_eq!(
            (after.open("mine", new.clone()).unwrap(), before.open("mine", new)),
            (b"secret".to_vec(), Err(SealError::Broken))
        );
    }

    #[test]
    fn a_key_must_have_32_bytes() {
        for secret in ["", "c2hvcnQ=", "not base64"] {
            assert_eq!(Sealer::new(&secret.into(), None, "answers").map(drop), Err(SealError::Key), "{secret}");
        }
    }
}
