//! Access tokens: JSON Web Tokens (RFC 7519), signed with HMAC-SHA-256.

use std::fmt::Write as _;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::verified_tokens::VerifiedTokens;
use crate::contract::ids::new_uuid;
use crate::contract::{SessionId, Timestamp, UserId};

const ISSUER: &str = "pocket-tasks";
const AUDIENCE: &str = "pocket-tasks-api";

/// Clock difference allowed between two servers, in seconds.
const CLOCK_SKEW: i64 = 60;

/// Signs access tokens and verifies those signed with the current or the previous secret.
pub struct AccessTokens {
    signing: EncodingKey,
    header: Header,
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
    verified: VerifiedTokens<Content>,
    ttl: Duration,
}

/// Content of a token whose signature is valid.
#[derive(Debug, Clone, Copy)]
struct Content {
    claims: Claims,
    issued_at: i64,
    expires_at: i64,
}

/// Claims of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The calling user.
    pub user: UserId,
    /// The session of the user.
    pub session: SessionId,
}

/// Reason why a token was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is malformed, or has a wrong signature, issuer or audience.
    #[error("the token is invalid")]
    Invalid,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    exp: i64,
    jti: Uuid,
}

impl AccessTokens {
    /// Creates a signer. `secret` signs, both secrets verify, and tokens are valid for `ttl`.
    #[must_use]
    pub fn new(secret: &SecretString, previous: Option<&SecretString>, ttl: Duration) -> Self {
        let verifying: Vec<_> = std::iter::once(secret)
            .chain(previous)
            .map(|secret| (key_id(secret), DecodingKey::from_secret(secret.expose_secret().as_bytes())))
            .collect();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key_id(secret));
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Expiry is checked in `verify`, with a clock that tests can set.
        validation.validate_exp = false;
        Self {
            signing: EncodingKey::from_secret(secret.expose_secret().as_bytes()),
            header,
            verifying,
            validation,
            verified: VerifiedTokens::default(),
            ttl,
        }
    }

    /// Lifetime of a token.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Signs a token issued at `now`.
    pub fn sign(&self, claims: Claims, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let payload = Payload {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: claims.user.0,
            sid: claims.session.0,
            iat: now.as_secs(),
            exp: (now + self.ttl).as_secs(),
            jti: new_uuid(),
        };
        encode(&self.header, &payload, &self.signing)
    }

    /// Verifies a token at `now`. Returns its claims and its expiry.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<(Claims, Timestamp), TokenError> {
        let Content { claims, issued_at, expires_at } = self.verified.get_or_verify(token, || self.read(token))?;
        if issued_at > now.as_secs() + CLOCK_SKEW {
            return Err(TokenError::Invalid);
        }
        // Caps a longer lifetime from an earlier configuration: ended sessions are remembered only for the current one.
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let end = expires_at.min(issued_at.saturating_add(ttl));
        if end <= now.as_secs() {
            return Err(TokenError::Expired);
        }
        Ok((claims, Timestamp(end.saturating_mul(1_000))))
    }

    /// Reads a token, and verifies all but the time.
    fn read(&self, token: &str) -> Result<Content, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
        // `Validation` fixes the algorithm; the header cannot choose another.
        let key = self.verifying.iter().find(|(id, _)| header.kid.as_deref() == Some(id));
        let (_, key) = key.ok_or(TokenError::Invalid)?;
        let Payload { sub, sid, iat, exp, .. } =
            decode(token, key, &self.validation).map_err(|_| TokenError::Invalid)?.claims;
        let claims = Claims { user: UserId(sub), session: SessionId(sid) };
        Ok(Content { claims, issued_at: iat, expires_at: exp })
    }
}

