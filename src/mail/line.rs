//! What users typed, on one line.

use std::fmt;

/// As many characters are shown.
const LONGEST: usize = 200;

/// A text of one line: whatever could end a line, move the cursor or turn the writing direction is a space.
///
/// Templates take only this of what users typed, so that no name can forge a header or a line of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// Makes one line of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let is_unruly = |character: char| {
            character.is_control()
                || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let tame = |character: char| if is_unruly(character) { ' ' } else { character };
        Self(text.chars().take(LONGEST).map(tame).collect())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line() {
        let line = Line::new("Ada\r\nBcc: all@example.com\u{2028}\u{85}\u{202e}x\0\tend");
        assert_eq!(line.to_string(), "Ada  Bcc: all@example.com   x  end");
        assert_eq!(Line::new(&"ä".repeat(1_000)).to_string().chars().count(), LONGEST);
    }
}
