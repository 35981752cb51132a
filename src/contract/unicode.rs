//! Unicode: the normal form of all text, and its folded form for comparison and search.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// Converts text to Normalization Form C (UAX #15), so that texts that look alike are stored alike.
#[must_use]
pub fn normalize(text: String) -> String {
    if text.is_ascii() || unicode_normalization::is_nfc(&text) { text } else { text.nfc().collect() }
}

/// Folds text for comparison without regard to case: a canonical caseless match (Unicode, section 3.13, D145).
///
/// A dot above after an i is dropped: the folded form of `İ` has one, and a search for `istanbul` should find it.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded: String = text.nfd().default_case_fold().nfd().collect();
    folded.replace("i\u{307}", "i").nfc().collect()
}

/// Returns whether a character embeds, overrides or isolates the direction of text (UAX #9). The marks U+200E, U+200F
/// and U+061C do not: right-to-left names need them.
#[must_use]
pub const fn is_direction_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether no character of a text leaves a mark: blanks, fillers, and characters that are ignored in display.
#[must_use]
pub fn is_invisible(text: &str) -> bool {
    text.chars().all(|character| {
        character.is_whitespace()
            || matches!(character,
                // Default_Ignorable_Code_Point of Unicode 17.
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
                // Not ignorable, but blank: the Braille pattern without dots, the null notehead, and format controls.
                | '\u{2800}' | '\u{1d159}' | '\u{13430}'..='\u{1343f}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_and_decomposed_texts_have_one_normal_form() {
        assert_eq!(normalize("Cafe\u{301}".to_owned()), "Caf\u{e9}");
        assert_eq!(normalize("\u{212b}".to_owned()), "\u{c5}");
        assert_eq!(normalize("plain".to_owned()), "plain");
    }

    #[test]
    fn folding_is_full_and_canonical() {
        for (one, other) in [
            ("ÄPFEL", "äpfel"),
            ("STRASSE", "Straße"),
            ("STRASSE", "STRAẞE"),
            ("ΟΔΟΣ", "οδος"),
            ("istanbul", "İstanbul"),
            ("Cafe\u{301}", "CAFÉ"),
            ("ﬁle", "FILE"),
            ("\u{1f88}", "\u{1f00}\u{3b9}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} and {other}");
        }
        assert_ne!(fold("ısı"), fold("isi"));
        assert_ne!(fold("cafe"), fold("café"));
    }

    #[test]
    fn texts_without_a_visible_character_are_invisible() {
        for text in [
            "",
            " ",
            "\u{200b}\u{ad}",
            "\u{2800}",
            "\u{3164}\u{ffa0}",
            "\u{feff}",
            "\u{2066}\u{2069}",
            "\u{e0041}",
            "\u{fff9}",
            "\u{1d159}",
        ] {
            assert!(is_invisible(text), "{text:?}");
        }
        // A family is one visible emoji with joiners.
        for text in ["a", "👨\u{200d}👩\u{200d}👧", "می\u{200c}خواهم", "\u{301}"] {
            assert!(!is_invisible(text), "{text:?}");
        }
    }
}
