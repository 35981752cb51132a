//! The e-mails: their data, subjects and templates. Times are formatted for the recipient.

use askama::Template;

use super::error::MailError;
use super::single_line::SingleLine;
use crate::contract::{ApiTokenId, WebhookId};

/// A rendered e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailContent {
    /// Subject line.
    pub subject: &'static str,
    /// Text part.
    pub text: String,
    /// HTML part.
    pub html: String,
}

macro_rules! email_templates {
    ($($(#[$doc:meta])* $email:ident($subject:literal, $text:literal, $html:literal) { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $email {
            $(pub(crate) $field: $type,)*
        }

        impl $email {
            pub(crate) fn render(&self) -> Result<EmailContent, MailError> {
                #[derive(Template)]
                #[template(path = $text, config = "src/mail/askama.toml")]
                struct Text<'m> {
                    mail: &'m $email,
                }

                #[derive(Template)]
                #[template(path = $html, config = "src/mail/askama.toml")]
                struct Html<'m> {
                    mail: &'m $email,
                    subject: &'static str,
                }

                let text = Text { mail: self }.render()?;
                let html = Html { mail: self, subject: $subject }.render()?;
                Ok(EmailContent { subject: $subject, text, html })
            }
        }
    )*};
}

email_templates! {
    WelcomeEmail("Welcome to Pocket Tasks", "welcome.txt", "welcome.html") {
        name: SingleLine,
        home: String,
    }

    VerificationEmail("Confirm your e-mail address", "verification.txt", "verification.html") {
        name: SingleLine,
        link: String,
        disown_link: String,
    }

    PasswordResetEmail("Set a new password", "password_reset.txt", "password_reset.html") {
        name: SingleLine,
        link: String,
    }

    /// Project invitation. `inviter` is unset if the names must not be shown.
    InvitationEmail("You are invited to a project", "invitation.txt", "invitation.html") {
        name: SingleLine,
        inviter: Option<Inviter>,
        can_edit: bool,
        address: SingleLine,
        link: String,
    }

    /// Notice that a webhook was disabled. `reason` is a sentence of ours; `url` is unset if it must not be shown.
    WebhookDisabledEmail("A webhook was disabled", "webhook_disabled.txt", "webhook_disabled.html") {
        name: SingleLine,
        url: Option<SingleLine>,
        reason: String,
        id: WebhookId,
    }

    /// Notice of a password change, which revokes tokens, webhooks and invitations only on request (`revoked_all`).
    PasswordChangedEmail("Your password was changed", "password_changed.txt", "password_changed.html") {
        name: SingleLine,
        at: String,
        revoked_all: bool,
        home: String,
    }

    PasswordResetDoneEmail("Your password was reset", "password_reset_done.txt", "password_reset_done.html") {
        name: SingleLine,
        at: String,
        home: String,
    }

    /// Notice of many failed logins.
    FailedLoginsEmail("Many failed logins to your account", "failed_logins.txt", "failed_logins.html") {
        name: SingleLine,
        at: String,
        home: String,
    }

    /// Notice that an API token was created. `token` is its name, unset if it must not be shown.
    ApiTokenCreatedEmail("A new API token was created", "api_token_created.txt", "api_token_created.html") {
        name: SingleLine,
        at: String,
        token: Option<SingleLine>,
        id: ApiTokenId,
        home: String,
    }

    /// Notice that a webhook was created or its URL changed. `url` is unset if it must not be shown.
    WebhookCreatedEmail("A webhook sends to a new address", "webhook_created.txt", "webhook_created.html") {
        name: SingleLine,
        at: String,
        url: Option<SingleLine>,
        id: WebhookId,
        home: String,
    }

    DigestEmail("Your week in Pocket Tasks", "digest.txt", "digest.html") {
        name: SingleLine,
        assigned: DigestTasks,
        unassigned: DigestTasks,
        projects: Vec<DigestProject>,
        home: String,
    }
}

