//! Error formatting for logs.

/// Returns the message of an error, followed by the messages of its causes.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let said = cause.to_string();
        // Some libraries repeat the cause in their own message.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
    }
    text
}
