//! Mail: what it says, and how it leaves.
//!
//! Every mail has a text and an HTML part, from templates that escape what users typed. It leaves by SMTP, or where no
//! server is configured it is written to a folder. Sending is slow and fails: only jobs do it, outside of any
//! transaction.

mod line;
mod templates;
mod transport;

pub use line::Line;
pub use templates::{
    ApiTokenCreated, Content, Digest, DigestProject, DigestTask, DigestTasks, Invitation, Inviter, Links,
    PasswordChanged, PasswordReset, PasswordResetDone, Verification, WebhookCreated, WebhookDisabled, Welcome,
};
pub use transport::{MailError, MailSettings, Mailer, Recipient};
