//! How mail leaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Content, Line};
use crate::contract::strings::Email;

/// How long connecting to the server may take.
const CONNECTING_PATIENCE: Duration = Duration::from_secs(10);

/// How long a whole mail may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where mail goes, and whom it is from.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// `smtp://`, `smtps://` or `smtp+starttls://`; may hold a password. `None`: mails are written to the folder.
    pub smtp_url: Option<SecretString>,
    /// The sender, such as `Pocket Tasks <no-reply@example.com>`.
    pub from: String,
    /// The folder for mails that are not sent.
    pub folder: PathBuf,
}

/// To whom a mail goes.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The name that is shown, if any.
    pub name: Option<Line>,
    /// The address.
    pub email: Email,
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The settings are not right; what about them.
    #[error("{0}")]
    Settings(String),
    /// This mail will never leave.
    #[error("the mail is refused for good")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may leave another time.
    #[error("the mail did not leave")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends mail.
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Folder(PathBuf),
}

impl MailSettings {
    /// Finds out whether the server is written as it should be.
    pub fn check_server(&self) -> Result<(), MailError> {
        self.smtp_url.as_ref().map_or(Ok(()), |url| smtp(url).map(drop))
    }

    /// Finds out whether the sender is written as it should be.
    pub fn check_sender(&self) -> Result<(), MailError> {
        sender(&self.from).map(drop)
    }
}

fn sender(from: &str) -> Result<Mailbox, MailError> {
    from.parse().map_err(|_| MailError::Settings("must be like Pocket Tasks <no-reply@example.com>".to_owned()))
}

fn smtp(url: &SecretString) -> Result<lettre::transport::smtp::AsyncSmtpTransportBuilder, MailError> {
    let url = url.expose_secret();
    let wrong = || {
        // The library's own words may have the password in them.
        MailError::Settings(
            "must be like smtp://host:25, smtps://user:password@host or smtp+starttls://user:password@host".into(),
        )
    };
    let url = match url.split_once("://").ok_or_else(wrong)? {
        ("smtp" | "smtps", rest) if is_plain(rest) => url.to_owned(),
        ("smtp+starttls", rest) if is_plain(rest) => format!("smtp://{rest}?tls=required"),
        _ => return Err(wrong()),
    };
    AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(|error| {
        let untrusting =
            || MailError::Settings("requires TLS, but the system certificates could not be loaded".to_owned());
        if error.is_tls() { untrusting() } else { wrong() }
    })
}

/// Whether there is nothing but a host, perhaps a port, and perhaps a user with a password: the library would read more
/// into the rest, or pass over a user who has none.
fn is_plain(rest: &str) -> bool {
    let credentials = rest.rsplit_once('@').map(|(credentials, _)| credentials);
    !rest.contains(['?', '#']) && credentials.is_none_or(|credentials| credentials.contains(':'))
}

impl Mailer {
    /// Makes ready to send; connects only when there is something to send.
    pub fn new(settings: &MailSettings) -> Result<Self, MailError> {
        let transport = match &settings.smtp_url {
            // Each mail has a connection of its own. The library's pool takes back those on which a mail was given up
            // half way: the next one would then read the answers to that, and count as taken when it is refused.
            Some(url) => Transport::Smtp(Box::new(smtp(url)?.timeout(Some(CONNECTING_PATIENCE)).build())),
            None => Transport::Folder(settings.folder.clone()),
        };
        Ok(Self { from: sender(&settings.from)?, transport })
    }

    /// Sends a mail. `id` tells it from all others, and is the same whenever it is sent again.
    pub async fn send(&self, id: Uuid, to: &Recipient, content: Content) -> Result<(), MailError> {
        let message = self.message(id, to, content)?;
        match &self.transport {
            Transport::Folder(folder) => write(folder, id, &message.formatted()).await.map_err(failed),
            Transport::Smtp(smtp) => match timeout(PATIENCE, smtp.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) if is_final(&error) => Err(MailError::Refused(Box::new(error))),
                Ok(Err(error)) => Err(failed(error)),
                Err(elapsed) => Err(failed(elapsed)),
            },
        }
    }

    fn message(&self, id: Uuid, to: &Recipient, content: Content) -> Result<Message, MailError> {
        let refused = |error: Box<dyn std::error::Error + Send + Sync>| MailError::Refused(error);
        let address: Address = to.email.parse().map_err(|error| refused(Box::new(error)))?;
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(to.name.as_ref().map(ToString::to_string), address))
            .subject(content.subject)
            // RFC 3834: nobody's absence note is to answer it.
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(content.text, content.html))
            .map_err(|error| refused(Box::new(error)))
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> MailError {
    MailError::Failed(Box::new(error))
}

/// Whether the server said that it will never take this mail (RFC 5321, section 4.2.1). Refusals of the sender's own
/// account (53x) are the operator's to mend, so that the mail can leave then.
fn is_final(error: &lettre::transport::smtp::Error) -> bool {
    error.is_permanent() && error.status().is_none_or(|code| u16::from(code) / 10 != 53)
}

/// Marks a mail as sent by a program.
#[derive(Clone, Copy)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Writes a mail to a folder that only its owner can look into; all of it or nothing, and the same mail once.
async fn write(folder: &Path, id: Uuid, mail: &[u8]) -> std::io::Result<()> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).await?;
    let draft = folder.join(format!("{id}.draft"));
    tokio::fs::write(&draft, mail).await?;
    tokio::fs::rename(&draft, folder.join(format!("{id}.eml"))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(smtp_url: Option<&str>, from: &str) -> MailSettings {
        MailSettings { smtp_url: smtp_url.map(Into::into), from: from.to_owned(), folder: "unused".into() }
    }

    #[test]
    fn settings_are_checked_without_a_word_about_secrets() {
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
    async fn a_mail_is_written_once_however_often_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let settings = MailSettings { folder: folder.path().join("mail"), ..settings(None, "Tasks <t@example.com>") };
        let mailer = Mailer::new(&settings).unwrap();
        let to = Recipient {
            name: Some(Line::new("Zoë \"Z\" <z@evil.example>\r\nBcc: x@y.zz")),
            email: Email::new_unchecked("zoe@example.com"),
        };
        let content = Content { subject: "Hello", text: "text, für Zoë".to_owned(), html: "<p>html</p>".to_owned() };
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
        }
    }
}
