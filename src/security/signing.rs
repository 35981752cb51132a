//! Signatures over values that clients hold and return, such as cursors, with keys derived from `ENCRYPTION_KEY`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use secrecy::SecretString;

use super::encryption::{SealError, derive_key};

/// Length of a truncated HMAC in bytes: 128 bits.
const MAC_LENGTH: usize = 16;

/// Signs and verifies with HMAC-SHA256 (RFC 2104).
#[derive(Debug)]
pub struct Signer {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl Signer {
    /// Derives the keys for a purpose.
    pub fn new(secret: &SecretString, previous: Option<&SecretString>, purpose: &str) -> Result<Self, SealError> {
        let derive = |secret: &SecretString| -> Result<hmac::Key, SealError> {
            Ok(hmac::Key::new(HMAC_SHA256, derive_key(secret, purpose)?.as_ref()))
        };
        Ok(Self { current: derive(secret)?, previous: previous.map(derive).transpose()? })
    }

    /// Signs a text in a context, which must be unambiguous.
    #[must_use]
    pub fn sign(&self, context: &[u8; 32], text: &[u8]) -> [u8; MAC_LENGTH] {
        sign(&self.current, context, text)
    }

    /// Returns the signature of the previous key, if there is one.
    #[must_use]
    pub fn previous_signature(&self, context: &[u8; 32], text: &[u8]) -> Option<[u8; MAC_LENGTH]> {
        self.previous.as_ref().map(|previous| sign(previous, context, text))
    }

    /// Returns the text before the signature, if the signature is valid in this context.
    #[must_use]
    pub fn verify<'t>(&self, context: &[u8; 32], signed: &'t [u8]) -> Option<&'t [u8]> {
        let (text, signature) = signed.split_at_checked(signed.len().checked_sub(MAC_LENGTH)?)?;
        let is_of = |key| verify_slices_are_equal(&sign(key, context, text), signature).is_ok();
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().any(is_of).then_some(text)
    }
}

fn sign(key: &hmac::Key, context: &[u8; 32], text: &[u8]) -> [u8; MAC_LENGTH] {
    let mut signing = hmac::Context::with_key(key);
    signing.update(context);
    signing.update(text);
    let tag = signing.sign();
    std::array::from_fn(|index| tag.as_ref().get(index).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn key(byte: u8) -> SecretString {
        STANDARD.encode([byte; 32]).into()
    }

    #[test]
    fn a_signature_is_valid_only_for_its_text_key_and_context() {
        let ours = Signer::new(&key(1), None, "cursors").unwrap();
        let signed = [b"text".as_slice(), &ours.sign(&[7; 32], b"text")].concat();
        assert_eq!(ours.verify(&[7; 32], &signed), Some(b"text".as_slice()));
        assert_eq!(ours.verify(&[8; 32], &signed), None);
        assert_eq!(Signer::new(&key(2), None, "cursors").unwrap().verify(&[7; 32], &signed), None);
        for index in 0..signed.len() {
            let mut changed = signed.clone();
            changed[index] ^= 1;
            assert_eq!(ours.verify(&[7; 32], &changed), None, "{index}");
        }
        assert_eq!(ours.verify(&[7; 32], &signed[..15]), None);
    }

    #[test]
    fn a_signature_of_the_previous_key_stays_valid() {
        let (before, context) = (Signer::new(&key(1), None, "cursors").unwrap(), [7; 32]);
        let rotated = Signer::new(&key(2), Some(&key(1)), "cursors").unwrap();
        let signed = [b"text".as_slice(), &before.sign(&context, b"text")].concat();
        assert_eq!(rotated.verify(&context, &signed), Some(b"text".as_slice()));
        assert_eq!(rotated.previous_signature(&context, b"text"), Some(before.sign(&context, b"text")));
        let signed = [b"text".as_slice(), &rotated.sign(&context, b"text")].concat();
        assert_eq!((rotated.verify(&context, &signed).is_some(), before.verify(&context, &signed)), (true, None));
    }
}
