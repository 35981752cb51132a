//! Comparison of a documented example with a real value.

use std::collections::BTreeMap;

use serde_json::Value;

/// Real values by the example values that stand for them.
#[derive(Default)]
pub(super) struct World {
    known: BTreeMap<String, Value>,
    pub(super) differences: Vec<String>,
}

/// Comparison of the values of a field.
#[derive(PartialEq, Eq)]
enum Rule {
    Equal,
    /// The server chooses the value. An example value stands for one real value.
    Chosen,
    /// The value depends on the time or on the network; only null differs.
    Any,
}

fn rule(field: &str) -> Rule {
    match field {
        "at" | "request_id" | "duration_ms" => Rule::Any,
        "id" | "access_token" | "refresh_token" | "token" | "ticket" | "secret" | "sequence" | "url" => Rule::Chosen,
        "due_at" => Rule::Equal,
        _ if field.ends_with("_at") => Rule::Any,
        _ if ["_id", "_by", "cursor"].iter().any(|end| field.ends_with(end)) => Rule::Chosen,
        _ => Rule::Equal,
    }
}

impl World {
    /// Sets the real value of an example value.
    pub(super) fn learn(&mut self, example: &Value, real: Value) {
        self.known.insert(example.to_string(), real);
    }

    /// Real value of an example value.
    #[track_caller]
    pub(super) fn real(&self, example: &Value) -> Value {
        self.known.get(&example.to_string()).unwrap_or_else(|| panic!("{example} has no real value yet")).clone()
    }

    /// A request with real values in the place of the example values.
    pub(super) fn realized(&self, example: &Value) -> Value {
        match example {
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.realized(member))).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.realized(item)).collect(),
            other => self.known.get(&other.to_string()).unwrap_or(other).clone(),
        }
    }

    /// Text with real values in the place of the example values.
    pub(super) fn realized_text(&self, text: &str) -> String {
        let texts = self.known.iter().filter_map(|(example, real)| Some((example.trim_matches('"'), real.as_str()?)));
        texts.fold(text.to_owned(), |text, (example, real)| text.replace(example, real))
    }

    /// Records the differences between an example and a real value.
    pub(super) fn compare(&mut self, place: &str, example: &Value, real: &Value) {
        let field = place.rsplit(['.', '[']).next().unwrap_or_default();
        match (example, real) {
            (Value::Object(members), Value::Object(others)) => {
                let names = |members: &serde_json::Map<String, Value>| members.keys().cloned().collect::<Vec<_>>();
                let unknown = others.keys().any(|name| !members.contains_key(name));
                if unknown || members.len() != others.len() {
                    let (own, found) = (names(members), names(others));
                    self.differences.push(format!("{place}: documented {own:?}, returned {found:?}"));
                }
                for (name, member) in members {
                    if let Some(other) = others.get(name) {
                        self.compare(&format!("{place}.{name}"), member, other);
                    }
                }
            }
            (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
                for (index, (item, other)) in items.iter().zip(others).enumerate() {
                    self.compare(&format!("{place}[{index}]"), item, other);
                }
            }
            _ if rule(field) == Rule::Any && example.is_null() == real.is_null() => {}
            _ if rule(field) == Rule::Chosen && !example.is_null() && !real.is_null() => {
                self.compare_chosen(place, example, real);
            }
            _ if example == real => {}
            _ => self.differences.push(format!("{place}: documented {example}, returned {real}")),
        }
    }

    fn compare_chosen(&mut self, place: &str, example: &Value, real: &Value) {
        if let Some(known) = self.known.get(&example.to_string()) {
            if known != real {
                self.differences.push(format!("{place}: {example} stands for {known}, returned {real}"));
            }
            return;
        }
        if let Some((other, _)) = self.known.iter().find(|(_, known)| *known == real) {
            self.differences.push(format!("{place}: {example} and {other} both stand for {real}"));
        }
        self.learn(example, real.clone());
    }
}
