//! Output of the command line.

use std::io::Write as _;

/// Prints a line to standard output.
pub(super) fn print_line(text: &str) {
    // `println!` would panic if the reader, such as `head`, closes the pipe.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints to standard error.
#[expect(clippy::print_stderr, reason = "error output of the command line")]
pub(super) fn print_error(text: &str) {
    eprint!("{text}");
}
