//! Reproducible pseudo-random choices.

use std::io::Write as _;
use std::thread;

/// `SplitMix64`, sufficient for choices in tests.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Starts with the seed in `SEED`, or a default. Other seeds explore other cases.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("SEED").map_or(20_261_122, |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    /// Starts with a given seed, such as one chosen for a concurrent task.
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

    /// Number from 0 up to but not including `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Returns true with this probability in percent.
    pub(crate) fn percent(&mut self, often: usize) -> bool {
        self.below(100) < often
    }

    /// One of the choices.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if thread::panicking() {
            // Printed for every failure, because any of them may depend on the seed.
            let _ = writeln!(std::io::stderr(), "\nReproduce with: SEED={}", self.seed);
        }
    }
}
