//! User input that stays on one line of an e-mail.

use std::fmt;

const MAX_LEN: usize = 200;

/// User input on one line: control and bidirectional characters become spaces.
///
/// Templates accept user input only as this type, so a name cannot inject a header or a line into an e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleLine(String);

impl SingleLine {
    /// Sanitizes a text and keeps its first 200 characters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let sanitize = |character| if is_control_or_bidi(character) { ' ' } else { character };
        Self(text.chars().take(MAX_LEN).map(sanitize).collect())
    }
}

fn is_control_or_bidi(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for SingleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_end_a_line() {
        let line = SingleLine::new("Ada\r\nBcc: all@example.com\u{2028}\u{85}\u{202e}x\0\tend");
        assert_eq!(line.to_string(), "Ada  Bcc: all@example.com   x  end");
        assert_eq!(SingleLine::new(&"ä".repeat(1_000)).to_string().chars().count(), MAX_LEN);
    }
}
