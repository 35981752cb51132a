use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use serde_json::Value;
use sha2::Sha256;

const TOLERANCE_SECONDS: u64 = 5 * 60;

// With base64 0.22, hmac 0.13, http 1, serde_json 1 and sha2 0.11.

/// Verifies a delivery (Standard Webhooks 1.0.0) and returns its event, or an error if verification fails.
///
/// Pass the raw body, before anything parses it: the signature covers its exact bytes. A delivery can
/// arrive more than once, so ignore a `webhook-id` that you have already processed.
pub fn verify(secret: &str, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Result<Value, Box<dyn Error>> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.filter(|value| !value.is_empty()).ok_or(format!("{name} is missing"))
    };
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let signatures = header("webhook-signature")?;
    let now = now.duration_since(UNIX_EPOCH)?.as_secs();
    if now.abs_diff(timestamp.parse()?) > TOLERANCE_SECONDS {
        return Err("webhook-timestamp is too far from now".into());
    }
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret))?;
    if key.is_empty() {
        return Err("the secret is empty".into());
    }
    let mut signed = Hmac::<Sha256>::new_from_slice(&key)?;
    signed.update(format!("{id}.{timestamp}.").as_bytes());
    signed.update(body);
    // During secret rotation there are several signatures. Other versions are skipped.
    let mut given = signatures.split(' ').filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok());
    // `verify_slice` compares in constant time.
    if !given.any(|signature| signed.clone().verify_slice(&signature).is_ok()) {
        return Err("webhook-signature does not match".into());
    }
    Ok(serde_json::from_slice(body)?)
}
