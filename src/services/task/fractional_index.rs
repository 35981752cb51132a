//! Fractional indexing: order keys that sort bytewise in the order of the tasks.
//!
//! A key is a sequence of integers. Each is encoded so that it sorts correctly and delimits itself: a letter for the
//! number of digits (`a` one, `b` two, ... from 0 up; `Z` one, `Y` two, ... from -1 down), then base-62 digits. A
//! sequence sorts after each of its prefixes, so there is always room between two keys without changing others.
//!
//! Repeated moves to the same place (the top, the end, or next to a task) only increment or decrement an integer. Only
//! halving a gap from alternating sides lengthens keys, by one integer every eleven moves; beyond [`MAX_LEN`], the keys
//! nearby are rebalanced (see `rebalance`).

use std::collections::HashSet;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Maximum length of a key.
pub(crate) const MAX_LEN: usize = 48;

/// Distance between keys in unbounded gaps: two digits, and many halvings.
const GAP: i64 = 2_048;

/// Maximum number of digits that fit an `i64`.
const MAX_DIGITS: usize = 10;

/// Returns the key after the greatest one; `last` is empty for the first task.
#[must_use]
pub(crate) fn after(last: &str) -> String {
    between(Some(last).filter(|last| !last.is_empty()), None)
}

/// Returns a key between two keys, or before or after all where one is missing.
/// `lower` must be less than `upper`.
#[must_use]
pub(crate) fn between(lower: Option<&str>, upper: Option<&str>) -> String {
    let lower = lower.map(decode);
    let upper = upper.map(decode);
    encode(&match (lower, upper) {
        (None, None) => vec![0],
        (Some(lower), None) => vec![lower.first().map_or(0, |number| number.saturating_add(1))],
        (None, Some(upper)) => vec![upper.first().map_or(0, |number| number.saturating_sub(1))],
        (Some(lower), Some(upper)) => middle(&lower, &upper),
    })
}

/// Returns evenly distributed keys between two keys, none of which is in use.
/// Keys are replaced one after the other, and must be unique at any time.
#[must_use]
pub(crate) fn distribute(
    lower: Option<&str>,
    upper: Option<&str>,
    count: usize,
    in_use: &HashSet<&str>,
) -> Vec<String> {
    // Enough that `count` remain even if all keys in use are among them.
    let mut keys = Vec::with_capacity(count + in_use.len());
    fill(lower, upper, count + in_use.len(), &mut keys);
    keys.retain(|key| !in_use.contains(key.as_str()));
    (0..count).filter_map(|index| keys.get(index * keys.len() / count).cloned()).collect()
}

fn fill(lower: Option<&str>, upper: Option<&str>, count: usize, keys: &mut Vec<String>) {
    if count == 0 {
        return;
    }
    let key = between(lower, upper);
    let before = match (lower, upper) {
        // An open end is filled sequentially.
        (_, None) => 0,
        (None, Some(_)) => count - 1,
        _ => (count - 1) / 2,
    };
    fill(lower, Some(&key), before, keys);
    keys.push(key.clone());
    fill(Some(&key), upper, count - 1 - before, keys);
}

fn middle(lower: &[i64], upper: &[i64]) -> Vec<i64> {
    let common = lower.iter().zip(upper).take_while(|(lower, upper)| lower == upper).count();
    let mut row = upper.get(..common).unwrap_or_default().to_vec();
    let Some(&above) = upper.get(common) else { return [lower, &[0]].concat() };
    let Some(&below) = lower.get(common) else {
        // `lower` is a prefix of `upper`: the gap is unbounded below that integer.
        row.push(above.saturating_sub(GAP));
        return row;
    };
    if above.saturating_sub(below) >= 2 {
        row.push(below + (above - below) / 2);
        return row;
    }
    // Adjacent integers: extend the sequence of `lower`.
    row.push(below);
    row.push(lower.get(common + 1).map_or(0, |number| number.saturating_add(GAP)));
    row
}

/// Decodes a key. Decoding stops at the first invalid byte.
fn decode(key: &str) -> Vec<i64> {
    let mut rest = key.as_bytes();
    let mut row = Vec::new();
    while let [letter, digits @ ..] = rest {
        let length = match letter {
            b'a'..=b'z' => usize::from(letter - b'a') + 1,
            b'A'..=b'Z' => usize::from(b'Z' - letter) + 1,
            _ => break,
        };
        let Some((digits, further)) = digits.split_at_checked(length).filter(|_| length <= MAX_DIGITS) else { break };
        let value = digits.iter().fold(0, |value, digit| {
            let digit = DIGITS.iter().position(|known| known == digit).unwrap_or_default();
            value * 62 + i64::try_from(digit).unwrap_or_default()
        });
        row.push(if letter.is_ascii_lowercase() {
            value + first_with_len(length)
        } else {
            value - first_with_len(length) - power(length)
        });
        rest = further;
    }
    row
}

