//! What the links in mails lead to, where no front end answers at their addresses.
//!
//! A page does nothing until somebody presses its button: programs that check mails open every link in them. A token
//! stays in the address, which is neither kept, nor told to others, nor logged. An invitation has none: who answers it
//! logs in.

use std::sync::OnceLock;

use poem::http::{HeaderName, header};

use super::{AssetRoute, CSS, HTML, SCRIPT, StaticAsset};

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
pub(in crate::api) struct LandingPages {
    verify_email: OnceLock<StaticAsset>,
    reset_password: OnceLock<StaticAsset>,
    invitation: OnceLock<StaticAsset>,
    start: OnceLock<StaticAsset>,
    answer: OnceLock<StaticAsset>,
    style: OnceLock<StaticAsset>,
}

impl LandingPages {
    /// What there is at a path, if a link in a mail leads there.
    pub(in crate::api) fn lookup(&self, path: &str) -> Option<AssetRoute<'_>> {
        let html = |plain: &[u8]| StaticAsset::new(HTML, plain).with_headers(HEADERS);
        let page = match path {
            "/verify-email" => {
                self.verify_email.get_or_init(|| html(include_bytes!("landing_pages/verify-email.html")))
            }
            "/reset-password" => {
                self.reset_password.get_or_init(|| html(include_bytes!("landing_pages/reset-password.html")))
            }
            "/invitation" => self.invitation.get_or_init(|| html(include_bytes!("landing_pages/invitation.html"))),
            "/mail-pages/invitation.js" => {
                self.answer.get_or_init(|| StaticAsset::new(SCRIPT, include_bytes!("landing_pages/invitation.js")))
            }
            "/mail-pages/start.js" => {
                self.start.get_or_init(|| StaticAsset::new(SCRIPT, include_bytes!("landing_pages/start.js")))
            }
            "/mail-pages/style.css" => {
                self.style.get_or_init(|| StaticAsset::new(CSS, include_bytes!("landing_pages/style.css")))
            }
            _ => return None,
        };
        Some(AssetRoute::Asset(page))
    }
}
