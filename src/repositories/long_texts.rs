//! Long texts, stored once per project however many events and stored responses contain them.
//!
//! In stored JSON, a long string is replaced by a reference: an object whose only member is `$text`, the hash of the
//! string. No resource has an object with that member.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use crate::contract::{ProjectId, Timestamp};

/// Length from which a string is stored by reference, in bytes.
const MIN_LEN: usize = 1_000;

/// Name of the only member of a reference.
const MEMBER: &str = "$text";

/// Beginning of a reference in JSON. Inside a string, the quotation mark would be escaped.
const MARKER: &str = r#"{"$text":"#;

/// Hash of a text.
pub type TextHash = [u8; 32];

/// Texts by their hash.
pub type LongTexts = HashMap<TextHash, String>;

/// Replaces long strings in JSON by references, and collects them. Short JSON is returned unchanged.
#[must_use]
pub fn extract_long_texts(json: &str, texts: &mut LongTexts) -> Option<String> {
    if json.len() <= MIN_LEN {
        return None;
    }
    let mut value: Value = serde_json::from_str(json).ok()?;
    // A stored response is replayed byte for byte.
    let is_compact = serde_json::to_string(&value).is_ok_and(|compact| compact == json);
    if !is_compact {
        return None;
    }
    let known = texts.len();
    extract(&mut value, texts);
    let replaced = value.to_string();
    (texts.len() > known || replaced.len() < json.len()).then_some(replaced)
}

fn extract(value: &mut Value, texts: &mut LongTexts) {
    match value {
        Value::String(text) if text.len() >= MIN_LEN => {
            let hash: TextHash = Sha256::digest(text.as_bytes()).into();
            texts.insert(hash, std::mem::take(text));
            *value = json!({ MEMBER: encode(&hash) });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| extract(item, texts)),
        Value::Object(members) => members.values_mut().for_each(|member| extract(member, texts)),
        _ => {}
    }
}

/// Returns the hashes of the texts to which JSON refers.
#[must_use]
pub fn referenced_texts(json: &str) -> Vec<TextHash> {
    let references = json.match_indices(MARKER).filter_map(|(at, _)| {
        let hash = json.get(at + MARKER.len() + 1..)?;
        decode(hash.get(..64)?)
    });
    references.collect()
}

/// Replaces the references in JSON by their texts; a text that is missing by null.
#[must_use]
pub fn insert_long_texts(json: String, texts: &LongTexts) -> String {
    if !json.contains(MARKER) {
        return json;
    }
    let Ok(mut value) = serde_json::from_str(&json) else { return json };
    insert(&mut value, texts);
    value.to_string()
}

fn insert(value: &mut Value, texts: &LongTexts) {
    match value {
        Value::Object(members) => {
            let hash = members.get(MEMBER).and_then(Value::as_str).filter(|_| members.len() == 1);
            match hash {
                Some(hash) => *value = decode(hash).and_then(|hash| texts.get(&hash)).cloned().into(),
                None => members.values_mut().for_each(|member| insert(member, texts)),
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| insert(item, texts)),
        _ => {}
    }
}

fn encode(hash: &TextHash) -> String {
    hash.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

fn decode(text: &str) -> Option<TextHash> {
    let mut hash = TextHash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// Long texts of projects.
#[async_trait]
pub trait LongTextRepository: Send + Sync {
    /// Adds the texts that the project does not have, and marks all of them as used.
    async fn add(&self, project: ProjectId, texts: &LongTexts, now: Timestamp) -> Result<(), StoreError>;

    /// Finds texts of projects.
    async fn list(
        &self,
        hashes: &[(ProjectId, TextHash)],
    ) -> Result<HashMap<(ProjectId, TextHash), String>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_strings_are_replaced_and_restored_byte_for_byte() {
        let long = r#"{"$text":" and "quotes", "#.repeat(60);
        let json = json!({"title": "x", "nested": [{"description": long}, {"description": long}], "n": 1}).to_string();
        let mut texts = LongTexts::new();
        let short = extract_long_texts(&json, &mut texts).unwrap();
        assert!(short.len() < 300, "{short}");
        assert_eq!(texts.values().collect::<Vec<_>>(), [&long]);
        let referenced = referenced_texts(&short);
        assert_eq!((referenced.len(), referenced[0]), (2, *texts.keys().next().unwrap()));
        assert_eq!(insert_long_texts(short.clone(), &texts), json);
        assert_eq!(insert_long_texts(short, &LongTexts::new()).matches("\"description\":null").count(), 2);
    }

    #[test]
    fn json_without_long_strings_stays_the_same() {
        for json in [
            json!({"labels": vec!["x".repeat(50); 40]}).to_string(),
            json!({"title": r#"{"$text":"00"}"#}).to_string(),
            "{}".to_owned(),
        ] {
            assert_eq!(extract_long_texts(&json, &mut LongTexts::new()), None);
            assert_eq!(referenced_texts(&json), [[0; 32]; 0]);
            assert_eq!(insert_long_texts(json.clone(), &LongTexts::new()), json);
        }
    }
}
