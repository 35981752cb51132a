//! Errors of sending e-mails.

/// Reason why an e-mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The settings are invalid.
    #[error("{0}")]
    Settings(String),
    /// The server rejected the e-mail permanently.
    #[error("the e-mail was rejected permanently")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The e-mail could not be rendered.
    #[error(transparent)]
    Template(#[from] askama::Error),
    /// Another attempt may succeed.
    #[error("the e-mail could not be sent")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}