fn encode(row: &[i64]) -> String {
    let mut key = Vec::new();
    for &number in row {
        // Distance from 0, or from -1 for negative numbers.
        let distance = if number < 0 { -1 - number } else { number };
        let length = (1..MAX_DIGITS).find(|length| distance < first_with_len(length + 1)).unwrap_or(MAX_DIGITS);
        let offset = (distance - first_with_len(length)).min(power(length) - 1);
        let (letter, mut value) = if number < 0 {
            (b'Z' - u8::try_from(length - 1).unwrap_or_default(), power(length) - 1 - offset)
        } else {
            (b'a' + u8::try_from(length - 1).unwrap_or_default(), offset)
        };
        let mut digits = vec![b'0'; length];
        for digit in digits.iter_mut().rev() {
            *digit = usize::try_from(value % 62).map_or(b'0', |value| DIGITS[value]);
            value /= 62;
        }
        key.push(letter);
        key.extend(digits);
    }
    key.into_iter().map(char::from).collect()
}

/// Returns the least number with this many digits.
fn first_with_len(length: usize) -> i64 {
    (1..length).map(power).sum()
}

fn power(length: usize) -> i64 {
    (0..length).fold(1, |power, _| power * 62)
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
    fn the_next_key_increments_the_first_integer() {
        for (last, next) in [("", "a0"), ("a0", "a1"), ("az", "b00"), ("bzz", "c000"), ("Zz", "a0"), ("a3b0V", "a4")] {
            assert_eq!(after(last), next, "{last}");
        }
        assert_eq!(between(None, Some("a0")), "Zz");
        assert_eq!(between(None, Some("Z0")), "Yzz");
    }

    #[test]
    fn encoded_integers_sort_bytewise() {
        let numbers: Vec<i64> = (0..2_000)
            .chain([3_905, 3_906, 242_233, 242_234, 500_000_000_000])
            .flat_map(|number| [number, -number])
            .collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let keys: Vec<String> = sorted.iter().map(|number| encode(&[*number])).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for (number, key) in sorted.iter().zip(&keys) {
            assert_eq!(super::decode(key), [*number], "{key}");
        }
    }

    /// Inserts keys at the indexes that `place` chooses; returns the greatest length.
    fn longest_key(mut place: impl FnMut(usize, &[String]) -> usize) -> usize {
        let mut keys = vec![after(""), after("a0"), after("a1")];
        let mut longest = 0;
        for turn in 0..10_000 {
            let at = place(turn, &keys);
            let lower = at.checked_sub(1).and_then(|at| keys.get(at)).map(String::as_str);
            let upper = keys.get(at).map(String::as_str);
            let key = between(lower, upper);
            assert!(lower.is_none_or(|lower| lower < key.as_str()), "{lower:?} {key}");
            assert!(upper.is_none_or(|upper| key.as_str() < upper), "{key} {upper:?}");
            longest = longest.max(key.len());
            keys.insert(at, key);
        }
        longest
    }

    #[test]
    fn keys_stay_short_after_ten_thousand_moves_to_one_place() {
        assert!(longest_key(|_, _| 0) <= 4, "to the top");
        assert!(longest_key(|_, keys| keys.len()) <= 4, "to the end");
        assert!(longest_key(|_, _| 1) <= 10, "after the first");
        assert!(longest_key(|_, keys| keys.len() - 1) <= 10, "before the last");
        assert!(longest_key(|turn, keys| if turn % 2 == 0 { 1 } else { keys.len() - 1 }) <= 10, "both in turn");
        // Pseudo-random number generator (Knuth's MMIX).
        let mut state = 7_u64;
        let random = |_, keys: &[String]| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % (keys.len() + 1)
        };
        assert!(longest_key(random) <= 24, "anywhere");
    }

    #[test]
    fn halving_a_gap_adds_an_integer_every_eleven_moves() {
        let (mut lower, mut upper) = (after(""), after("a0"));
        let mut moves = 0;
        while upper.len().max(lower.len()) <= MAX_LEN {
            let key = between(Some(&lower), Some(&upper));
            assert!(lower < key && key < upper, "{lower} {key} {upper}");
            *(if moves % 2 == 0 { &mut lower } else { &mut upper }) = key;
            moves += 1;
        }
        assert!(moves >= 150, "{moves}");
    }

    #[test]
    fn distributed_keys_are_ordered_and_short() {
        for (lower, upper) in [(None, None), (Some("a0"), None), (None, Some("a0")), (Some("a0"), Some("a1"))] {
            let keys = distribute(lower, upper, 500, &HashSet::new());
            assert_eq!(keys.len(), 500);
            assert!(keys.is_sorted(), "{keys:?}");
            assert!(keys.iter().all(|key| key.len() <= 12), "{keys:?}");
            let all: Vec<&str> = lower.into_iter().chain(keys.iter().map(String::as_str)).chain(upper).collect();
            assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        }
    }

    #[test]
    fn distributed_keys_avoid_keys_in_use() {
        let plain = distribute(Some("a0"), Some("a1"), 20, &HashSet::new());
        for count in [1, 5, 20] {
            let in_use: HashSet<&str> = plain.iter().map(String::as_str).collect();
            let keys = distribute(Some("a0"), Some("a1"), count, &in_use);
            assert_eq!(keys.len(), count);
            assert!(keys.is_sorted() && keys.iter().all(|key| !in_use.contains(key.as_str())), "{keys:?}");
        }
    }
}
