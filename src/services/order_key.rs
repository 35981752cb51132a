//! Order keys: texts that sort bytewise in the order of the tasks of a project.
//!
//! A key begins with a whole number, written so that it sorts: a letter says how many digits follow (`a` one, `b` two,
//! and so on), then the digits to the base 62. That leaves room before the first key (upper-case letters, for negative
//! numbers) and between any two (by a fraction after the digits), for when tasks are moved.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The key of the first task of a project.
const FIRST: &str = "a0";

/// The next key after the greatest one that was given out; `last` is empty when there was none.
#[must_use]
pub(super) fn after(last: &str) -> String {
    let Some(length) = last.bytes().next().filter(u8::is_ascii_lowercase).map(|letter| usize::from(letter - b'a') + 1)
    else {
        return FIRST.to_owned();
    };
    let mut digits: Vec<u8> = last.bytes().skip(1).take(length).collect();
    for digit in digits.iter_mut().rev() {
        match DIGITS.iter().position(|known| known == digit) {
            Some(value) if value + 1 < DIGITS.len() => {
                *digit = DIGITS[value + 1];
                return letter_and(length, &digits);
            }
            _ => *digit = DIGITS[0],
        }
    }
    // All digits were the last one: one digit more.
    letter_and(length + 1, &vec![DIGITS[0]; length + 1])
}

fn letter_and(length: usize, digits: &[u8]) -> String {
    let letter = u8::try_from(length - 1).map_or(b'z', |offset| b'a' + offset.min(25));
    std::iter::once(letter).chain(digits.iter().copied()).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ascend_and_stay_short() {
        let mut last = String::new();
        for _ in 0..300_000 {
            let next = after(&last);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert!(last.len() <= 5, "{last}");
    }

    #[test]
    fn a_fraction_is_left_behind() {
        assert_eq!(after("a3V"), "a4");
        assert_eq!(after("az"), "b00");
        assert_eq!(after("bzz7"), "c000");
    }
}
