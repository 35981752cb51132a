//! Spelling of component names.

/// Converts a code to Pascal case: `NotFound` for `NOT_FOUND`.
pub(super) fn pascal(code: &str) -> String {
    code.split('_').map(capitalized).collect()
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters.map(|other| other.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::pascal;

    #[test]
    fn codes_become_names_of_components() {
        assert_eq!(pascal("UNSUPPORTED_MEDIA_TYPE"), "UnsupportedMediaType");
    }
}
