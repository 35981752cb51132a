//! Sends e-mails by SMTP, or writes them to a directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use uuid::Uuid;

use super::emails::EmailContent;
use super::error::MailError;
use super::single_line::SingleLine;
use crate::contract::strings::Email;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for a whole e-mail, connecting included.
const SEND_TIMEOUT: Duration = Duration::from_mins(1);

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// Settings for outgoing e-mail.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// `smtp://`, `smtps://` or `smtp+starttls://` URL, possibly with a password. Unset: e-mails go to the directory.
    pub smtp_url: Option<SecretString>,
    /// Sender, such as `Pocket Tasks <no-reply@example.com>`.
    pub from: String,
    /// Directory for e-mails if there is no SMTP server.
    pub directory: PathBuf,
}

/// Recipient of an e-mail.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Display name.
    pub name: Option<SingleLine>,
    /// Address.
    pub email: Email,
}

/// Sends e-mails.
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Directory(PathBuf),
}

impl MailSettings {
    /// Validates the SMTP URL.
    pub fn check_server(&self) -> Result<(), MailError> {
        self.smtp_url.as_ref().map_or(Ok(()), |url| smtp(url).map(drop))
    }

    /// Validates the sender.
    pub fn check_sender(&self) -> Result<(), MailError> {
        sender(&self.from).map(drop)
    }
}

fn sender(from: &str) -> Result<Mailbox, MailError> {
    from.parse().map_err(|_| MailError::Settings("must be like Pocket Tasks <no-reply@example.com>".to_owned()))
}

fn smtp(url: &SecretString) -> Result<lettre::transport::smtp::AsyncSmtpTransportBuilder, MailError> {
    let url = url.expose_secret();
    let malformed = || {
        // The library's own message may contain the password.
        MailError::Settings(
            "must be like smtp://host:25, smtps://user:password@host or smtp+starttls://user:password@host".into(),
        )
    };
    let url = match url.split_once("://").ok_or_else(malformed)? {
        ("smtp" | "smtps", rest) if has_only_host_and_credentials(rest) => url.to_owned(),
        ("smtp+starttls", rest) if has_only_host_and_credentials(rest) => format!("smtp://{rest}?tls=required"),
        _ => return Err(malformed()),
    };
    AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(|error| {
        if error.is_tls() {
            MailError::Settings("requires TLS, but the system certificates could not be loaded".to_owned())
        } else {
            malformed()
        }
    })
}

/// Returns whether a URL holds only a host, an optional port and optional credentials with a password. The library
/// interprets query and fragment, and ignores a user without a password.
fn has_only_host_and_credentials(rest: &str) -> bool {
    let credentials = rest.rsplit_once('@').map(|(credentials, _)| credentials);
    !rest.contains(['?', '#']) && credentials.is_none_or(|credentials| credentials.contains(':'))
}

impl Mailer {
    /// Creates a mailer, which connects when it sends.
    pub fn new(settings: &MailSettings) -> Result<Self, MailError> {
        let transport = match &settings.smtp_url {
            // One connection per e-mail: the library's pool reuses connections with an abandoned e-mail, whose replies
            // the next e-mail would take for its own.
            Some(url) => Transport::Smtp(Box::new(smtp(url)?.timeout(Some(CONNECT_TIMEOUT)).build())),
            None => Transport::Directory(settings.directory.clone()),
        };
        Ok(Self { from: sender(&settings.from)?, transport })
    }

    /// Sends an e-mail. `id` identifies it and stays the same across retries.
    pub async fn send(&self, id: Uuid, to: &Recipient, content: EmailContent) -> Result<(), MailError> {
        let message = self.message(id, to, content)?;
        match &self.transport {
            Transport::Directory(directory) => write(directory, id, &message.formatted()).await.map_err(failed),
            Transport::Smtp(smtp) => match timeout(SEND_TIMEOUT, smtp.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) if is_permanent_rejection(&error) => Err(MailError::Refused(Box::new(error))),
                Ok(Err(error)) => Err(failed(error)),
                Err(elapsed) => Err(failed(elapsed)),
            },
        }
    }

    fn message(&self, id: Uuid, to: &Recipient, content: EmailContent) -> Result<Message, MailError> {
        let refused = |error: Box<dyn std::error::Error + Send + Sync>| MailError::Refused(error);
        let address: Address = to.email.parse().map_err(|error| refused(Box::new(error)))?;
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(to.name.as_ref().map(ToString::to_string), address))
            .subject(content.subject)
            // RFC 3834: suppresses automatic replies.
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(content.text, content.html))
            .map_err(|error| refused(Box::new(error)))
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> MailError {
    MailError::Failed(Box::new(error))
}

