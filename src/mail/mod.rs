//! E-mail: templates, and transports that send them.
//!
//! Each e-mail has a text and an HTML part from templates that escape user input. It is sent by SMTP, or written to a
//! directory if no SMTP server is configured. Sending is slow and can fail, so only jobs do it, outside transactions.

mod emails;
mod error;
mod links;
mod single_line;
mod transport;

pub use emails::EmailContent;
pub(crate) use emails::{
    ApiTokenCreatedEmail, DigestEmail, DigestProject, DigestTask, DigestTasks, FailedLoginsEmail, InvitationEmail,
    Inviter, PasswordChangedEmail, PasswordResetDoneEmail, PasswordResetEmail, VerificationEmail, WebhookCreatedEmail,
    WebhookDisabledEmail, WelcomeEmail,
};
pub use error::MailError;
pub use links::Links;
pub use single_line::SingleLine;
pub use transport::{MailSettings, Mailer, Recipient};
