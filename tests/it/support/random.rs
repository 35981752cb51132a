//! Choices that look random, and are the same again for the same seed.

use std::io::Write as _;
use std::thread;

/// `SplitMix64`: a few lines, and good enough to choose by.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Begins with the seed that `SEED` names, or the usual one: who looks for more faults runs the tests with others.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("SEED").map_or(20_261_122, |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    /// Begins with a number that another one chose, as for who does something at the same time.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0, below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(crate) fn percent(&mut self, often: usize) -> bool {
        self.below(100) < often
    }

    /// One of them.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if thread::panicking() {
            // Not by a message of one assertion: whatever fails, the seed is wanted.
            let _ = writeln!(std::io::stderr(), "\nAgain with the same choices: SEED={}", self.seed);
        }
    }
}
