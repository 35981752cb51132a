//! What mails say.

use askama::Template;

use super::Line;
use crate::contract::{ApiTokenId, InvitationId, WebhookId};

/// Where the links of mails lead.
#[derive(Debug, Clone)]
pub struct Links(String);

impl Links {
    /// Links below an address without a slash at the end.
    #[must_use]
    pub fn new(public_url: &str) -> Self {
        Self(public_url.to_owned())
    }

    /// The place itself.
    #[must_use]
    pub fn home(&self) -> String {
        self.0.clone()
    }

    /// Where an address is proved.
    #[must_use]
    pub fn verify_email(&self, token: &str) -> String {
        format!("{}/verify-email?token={token}", self.0)
    }

    /// Where an invitation is answered.
    #[must_use]
    pub fn invitation(&self, id: InvitationId) -> String {
        format!("{}/invitation?id={id}", self.0)
    }

    /// Where another password is set.
    #[must_use]
    pub fn reset_password(&self, token: &str) -> String {
        format!("{}/reset-password?token={token}", self.0)
    }
}

/// A subject, and the same mail twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The subject, of one line.
    pub subject: &'static str,
    /// For programs that show text.
    pub text: String,
    /// For programs that show HTML.
    pub html: String,
}

/// Welcomes a new user.
#[derive(Debug)]
pub struct Welcome {
    /// Whom.
    pub name: Line,
    /// Where the user can begin.
    pub home: String,
}

/// Asks for a proof of the address.
#[derive(Debug)]
pub struct Verification {
    /// Whom.
    pub name: Line,
    /// Proves it.
    pub link: String,
}

/// Lets somebody set another password.
#[derive(Debug)]
pub struct PasswordReset {
    /// Whom.
    pub name: Line,
    /// Leads to where it is set.
    pub link: String,
}

/// Invites somebody into a project.
#[derive(Debug)]
pub struct Invitation {
    /// Whom.
    pub name: Line,
    /// Who invites, and into what, if that may be told.
    pub inviter: Option<Inviter>,
    /// Whether who accepts may change tasks.
    pub can_edit: bool,
    /// The address that is invited.
    pub address: Line,
    /// Leads to where it is answered.
    pub link: String,
}

/// Tells that a webhook gets no more events.
#[derive(Debug)]
pub struct WebhookDisabled {
    /// Whom.
    pub name: Line,
    /// Where the events went to, if that may be told.
    pub url: Option<Line>,
    /// Why: a sentence of ours.
    pub reason: String,
    /// Which webhook.
    pub id: WebhookId,
}

/// Notice that the password of an account was changed.
#[derive(Debug)]
pub struct PasswordChanged {
    /// The name of the recipient.
    pub name: Line,
    /// The time of the change.
    pub at: String,
    /// True if API tokens, webhooks and invitations were revoked along with the sessions.
    pub revoked_all: bool,
    /// The address of the service.
    pub home: String,
}

/// Notice that the password of an account was reset.
#[derive(Debug)]
pub struct PasswordResetDone {
    /// The name of the recipient.
    pub name: Line,
    /// The time of the reset.
    pub at: String,
    /// The address of the service.
    pub home: String,
}

/// Notice that an API token was created.
#[derive(Debug)]
pub struct ApiTokenCreated {
    /// The name of the recipient.
    pub name: Line,
    /// The time of its creation.
    pub at: String,
    /// The name of the token, if it may be shown.
    pub token: Option<Line>,
    /// The id of the token.
    pub id: ApiTokenId,
    /// The address of the service.
    pub home: String,
}

/// Notice that a webhook was created, or that its address was changed.
#[derive(Debug)]
pub struct WebhookCreated {
    /// The name of the recipient.
    pub name: Line,
    /// The time of the change.
    pub at: String,
    /// The address it sends events to, if that may be shown.
    pub url: Option<Line>,
    /// The id of the webhook.
    pub id: WebhookId,
    /// The address of the service.
    pub home: String,
}

/// Who invites, and into what.
#[derive(Debug)]
pub struct Inviter {
    /// What the user is called.
    pub name: Line,
    /// The address of the user.
    pub email: Line,
    /// What the project is called.
    pub project: Line,
}

/// Tells what a week brings.
#[derive(Debug)]
pub struct Digest {
    /// Whom.
    pub name: Line,
    /// The user's own tasks.
    pub mine: DigestTasks,
    /// Tasks that nobody has taken.
    pub nobodys: DigestTasks,
    /// How far projects are.
    pub projects: Vec<DigestProject>,
    /// Where to go on.
    pub home: String,
}

