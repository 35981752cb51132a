//! Entity tags (RFC 9110, section 8.8.3) and conditional requests.
//!
//! A tag has two parts: a hash of the version and a hash of the representation, which can change without the version
//! (for example `completion_percentage` or the role of the reader). `If-Match` compares only the version.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::error::Error;
use crate::contract::resource::{CurrentResource, Resource};

/// Bytes of the hash in each part of a tag.
const HASH_BYTES: usize = 9;

/// Suffix of the tag of a compressed representation.
const GZIP: &str = "-gzip";

/// Entity tag of one representation of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    version: String,
    representation: String,
}

impl EntityTag {
    /// Computes the tag of a resource whose representation is `json`.
    #[must_use]
    pub fn new(resource: &impl Resource, json: &str) -> Self {
        Self { version: version_part(resource), representation: part(Sha256::new_with_prefix(json)) }
    }

    /// Returns the tag of the same representation, compressed with gzip.
    #[must_use]
    pub fn compressed(tag: &str) -> Option<String> {
        Some(format!("{}{GZIP}\"", tag.strip_suffix('"')?))
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}.{}\"", self.version, self.representation)
    }
}

fn version_part(resource: &impl Resource) -> String {
    part(Sha256::new_with_prefix(resource.uuid()).chain_update(resource.version().to_be_bytes()))
}

fn part(hash: Sha256) -> String {
    let hash = hash.finalize();
    URL_SAFE_NO_PAD.encode(hash.get(..HASH_BYTES).unwrap_or_default())
}

/// A header that should contain entity tags contains something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedETag;

/// Characters between the tags of a list (RFC 9110, section 5.6.1).
const SEPARATORS: [char; 3] = [' ', '\t', ','];

/// Value of an `If-Match` or `If-None-Match` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagCondition {
    /// `*`, which matches every representation.
    Any,
    /// A list of tags, without the `W/` prefix that proxies add when they compress.
    List(Vec<String>),
}

impl ETagCondition {
    /// Parses the values of all header lines: lists of tags in double quotes, or `*`.
    ///
    /// # Errors
    ///
    /// Returns an error if a value is neither, or if all lines are empty.
    pub fn parse<'h>(lines: impl IntoIterator<Item = &'h str>) -> Result<Option<Self>, MalformedETag> {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return Ok(None);
        }
        let (mut tags, mut is_any) = (Vec::new(), false);
        for line in lines {
            let mut rest = line.trim_start_matches(SEPARATORS);
            while !rest.is_empty() {
                if let Some(after) = rest.strip_prefix('*') {
                    is_any = true;
                    rest = after;
                } else {
                    let opaque = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"').ok_or(MalformedETag)?;
                    let (tag, after) = opaque.split_once('"').ok_or(MalformedETag)?;
                    tags.push(format!("\"{tag}\""));
                    rest = after;
                }
                rest = rest.trim_start();
                if !rest.is_empty() && !rest.starts_with(',') {
                    return Err(MalformedETag);
                }
                rest = rest.trim_start_matches(SEPARATORS);
            }
        }
        match (is_any, tags.is_empty()) {
            (true, _) => Ok(Some(Self::Any)),
            (false, true) => Err(MalformedETag),
            (false, false) => Ok(Some(Self::List(tags))),
        }
    }

    /// Returns the listed tag that matches this representation, compressed or not.
    #[must_use]
    pub fn matching_tag<'t>(&'t self, tag: &'t str) -> Option<&'t str> {
        match self {
            Self::Any => Some(tag),
            Self::List(tags) => {
                let compressed = EntityTag::compressed(tag);
                tags.iter().find(|named| *named == tag || Some(*named) == compressed.as_ref()).map(String::as_str)
            }
        }
    }

    /// Returns whether a listed tag matches this version of the resource.
    #[must_use]
    pub fn matches_version(&self, resource: &impl Resource) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => {
                let version = format!("\"{}", version_part(resource));
                tags.iter().any(|named| named.split_once('.').is_some_and(|(named, _)| named == version))
            }
        }
    }
}

/// Refuses the request if `If-Match` names another version of the resource.
pub(crate) fn check_if_match<R: Resource + Clone + Into<CurrentResource>>(
    expected: Option<&ETagCondition>,
    resource: &R,
) -> Result<(), Error> {
    match expected {
        Some(expected) if !expected.matches_version(resource) => {
            let etag = EntityTag::new(resource, &resource.json()).to_string();
            Err(Error::PreconditionFailed { current: resource.clone().into(), etag })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;

    use super::*;
    use crate::contract::TaskId;
    use crate::contract::project::Project;
    use crate::contract::task::Task;

    fn tag_of<R: Resource>(resource: &R) -> EntityTag {
        EntityTag::new(resource, &resource.json())
    }

    #[test]
    fn a_tag_changes_with_the_representation_and_its_first_part_with_the_version() {
        let project = Project::example();
        let tag = tag_of(&project);
        let recounted = Project { completion_percentage: 99, ..project.clone() };
        let renamed = Project { version: 2, ..project.clone() };
        assert_eq!(tag, tag_of(&project.clone()));
        assert_ne!(tag, tag_of(&recounted));
        let named = ETagCondition::parse([tag.to_string().as_str()]).unwrap().unwrap();
        assert!(
            named.matching_tag(&tag.to_string()).is_some()
                && named.matching_tag(&tag_of(&recounted).to_string()).is_none()
        );
        assert!(named.matches_version(&recounted) && !named.matches_version(&renamed));
    }

    #[test]
    fn the_same_version_of_another_resource_has_another_tag() {
        let task = Task::example();
        let other = Task { id: TaskId::generate(), ..task.clone() };
        assert!(!ETagCondition::parse([tag_of(&task).to_string().as_str()]).unwrap().unwrap().matches_version(&other));
    }

    #[test]
    fn tags_are_parsed_as_clients_and_proxies_send_them() {
        let task = Task::example();
        let tag = tag_of(&task).to_string();
        let gzip = EntityTag::compressed(&tag).unwrap();
        assert_eq!(gzip, format!("{}-gzip\"", &tag[..tag.len() - 1]));
        for (header, named) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            (gzip.clone(), true),
            (format!("W/{gzip}"), true),
            (format!("\"other\" , {tag}"), true),
            ("*".to_owned(), true),
            (format!(" , {tag},, \"a,b\" "), true),
            ("\"other\", *".to_owned(), true),
            ("\"\"".to_owned(), false),
            ("\"a,b\"".to_owned(), false),
        ] {
            let tags = ETagCondition::parse([header.as_str()]).unwrap().unwrap();
            assert_eq!(tags.matching_tag(&tag).is_some(), named, "{header}");
            assert_eq!(tags.matches_version(&task), named, "{header}");
        }
        assert_eq!(ETagCondition::parse([]), Ok(None));
        assert_eq!(ETagCondition::parse([gzip.as_str()]).unwrap().unwrap().matching_tag(&tag), Some(gzip.as_str()));
    }

    #[test]
    fn a_header_without_quoted_tags_is_malformed() {
        for header in ["", " , ", "abc", "\"abc", "abc\"", "\"a\" \"b\"", "\"a\", b", "w/\"a\"", "W/", "**"] {
            assert_eq!(ETagCondition::parse([header]), Err(MalformedETag), "{header}");
        }
    }
}
