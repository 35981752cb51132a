//! Verification of deliveries: the published recipes agree with the official libraries.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::clients::{Language, Verifier, check_types};

const NOW: u64 = 1_800_000_000;
const ID: &str = "0199c2a4-0000-7000-8000-000000000001";
const BODY: &str = r#"{"type":"task.created","data":{"title":"Wände streichen 🎨\u00e9"}}"#;

/// Delivery with the expected result.
struct Case {
    name: &'static str,
    genuine: bool,
    secret: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// The official Python library stops at a malformed signature, even if a valid one follows.
    not_by_the_library_of_python: bool,
}

fn secret(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    format!("v1,{}", STANDARD.encode(sign(&Key::new(HMAC_SHA256, key), signed.as_bytes())))
}

impl Case {
    /// Genuine delivery, signed at this time.
    fn signed(name: &'static str, key: &[u8], id: &str, timestamp: &str, body: &str) -> Self {
        let headers = vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp.to_owned()),
            ("webhook-signature", signature(key, id, timestamp, body)),
        ];
        let (secret, body) = (secret(key), body.to_owned());
        Self { name, genuine: true, secret, headers, body, not_by_the_library_of_python: false }
    }

    /// Unmodified delivery.
    fn good(name: &'static str) -> Self {
        Self::signed(name, &[7; 32], ID, &NOW.to_string(), BODY)
    }

    fn at(name: &'static str, timestamp: u64) -> Self {
        Self::signed(name, &[7; 32], ID, &timestamp.to_string(), BODY)
    }

    /// Replaces the signature header, where `{}` stands for the valid signature.
    fn signatures(mut self, signatures: &str) -> Self {
        let (_, signature) = &mut self.headers[2];
        *signature = signatures.replace("{}", signature);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn refused(self) -> Self {
        Self { genuine: false, ..self }
    }
}

fn cases() -> Vec<Case> {
    let other = signature(&[8; 32], ID, &NOW.to_string(), BODY);
    let v1a = format!("v1a,{}", STANDARD.encode([9; 64]));
    let missing =
        [("no id", "webhook-id"), ("no timestamp", "webhook-timestamp"), ("no signature", "webhook-signature")];
    let missing = missing
        .map(|(case, name)| Case::good(case).with(|case| case.headers.retain(|(header, _)| *header != name)).refused());
    let mut cases = vec![
        Case::good("as it was sent"),
        Case::good("a secret without its prefix").with(|case| case.secret = STANDARD.encode([7; 32])),
        Case::good("a header more").with(|case| case.headers.push(("content-type", "application/json".to_owned()))),
        Case::good("another secret").with(|case| case.secret = secret(&[8; 32])).refused(),
        Case::good("another body").with(|case| case.body = BODY.replace("task", "mask")).refused(),
        Case::good("a body that was written again").with(|case| case.body = case.body.replace(':', ": ")).refused(),
        Case::good("a body with a line end").with(|case| case.body.push('\n')).refused(),
        Case::good("another id").with(|case| case.headers[0].1 = ID.replace('1', "2")).refused(),
        Case::good("another timestamp").with(|case| case.headers[1].1 = (NOW + 1).to_string()).refused(),
        Case::good("a body moved into the id").with(|case| case.headers[0].1.push_str(".1")).refused(),
        Case::at("five minutes old", NOW - 300),
        Case::at("more than five minutes old", NOW - 301).refused(),
        Case::at("five minutes ahead", NOW + 300),
        Case::at("more than five minutes ahead", NOW + 301).refused(),
        Case::signed("a timestamp that is none", &[7; 32], ID, "soon", BODY).refused(),
        Case::signed("an empty timestamp", &[7; 32], ID, "", BODY).refused(),
        Case::signed("an empty id", &[7; 32], "", &NOW.to_string(), BODY).refused(),
        // An attacker can sign with an empty key too.
        Case::signed("an empty secret", &[], ID, &NOW.to_string(), BODY).refused(),
        Case::signed("a body that is not JSON", &[7; 32], ID, &NOW.to_string(), "{").refused(),
        Case::good("rotated, the second is good").signatures(&format!("{other} {{}}")),
        Case::good("rotated, the first is good").signatures(&format!("{{}} {other}")),
        Case::good("rotated, none is good").signatures(&format!("{other} {other}")).refused(),
        Case::good("one of another version, then the good").signatures(&format!("{v1a} {{}}")),
        Case::good("only one of another version").signatures(&v1a).refused(),
        Case::good("the good as another version").with(|case| case.headers[2].1.insert(2, 'a')).refused(),
        Case::good("garbage instead of base64").signatures("v1,@@@@").refused(),
        Case::good("half of a signature").with(|case| case.headers[2].1.truncate(23)).refused(),
        Case::good("an empty signature").signatures("v1,").refused(),
        Case::good("no version").with(|case| case.headers[2].1 = case.headers[2].1.replace("v1,", "")).refused(),
        Case::good("garbage, then the good")
            .signatures("garbage v1,@@@@ {}")
            .with(|case| case.not_by_the_library_of_python = true),
    ];
    cases.extend(missing);
    cases
}

#[test]
fn the_recipes_agree_with_the_official_libraries() {
    let mut wrong = Vec::new();
    for language in Language::ALL {
        let Some(mut verifier) = Verifier::start(language) else { continue };
        for case in cases() {
            let verdict = verifier.verify_at(Some(NOW), &case.secret, &case.headers(), &case.body);
            let official = case.genuine && !(case.not_by_the_library_of_python && matches!(language, Language::Python));
            let event = case.genuine.then(|| serde_json::from_str::<Value>(&case.body).unwrap());
            if verdict.official.is_ok() != official || verdict.recipe.as_ref().ok() != event.as_ref() {
                wrong.push(format!("{language:?}, {}: {verdict:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_recipe_uses_the_current_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for language in Language::ALL {
        let Some(mut verifier) = Verifier::start(language) else { continue };
        // Not at the exact limit, because time passes.
        for (timestamp, genuine) in [(now - 240, true), (now - 360, false), (now + 240, true), (now + 660, false)] {
            let case = Case::at("signed about now", timestamp);
            let verdict = verifier.verify(&case.secret, &case.headers(), &case.body);
            assert_eq!(verdict.official.is_ok(), genuine, "{language:?}, {timestamp} at {now}: {verdict:?}");
            assert_eq!(verdict.recipe.is_ok(), genuine, "{language:?}, {timestamp} at {now}: {verdict:?}");
        }
    }
}

#[test]
fn the_typescript_recipe_compiles_in_strict_mode() {
    let Some(compiler) = check_types() else { return };
    let ended = compiler.ends();
    assert_eq!((ended.status, &ended.output[..]), (Some(0), &[][..]), "{}", ended.errors);
}
