//! The operator of the server, who administers it from the command line.

use std::fmt;

/// Operating-system user who runs an administrative command, for the log and the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);

impl Operator {
    /// Maximum number of characters of a name.
    const MAX_LENGTH: usize = 100;

    /// Creates an operator by name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.chars().filter(|character| !character.is_control()).take(Self::MAX_LENGTH).collect())
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