/// Derives a key id that does not reveal the secret.
fn key_id(secret: &SecretString) -> String {
    let digest = Sha256::new().chain_update("pocket-tasks key id").chain_update(secret.expose_secret()).finalize();
    digest[..8].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "a secret for tests, of 32 bytes.";

    fn tokens(secret: &str, previous: Option<&str>) -> AccessTokens {
        AccessTokens::new(&secret.into(), previous.map(SecretString::from).as_ref(), Duration::from_mins(15))
    }

    fn claims() -> Claims {
        Claims { user: UserId::generate(), session: SessionId::generate() }
    }

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const END: Timestamp = Timestamp(1_800_000_900_000);

    #[test]
    fn a_token_is_valid_until_its_expiry() {
        let (tokens, claims) = (tokens(SECRET, None), claims());
        let token = tokens.sign(claims, NOW).unwrap();
        assert_eq!(tokens.verify(&token, NOW), Ok((claims, END)));
        assert_eq!(tokens.verify(&token, NOW + Duration::from_secs(899)), Ok((claims, END)));
        assert_eq!(tokens.verify(&token, NOW + Duration::from_mins(15)), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_that_was_verified_before_still_expires_and_cannot_be_changed() {
        let (tokens, claims) = (tokens(SECRET, None), claims());
        let token = tokens.sign(claims, NOW).unwrap();
        assert_eq!(tokens.verify(&token, NOW), Ok((claims, END)));
        assert_eq!(tokens.verify(&token, END), Err(TokenError::Expired));
        assert_eq!(tokens.verify(&token, NOW), Ok((claims, END)));
        assert_eq!(tokens.verify(&token, Timestamp(0)), Err(TokenError::Invalid), "issued in the future");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for forged in [format!("{signed}."), format!("{signed}.{}", signature.to_uppercase()), format!("{token} ")] {
            assert_eq!(tokens.verify(&forged, NOW), Err(TokenError::Invalid), "{forged}");
        }
    }

    #[test]
    fn a_token_of_a_clock_that_is_up_to_a_minute_ahead_is_valid() {
        let (tokens, claims) = (tokens(SECRET, None), claims());
        let verify = |ahead| {
            let issued = NOW + Duration::from_secs(ahead);
            tokens.verify(&tokens.sign(claims, issued).unwrap(), NOW)
        };
        assert_eq!(verify(60), Ok((claims, END + Duration::from_mins(1))));
        assert_eq!(verify(61), Err(TokenError::Invalid));
    }

    #[test]
    fn a_rotated_secret_still_verifies() {
        let (old, claims) = (tokens(SECRET, None), claims());
        let token = old.sign(claims, NOW).unwrap();
        assert_eq!(tokens("another secret, of 32 bytes too.", Some(SECRET)).verify(&token, NOW), Ok((claims, END)));
        assert_eq!(tokens("another secret, of 32 bytes too.", None).verify(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn forged_tokens_are_invalid() {
        let tokens = tokens(SECRET, None);
        let good = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": new_uuid(), "sid": new_uuid(),
            "iat": NOW.as_secs(), "exp": NOW.as_secs() + 60, "jti": new_uuid()});
        let sign = |header: &Header, payload: &Value, secret: &str| {
            encode(header, payload, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
        };
        let with = |name: &str, value: Value| {
            let mut payload = good.clone();
            payload[name] = value;
            payload
        };
        let without = |name: &str| {
            let mut payload = good.clone();
            payload.as_object_mut().unwrap().remove(name);
            payload
        };
        assert!(
            tokens.verify(&sign(&tokens.header, &good, SECRET), NOW).is_ok(),
            "the payload that the others vary is valid"
        );

        let mut forged = vec![
            ("another secret", sign(&tokens.header, &good, "a guess")),
            ("another issuer", sign(&tokens.header, &with("iss", json!("someone")), SECRET)),
            ("another audience", sign(&tokens.header, &with("aud", json!("elsewhere")), SECRET)),
            ("a future iat", sign(&tokens.header, &with("iat", json!(NOW.as_secs() + 3_600)), SECRET)),
            ("no kid", sign(&Header::new(Algorithm::HS256), &good, SECRET)),
            ("another algorithm", sign(&Header { alg: Algorithm::HS512, ..tokens.header.clone() }, &good, SECRET)),
            ("not a token", "a.b.c".to_owned()),
            ("nothing", String::new()),
        ];
        for name in ["iss", "aud", "sub", "sid", "iat", "exp", "jti"] {
            forged.push((name, sign(&tokens.header, &without(name), SECRET)));
        }
        let unsigned = json!({"alg": "none", "typ": "JWT", "kid": tokens.header.kid});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        forged.push(("alg none", format!("{}.{}.", part(&unsigned), part(&good))));
        for (what, token) in forged {
            assert_eq!(tokens.verify(&token, NOW), Err(TokenError::Invalid), "{what}");
        }
    }
}
