//! State that the handlers of all jobs share.

use crate::mail::{Links, Mailer};
use crate::services::Services;

/// Handlers of all kinds of jobs.
pub struct JobHandlers {
    pub(super) services: Services,
    pub(super) mailer: Mailer,
    pub(super) links: Links,
}

impl JobHandlers {
    /// Creates handlers that send e-mails with these links.
    #[must_use]
    pub const fn new(services: Services, mailer: Mailer, links: Links) -> Self {
        Self { services, mailer, links }
    }
}
