//! Strength of new passwords, estimated by zxcvbn.

use zxcvbn::zxcvbn;

/// Minimum number of guesses: as many as for eight random characters, the shortest password.
const MIN_GUESSES: u64 = 100_000_000;

/// Minimum number of guesses for the rest of a password without the words of its user.
const MIN_GUESSES_OF_REST: u64 = 1_000_000;

/// Minimum length of a word of the user; shorter ones occur in too many others.
const MIN_WORD_LENGTH: usize = 3;

/// Words that anyone would try here.
const SERVICE: [&str; 2] = ["Pocket Tasks", "pocket-tasks"];

/// Reason why a password is too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Common, or otherwise easy to guess.
    Common,
    /// Made of words of its user.
    Personal,
}

/// Assesses a password. `personal` is what a stranger knows of its user: the name and the address.
pub(super) fn assess(password: &str, personal: &[String]) -> Option<Weakness> {
    let words = words(personal);
    let mut inputs: Vec<&str> = words.iter().map(String::as_str).chain(SERVICE).collect();
    inputs.extend(personal.iter().map(String::as_str));
    // zxcvbn guesses several words as if their combination were unknown, so they are also removed together.
    let mut rest = password.to_lowercase();
    for word in &words {
        rest = rest.replace(word.as_str(), "");
    }
    if rest.len() < password.to_lowercase().len() && zxcvbn(&rest, &inputs).guesses() < MIN_GUESSES_OF_REST {
        return Some(Weakness::Personal);
    }
    (zxcvbn(password, &inputs).guesses() < MIN_GUESSES).then_some(Weakness::Common)
}

/// Splits names and addresses into lower-case words, the longest first.
fn words(personal: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for text in personal.iter().map(|text| text.to_lowercase()) {
        let (local, domain) = text.split_once('@').unwrap_or((&text, ""));
        // Without the top-level domain, which is a word like any other.
        let domain = domain.rsplit_once('.').map_or("", |(labels, _)| labels);
        let parts = [local, domain].into_iter().flat_map(|part| part.split(|c: char| !c.is_alphanumeric()));
        words.extend(parts.chain([local]).map(str::to_owned));
    }
    words.retain(|word| word.chars().count() >= MIN_WORD_LENGTH);
    words.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ada(password: &str) -> Option<Weakness> {
        assess(password, &["Ada Lovelace".to_owned(), "ada.lovelace@engines.example".to_owned()])
    }

    #[test]
    fn common_passwords_are_too_weak() {
        for password in [
            "password",
            "password1",
            "Password1!",
            "P@ssw0rd123",
            "12345678",
            "123456789012",
            "qwertyuiop",
            "qwerty123",
            "1q2w3e4r",
            "zaq12wsx",
            "iloveyou",
            "letmein123",
            "trustno1",
            "sunshine",
            "monkey123",
            "welcome1",
            "abcdefgh",
            "abcd1234",
            "aaaaaaaa",
            "Summer2026!",
            "🔑🔑🔑🔑🔑🔑🔑🔑",
            "pocket tasks",
            "pocket-tasks",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ] {
            assert_eq!(of_ada(password), Some(Weakness::Common), "{password}");
        }
    }

    #[test]
    fn passwords_made_of_the_users_name_or_address_are_too_weak() {
        for password in [
            "ada lovelace",
            "AdaLovelace1",
            "adalovelace2026",
            "lovelace-ada",
            "ada.lovelace@engines.example",
            "Lovelace1815",
            "engines.example",
            "ADA.LOVELACE!",
        ] {
            assert_eq!(of_ada(password), Some(Weakness::Personal), "{password}");
        }
    }

    #[test]
    fn passphrases_and_random_passwords_are_strong_enough() {
        for password in [
            "correct horse",
            "battery staple",
            "purple monkey",
            "green tables",
            "my dog spot",
            "correct horse battery",
            "correcthorsebatterystaple",
            "kP4xw9Qz",
            "gT7#kq2p",
            "kitchen renovation",
            "ada likes green tables",
            "Grüße aus Köln",
            "ぽけっとたすくのひみつ",
        ] {
            assert_eq!(of_ada(password), None, "{password}");
        }
    }
}
