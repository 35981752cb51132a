//! Request signatures as specified by Standard Webhooks 1.0.0.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Prefix that identifies the secret, also for secret scanners.
const PREFIX: &str = "whsec_";

/// Signing secret of a webhook, encoded as `whsec_` and base64.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Generates a secret of 32 bytes from operating system randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Parses an encoded secret. The standard allows 24 to 64 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// Encodes the secret.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([REDACTED])")
    }
}

/// Returns the `webhook-signature` header: one signature per secret, of which the receiver must accept any.
///
/// `id` is the `webhook-id` header and `timestamp` the `webhook-timestamp` header, in seconds.
pub fn signature<'s>(
    secrets: impl IntoIterator<Item = &'s SigningKey>,
    id: &str,
    timestamp: i64,
    body: &str,
) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let by = |secret: &SigningKey| {
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
    fn signatures_match_the_examples_of_the_standard() {
        let ours = SigningKey::parse(SECRET).unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let signed = signature([&ours], id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let another = SigningKey::generate().unwrap();
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
    fn an_encoded_secret_parses_and_is_not_printed() {
        let secret = SigningKey::generate().unwrap();
        let encoded = secret.encode();
        assert_eq!(encoded.len(), "whsec_".len() + 44);
        assert_eq!(SigningKey::parse(&encoded).unwrap().encode(), encoded);
        assert_ne!(SigningKey::generate().unwrap().encode(), encoded);
        assert_eq!(format!("{secret:?}"), "SigningKey([REDACTED])");
        let short = format!("whsec_{}", STANDARD.encode([1; 23]));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        for text in ["", "whsec_", &encoded[6..], &encoded[..20], &short, &long, "whsec_****"] {
            assert!(SigningKey::parse(text).is_none(), "{text}");
        }
    }
}