#[derive(Debug)]
pub(crate) struct Inviter {
    pub(crate) name: SingleLine,
    pub(crate) email: SingleLine,
    pub(crate) project: SingleLine,
}

/// Due tasks of a digest: the first ones and the number of further ones, which may be a lower bound.
#[derive(Debug)]
pub(crate) struct DigestTasks {
    pub(crate) first: Vec<DigestTask>,
    pub(crate) more: u64,
    pub(crate) more_is_exact: bool,
}

#[derive(Debug)]
pub(crate) struct DigestTask {
    pub(crate) title: SingleLine,
    /// Due time in the timezone of the user.
    pub(crate) due: String,
    pub(crate) is_overdue: bool,
}

#[derive(Debug)]
pub(crate) struct DigestProject {
    pub(crate) name: SingleLine,
    pub(crate) done: i64,
    pub(crate) total: i64,
}

#[cfg(test)]
mod tests {
    use super::super::Links;
    use super::*;
    use crate::contract::InvitationId;

    const HOSTILE: &str = "<script>alert(1)</script> & \"friends\"\r\nBcc: all@example.com";

    fn all() -> Vec<EmailContent> {
        let links = Links::new("https://tasks.example");
        let name = || SingleLine::new(HOSTILE);
        vec![
            WelcomeEmail { name: name(), home: links.home() }.render().unwrap(),
            verification(&links).render().unwrap(),
            PasswordResetEmail { name: name(), link: links.reset_password("mt_abc") }.render().unwrap(),
            digest(&links).render().unwrap(),
            webhook_disabled(Some(name())).render().unwrap(),
            PasswordChangedEmail { name: name(), at: at(), revoked_all: true, home: links.home() }.render().unwrap(),
            PasswordResetDoneEmail { name: name(), at: at(), home: links.home() }.render().unwrap(),
            FailedLoginsEmail { name: name(), at: at(), home: links.home() }.render().unwrap(),
            api_token_created(Some(name())).render().unwrap(),
            webhook_created(Some(name())).render().unwrap(),
            invitation(Some(Inviter { name: name(), email: name(), project: name() })).render().unwrap(),
        ]
    }

    fn digest(links: &Links) -> DigestEmail {
        let name = || SingleLine::new(HOSTILE);
        let task = || DigestTask { title: name(), due: "Mon 23 Nov, 18:00".to_owned(), is_overdue: true };
        DigestEmail {
            name: name(),
            assigned: DigestTasks { first: vec![task()], more: 3, more_is_exact: true },
            unassigned: DigestTasks { first: vec![task()], more: 990, more_is_exact: false },
            projects: vec![DigestProject { name: name(), done: 5, total: 12 }],
            home: links.home(),
        }
    }

    #[test]
    fn a_digest_says_whether_it_counted_all_due_tasks() {
        let mail = digest(&Links::new("https://tasks.example")).render().unwrap();
        for part in [mail.text, mail.html] {
            assert!(part.contains("and 3 more") && part.contains("and at least 990 more"), "{part}");
        }
    }

    fn verification(links: &Links) -> VerificationEmail {
        VerificationEmail {
            name: SingleLine::new(HOSTILE),
            link: links.verify_email("mt_abc"),
            disown_link: links.disown_account("mt_abc"),
        }
    }

    fn at() -> String {
        "9 November 2026, 19:43:52 UTC".to_owned()
    }

    fn api_token_created(token: Option<SingleLine>) -> ApiTokenCreatedEmail {
        let home = "https://tasks.example".to_owned();
        ApiTokenCreatedEmail { name: SingleLine::new(HOSTILE), at: at(), token, id: ApiTokenId::generate(), home }
    }

    fn webhook_created(url: Option<SingleLine>) -> WebhookCreatedEmail {
        let home = "https://tasks.example".to_owned();
        WebhookCreatedEmail { name: SingleLine::new(HOSTILE), at: at(), url, id: WebhookId::generate(), home }
    }