/// Tasks that are due.
#[derive(Debug)]
pub struct DigestTasks {
    /// The first ones.
    pub first: Vec<DigestTask>,
    /// How many more there are.
    pub more: u64,
}

/// A task that is due.
#[derive(Debug)]
pub struct DigestTask {
    /// What it is called.
    pub title: Line,
    /// When it is due, where the user lives.
    pub due: String,
    /// Whether that is over.
    pub is_overdue: bool,
}

/// How far a project is.
#[derive(Debug)]
pub struct DigestProject {
    /// What it is called.
    pub name: Line,
    /// How many of its tasks are done.
    pub done: i64,
    /// How many tasks it has.
    pub total: i64,
}

macro_rules! rendered {
    ($($mail:ident: $subject:literal, $text:literal, $html:literal;)*) => {$(
        impl $mail {
            /// Writes the mail.
            pub fn render(&self) -> Result<Content, askama::Error> {
                #[derive(Template)]
                #[template(path = $text, config = "src/mail/askama.toml")]
                struct Text<'m> {
                    mail: &'m $mail,
                }

                #[derive(Template)]
                #[template(path = $html, config = "src/mail/askama.toml")]
                struct Html<'m> {
                    mail: &'m $mail,
                    subject: &'static str,
                }

                let text = Text { mail: self }.render()?;
                let html = Html { mail: self, subject: $subject }.render()?;
                Ok(Content { subject: $subject, text, html })
            }
        }
    )*};
}

