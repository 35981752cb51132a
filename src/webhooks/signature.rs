//! Signatures as Standard Webhooks 1.0.0 has them, by which a receiver knows that a request is ours.
//!
//! Made here rather than with the crate of that name: it is one HMAC, which `aws-lc-rs` already computes.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Tells these secrets from others, for people and for scanners of leaked secrets.
const PREFIX: &str = "whsec_";

/// The secret of a webhook: `whsec_` and the base64 of 32 random bytes.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Makes a secret from the randomness of the operating system.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads a secret as it was given out. The standard allows 24 to 64 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The secret as it is given out.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([REDACTED])")
    }
}

/// The `webhook-signature` of a request: one by each of the secrets, of which the receiver needs to know one.
///
/// `timestamp` is in seconds, and goes into `webhook-timestamp`; `id` into `webhook-id`.
pub fn signature<'s>(secrets: impl IntoIterator<Item = &'s Secret>, id: &str, timestamp: i64, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let by = |secret: &Secret| {
        let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &secret.0), signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    };
    secrets.into_iter().map(by).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signatures_are_those_of_the_standard() {
        let ours = Secret::parse(SECRET).unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let signed = signature([&ours], id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let another = Secret::generate().unwrap();
        let both = signature([&ours, &another], id, 1_614_265_330, body);
        let alone = signature([&another], id, 1_614_265_330, body);
        assert_eq!(both, format!("{signed} {alone}"));
        assert_eq!(signature([], id, 1_614_265_330, body), "");
        for other in [
            signature([&ours], "msg_other", 1_614_265_330, body),
            signature([&ours], id, 1_614_265_331, body),
            signature([&ours], id, 1_614_265_330, "{}"),
        ] {
            assert_ne!(other, signed);
        }
    }

    #[test]
    fn a_secret_is_read_back_and_not_printed() {
        let secret = Secret::generate().unwrap();
        let revealed = secret.reveal();
        assert_eq!(revealed.len(), "whsec_".len() + 44);
        assert_eq!(Secret::parse(&revealed).unwrap().reveal(), revealed);
        assert_ne!(Secret::generate().unwrap().reveal(), revealed);
        assert_eq!(format!("{secret:?}"), "Secret([REDACTED])");
        let short = format!("whsec_{}", STANDARD.encode([1; 23]));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        for text in ["", "whsec_", &revealed[6..], &revealed[..20], &short, &long, "whsec_****"] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }
}