    #[test]
    fn a_security_email_states_what_happened_and_what_to_do() {
        let home = || "https://tasks.example".to_owned();
        let token = api_token_created(Some(SingleLine::new("Backup script")));
        let webhook = webhook_created(Some(SingleLine::new("https://example.com/hook")));
        let changed =
            |revoked_all| PasswordChangedEmail { name: SingleLine::new("Ada"), at: at(), revoked_all, home: home() };
        let (token_id, webhook_id) = (token.id.to_string(), webhook.id.to_string());
        for (mail, parts) in [
            (changed(false).render(), ["was changed on", "logged out", "API tokens and webhooks still work"]),
            (changed(true).render(), ["was changed on", "API tokens were revoked", "webhooks were disabled"]),
            (
                PasswordResetDoneEmail { name: SingleLine::new("Ada"), at: at(), home: home() }.render(),
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

    fn webhook_disabled(url: Option<SingleLine>) -> WebhookDisabledEmail {
        let reason = "Every attempt has failed for five days.".to_owned();
        WebhookDisabledEmail { name: SingleLine::new(HOSTILE), url, reason, id: WebhookId::generate() }
    }

    #[test]
    fn a_webhook_disabled_email_names_the_webhook_and_the_reason() {
        let named = webhook_disabled(Some(SingleLine::new("https://example.com/hook")));
        let mail = named.render().unwrap();
        for part in ["https://example.com/hook", "Every attempt has failed for five days.", &named.id.to_string()] {
            assert!(mail.text.contains(part) && mail.html.contains(part), "{part}: {}", mail.text);
        }
        let mail = webhook_disabled(None).render().unwrap();
        assert!(!mail.text.contains("sends to") && !mail.html.contains("sends to"), "{}", mail.text);
    }

    fn invitation(inviter: Option<Inviter>) -> InvitationEmail {
        let id = InvitationId::generate();
        let (name, address) = (SingleLine::new(HOSTILE), SingleLine::new("grace@example.com"));
        InvitationEmail {
            name,
            inviter,
            can_edit: true,
            address,
            link: Links::new("https://tasks.example").invitation(id),
        }
    }

    #[test]
    fn an_invitation_email_names_the_project_and_the_rights() {
        let named = Inviter {
            name: SingleLine::new("Ada"),
            email: SingleLine::new("ada@example.com"),
            project: SingleLine::new("Kitchen"),
        };
        let mail = invitation(Some(named)).render().unwrap();
        assert!(mail.text.contains("Ada (ada@example.com) invites you to the project \"Kitchen\""), "{}", mail.text);
        assert!(
            mail.text.contains("You will be able to read it, change its tasks and comment on them."),
            "{}",
            mail.text
        );
        assert!(mail.text.contains("The invitation is for grace@example.com"), "{}", mail.text);
        let viewer = InvitationEmail { can_edit: false, ..invitation(None) };
        let mail = viewer.render().unwrap();
        assert!(mail.text.contains("Someone invites you to a project"), "{}", mail.text);
        assert!(mail.text.contains("You will be able to read it."), "{}", mail.text);
        assert!(mail.text.lines().any(|line| line == viewer.link), "{}", mail.text);
        assert!(mail.html.contains(&format!("href=\"{}\"", viewer.link)), "{}", mail.html);
    }

    #[test]
    fn user_input_is_escaped() {
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
        let [_, verification, reset, ..] = <[EmailContent; 11]>::try_from(all()).unwrap();
        for (mail, link) in [
            (&verification, "https://tasks.example/verify-email#token=mt_abc"),
            (&verification, "https://tasks.example/disown-account#token=mt_abc"),
            (&reset, "https://tasks.example/reset-password#token=mt_abc"),
        ] {
            assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
            assert!(mail.html.contains(&format!("href=\"{link}\"")), "{}", mail.html);
        }
    }
}