rendered! {
    Welcome: "Welcome to Pocket Tasks", "welcome.txt", "welcome.html";
    Verification: "Confirm your e-mail address", "verification.txt", "verification.html";
    PasswordReset: "Set a new password", "password_reset.txt", "password_reset.html";
    Invitation: "You are invited to a project", "invitation.txt", "invitation.html";
    WebhookDisabled: "A webhook was disabled", "webhook_disabled.txt", "webhook_disabled.html";
    PasswordChanged: "Your password was changed", "password_changed.txt", "password_changed.html";
    PasswordResetDone: "Your password was reset", "password_reset_done.txt", "password_reset_done.html";
    ApiTokenCreated: "A new API token was created", "api_token_created.txt", "api_token_created.html";
    WebhookCreated: "A webhook sends to a new address", "webhook_created.txt", "webhook_created.html";
    Digest: "Your week in Pocket Tasks", "digest.txt", "digest.html";
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "<script>alert(1)</script> & \"friends\"\r\nBcc: all@example.com";

    fn all() -> Vec<Content> {
        let links = Links::new("https://tasks.example");
        let name = || Line::new(HOSTILE);
        let task = || DigestTask { title: name(), due: "Mon 23 Nov, 18:00".to_owned(), is_overdue: true };
        let tasks = || DigestTasks { first: vec![task()], more: 3 };
        let digest = Digest {
            name: name(),
            mine: tasks(),
            nobodys: tasks(),
            projects: vec![DigestProject { name: name(), done: 5, total: 12 }],
            home: links.home(),
        };
        vec![
            Welcome { name: name(), home: links.home() }.render().unwrap(),
            Verification { name: name(), link: links.verify_email("mt_abc") }.render().unwrap(),
            PasswordReset { name: name(), link: links.reset_password("mt_abc") }.render().unwrap(),
            digest.render().unwrap(),
            webhook_disabled(Some(name())).render().unwrap(),
            PasswordChanged { name: name(), at: at(), revoked_all: true, home: links.home() }.render().unwrap(),
            PasswordResetDone { name: name(), at: at(), home: links.home() }.render().unwrap(),
            api_token_created(Some(name())).render().unwrap(),
            webhook_created(Some(name())).render().unwrap(),
            invitation(Some(Inviter { name: name(), email: name(), project: name() })).render().unwrap(),
        ]
    }

    fn at() -> String {
        "9 November 2026, 19:43:52 UTC".to_owned()
    }

    fn api_token_created(token: Option<Line>) -> ApiTokenCreated {
        let home = "https://tasks.example".to_owned();
        ApiTokenCreated { name: Line::new(HOSTILE), at: at(), token, id: ApiTokenId::generate(), home }
    }

    fn webhook_created(url: Option<Line>) -> WebhookCreated {
        let home = "https://tasks.example".to_owned();
        WebhookCreated { name: Line::new(HOSTILE), at: at(), url, id: WebhookId::generate(), home }
    }

    #[test]
    fn a_security_notice_says_what_happened_when_and_what_to_do() {
        let home = || "https://tasks.example".to_owned();
        let token = api_token_created(Some(Line::new("Backup script")));
        let webhook = webhook_created(Some(Line::new("https://example.com/hook")));
        let changed = |revoked_all| PasswordChanged { name: Line::new("Ada"), at: at(), revoked_all, home: home() };
        let (token_id, webhook_id) = (token.id.to_string(), webhook.id.to_string());
        for (mail, parts) in [
            (changed(false).render(), ["was changed on", "logged out", "API tokens and webhooks still work"]),
            (changed(true).render(), ["was changed on", "API tokens were revoked", "webhooks were disabled"]),
            (
                PasswordResetDone { name: Line::new("Ada"), at: at(), home: home() }.render(),
                ["was reset on", "API tokens were revoked", "webhooks were disabled"],
            ),
            (token.render(), ["was created", "Backup script", &token_id]),
            (webhook.render(), ["was created", "https://example.com/hook", &webhook_id]),
        ] {
            let mail = mail.unwrap();
            let all = ["9 November 2026, 19:43:52 UTC", "POST /v1/auth/forgot-password", "https://tasks.example"];
            for part in parts.into_iter().chain(all) {
                let has = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").contains(part);
                assert!(has(&mail.text) && has(&mail.html), "{part}: {}", mail.text);
            }
        }
        let (token, webhook) = (api_token_created(None).render().unwrap(), webhook_created(None).render().unwrap());
        assert!(!token.text.contains("named") && !webhook.text.contains("sends events to"), "{}", webhook.text);
    }

    fn webhook_disabled(url: Option<Line>) -> WebhookDisabled {
        let reason = "Every attempt has failed for five days.".to_owned();
        WebhookDisabled { name: Line::new(HOSTILE), url, reason, id: WebhookId::generate() }
    }

    #[test]
    fn who_has_a_webhook_is_told_which_was_disabled_and_why() {
        let named = webhook_disabled(Some(Line::new("https://example.com/hook")));
        let mail = named.render().unwrap();
        for part in ["https://example.com/hook", "Every attempt has failed for five days.", &named.id.to_string()] {
            assert!(mail.text.contains(part) && mail.html.contains(part), "{part}: {}", mail.text);
        }
        let mail = webhook_disabled(None).render().unwrap();
        assert!(!mail.text.contains("sends to") && !mail.html.contains("sends to"), "{}", mail.text);
    }

    fn invitation(inviter: Option<Inviter>) -> Invitation {
        let id = InvitationId::generate();
        let (name, address) = (Line::new(HOSTILE), Line::new("grace@example.com"));
        Invitation { name, inviter, can_edit: true, address, link: Links::new("https://tasks.example").invitation(id) }
    }

    #[test]
    fn an_invitation_says_what_it_is_for() {
        let named =
            Inviter { name: Line::new("Ada"), email: Line::new("ada@example.com"), project: Line::new("Kitchen") };
        let mail = invitation(Some(named)).render().unwrap();
        assert!(mail.text.contains("Ada (ada@example.com) invites you to the project \"Kitchen\""), "{}", mail.text);
        assert!(
            mail.text.contains("You will be able to read it, to change its tasks and to comment on them."),
            "{}",
            mail.text
        );
        assert!(mail.text.contains("The invitation is for grace@example.com"), "{}", mail.text);
        let viewer = Invitation { can_edit: false, ..invitation(None) };
        let mail = viewer.render().unwrap();
        assert!(mail.text.contains("somebody invites you to a project"), "{}", mail.text);
        assert!(mail.text.contains("You will be able to read it."), "{}", mail.text);
        assert!(mail.text.lines().any(|line| line == viewer.link), "{}", mail.text);
        assert!(mail.html.contains(&format!("href=\"{}\"", viewer.link)), "{}", mail.html);
    }

    #[test]
    fn what_users_typed_stays_text() {
        for mail in all() {
            assert!(!mail.html.contains("<script"), "{}", mail.html);
            assert!(mail.html.contains("&#60;script&#62;"), "{}", mail.html);
            assert!(mail.text.contains("<script>alert(1)</script> & \"friends\""), "{}", mail.text);
            assert!(!mail.text.lines().any(|line| line.starts_with("Bcc:")), "{}", mail.text);
            assert!(mail.html.contains(mail.subject), "{}", mail.html);
        }
    }

    #[test]
    fn links_end_with_the_token() {
        let [_, verification, reset, ..] = <[Content; 10]>::try_from(all()).unwrap();
        for (mail, link) in [
            (verification, "https://tasks.example/verify-email?token=mt_abc"),
            (reset, "https://tasks.example/reset-password?token=mt_abc"),
        ] {
            assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
            assert!(mail.html.contains(&format!("href=\"{link}\"")), "{}", mail.html);
        }
    }
}