/// Returns whether the server rejected the e-mail permanently (RFC 5321, section 4.2.1). Rejections of the sender's own
/// account (53x) count as transient, because the operator can fix them.
fn is_permanent_rejection(error: &lettre::transport::smtp::Error) -> bool {
    error.is_permanent() && error.status().is_none_or(|code| u16::from(code) / 10 != 53)
}

/// Writes an e-mail atomically to a file and directory that only their owner can read. The same id replaces the file.
async fn write(directory: &Path, id: Uuid, email: &[u8]) -> std::io::Result<()> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(directory).await?;
    let draft = directory.join(format!("{id}.draft"));
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&draft).await?;
    file.write_all(email).await?;
    file.flush().await?;
    tokio::fs::rename(&draft, directory.join(format!("{id}.eml"))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(smtp_url: Option<&str>, from: &str) -> MailSettings {
        MailSettings { smtp_url: smtp_url.map(Into::into), from: from.to_owned(), directory: "unused".into() }
    }

    #[test]
    fn invalid_settings_are_rejected_without_revealing_secrets() {
        for (url, from, is_right) in [
            (None, "Pocket Tasks <no-reply@localhost>", true),
            (Some("smtp://localhost:1025"), "tasks@example.com", true),
            (Some("smtps://user:hunter2@mail.example:465"), "tasks@example.com", true),
            (Some("smtp+starttls://user:hunter2@mail.example"), "tasks@example.com", true),
            (Some("http://user:hunter2@mail.example"), "tasks@example.com", false),
            (Some("smtp://user:hunter2@"), "tasks@example.com", false),
            (Some("smtp+starttls://user:hunter2@mail.example/#"), "tasks@example.com", false),
            (Some("smtp://hunter2@mail.example"), "tasks@example.com", false),
            (Some("smtp://host?tls=hunter2"), "tasks@example.com", false),
            (Some("hunter2"), "tasks@example.com", false),
            (None, "nobody", false),
        ] {
            let settings = settings(url, from);
            let checked = settings.check_server().and(settings.check_sender());
            assert_eq!(checked.is_ok(), is_right, "{url:?} {from}: {checked:?}");
            assert!(!format!("{checked:?}").contains("hunter2"), "{checked:?}");
        }
    }

    #[tokio::test]
    async fn an_email_is_written_once_even_if_it_is_sent_twice() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            MailSettings { directory: folder.path().join("mail"), ..settings(None, "Tasks <t@example.com>") };
        let mailer = Mailer::new(&settings).unwrap();
        let to = Recipient {
            name: Some(SingleLine::new("Zoë \"Z\" <z@evil.example>\r\nBcc: x@y.zz")),
            email: Email::new_unchecked("zoe@example.com"),
        };
        let content =
            EmailContent { subject: "Hello", text: "text, für Zoë".to_owned(), html: "<p>html</p>".to_owned() };
        let id = Uuid::from_u128(7);
        for _ in 0..2 {
            mailer.send(id, &to, content.clone()).await.unwrap();
        }
        let files: Vec<_> =
            std::fs::read_dir(folder.path().join("mail")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let mail = std::fs::read_to_string(&files[0]).unwrap();
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        for header in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@example.com>",
            "Auto-Submitted: auto-generated",
            "Subject: Hello",
        ] {
            assert!(head.lines().any(|line| line == header), "{head}");
        }
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.contains("<zoe@example.com>") && !head.contains("<z@evil"), "{head}");
        assert!(body.contains("text/plain") && body.contains("text/html"), "{body}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(folder.path().join("mail")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
