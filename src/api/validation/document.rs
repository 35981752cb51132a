//! A view of the document in which every part knows its JSON pointer.
//!
//! References are followed only inside the document, and chains of them are bounded.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;

/// The document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    root: &'a Value,
}

/// A part of the document.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub(super) value: &'a Value,
    /// JSON pointer from the root of the document.
    pub(super) pointer: String,
}

impl<'a> Document<'a> {
    pub(super) const fn new(root: &'a Value) -> Self {
        Self { root }
    }

    pub(super) const fn root(self) -> Part<'a> {
        Part { value: self.root, pointer: String::new() }
    }

    pub(super) const fn value(self) -> &'a Value {
        self.root
    }

    /// Returns the target of the `$ref` of a part, if it has one.
    pub(super) fn target(self, part: &Part<'_>) -> Result<Option<Part<'a>>> {
        let Some(reference) = part.value.get("$ref") else { return Ok(None) };
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let found = pointer.and_then(|pointer| Some((pointer, self.root.pointer(pointer)?)));
        let (pointer, value) =
            found.with_context(|| format!("{}: {reference} has no target in this document", part.pointer))?;
        Ok(Some(Part { value, pointer: pointer.to_owned() }))
    }

    /// Returns the part itself, or the target of its `$ref`s; not for schemas.
    pub(super) fn resolve(self, part: Part<'a>) -> Result<Part<'a>> {
        let mut part = part;
        for _ in 0..8 {
            match self.target(&part)? {
                Some(target) => part = target,
                None => return Ok(part),
            }
        }
        bail!("{}: too long a chain of `$ref`", part.pointer)
    }
}

impl<'a> Part<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        self.value.get(key).map(|value| self.child(key, value))
    }

    /// The members of an object; empty for anything else.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members.map(|(key, value)| (key.as_str(), self.child(key, value)))
    }

    /// The items of a list; empty for anything else.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, value)| self.child(&index.to_string(), value))
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key).and_then(Value::as_str)
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.value.get(key) == Some(&Value::Bool(true))
    }

    /// Returns the pointer as the fragment of a URI.
    pub(super) fn fragment(&self) -> String {
        let mut fragment = String::with_capacity(self.pointer.len() + 8);
        for byte in self.pointer.bytes() {
            if byte.is_ascii_alphanumeric() || b"/~-._".contains(&byte) {
                fragment.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(fragment, "%{byte:02X}");
            }
        }
        fragment
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        Self { value, pointer: format!("{}/{}", self.pointer, key.replace('~', "~0").replace('/', "~1")) }
    }
}
