//! What the links in mails lead to, where no front end answers at their addresses.
//!
//! A page does nothing until somebody presses its button: programs that check mails open every link in them. A token
//! stays in the address, which is neither kept, nor told to others, nor logged. An invitation has none: who answers it
//! logs in.

use std::sync::OnceLock;

use poem::http::{HeaderName, header};

use super::pages::{CSS, HTML, Page, Place, SCRIPT};

/// Only what this server serves may run or be loaded, and nothing be asked of another one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: &[(HeaderName, &str)] = &[
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The pages.
#[derive(Default)]
pub(super) struct MailPages {
    verify_email: OnceLock<Page>,
    reset_password: OnceLock<Page>,
    invitation: OnceLock<Page>,
    start: OnceLock<Page>,
    answer: OnceLock<Page>,
    style: OnceLock<Page>,
}

impl MailPages {
    /// What there is at a path, if a link in a mail leads there.
    pub(super) fn at(&self, path: &str) -> Option<Place<'_>> {
        let html = |plain: &[u8]| Page::new(HTML, plain).with_headers(HEADERS);
        let page = match path {
            "/verify-email" => self.verify_email.get_or_init(|| html(include_bytes!("mail_pages/verify-email.html"))),
            "/reset-password" => {
                self.reset_password.get_or_init(|| html(include_bytes!("mail_pages/reset-password.html")))
            }
            "/invitation" => self.invitation.get_or_init(|| html(include_bytes!("mail_pages/invitation.html"))),
            "/mail-pages/invitation.js" => {
                self.answer.get_or_init(|| Page::new(SCRIPT, include_bytes!("mail_pages/invitation.js")))
            }
            "/mail-pages/start.js" => {
                self.start.get_or_init(|| Page::new(SCRIPT, include_bytes!("mail_pages/start.js")))
            }
            "/mail-pages/style.css" => {
                self.style.get_or_init(|| Page::new(CSS, include_bytes!("mail_pages/style.css")))
            }
            _ => return None,
        };
        Some(Place::Page(page))
    }
}
