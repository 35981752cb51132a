//! Security notices: e-mails about changes to how an account can be accessed.
//!
//! Deleted and disabled accounts receive none. The content is read when the e-mail is sent: the notice about an object that was
//! removed in the meantime is sent without its details.

use chrono::DateTime;

use super::emails::{active_user, greeting_name};
use super::job_handlers::JobHandlers;
use crate::contract::{ApiTokenId, Timestamp, UserId, WebhookId};
use crate::jobs::context::{JobContext, JobResult};
use crate::mail::{
    ApiTokenCreatedEmail, FailedLoginsEmail, PasswordChangedEmail, PasswordResetDoneEmail, SingleLine,
    WebhookCreatedEmail,
};

/// Subject of a security notice.
pub(super) enum SecurityNotice {
    PasswordChanged { revoked_all: bool },
    PasswordReset,
    FailedLogins,
    ApiTokenCreated(ApiTokenId),
    WebhookCreated(WebhookId),
}

impl JobHandlers {
    pub(super) async fn send_security_email(
        &self,
        user: UserId,
        at: i64,
        notice: SecurityNotice,
        context: &JobContext,
    ) -> JobResult {
        let Some(user) = active_user(user, context).await? else { return Ok(()) };
        let (name, at, home) = (greeting_name(&user), format_utc(Timestamp(at)), self.links.home());
        let email = match notice {
            SecurityNotice::PasswordChanged { revoked_all } => {
                PasswordChangedEmail { name, at, revoked_all, home }.render()
            }
            SecurityNotice::PasswordReset => PasswordResetDoneEmail { name, at, home }.render(),
            SecurityNotice::FailedLogins => FailedLoginsEmail { name, at, home }.render(),
            SecurityNotice::ApiTokenCreated(id) => {
                let found = context.store.read().api_tokens().find(id).await?;
                let token = found.filter(|_| user.email_verified).map(|found| SingleLine::new(&found.token.name));
                ApiTokenCreatedEmail { name, at, token, id, home }.render()
            }
            SecurityNotice::WebhookCreated(id) => {
                let found = context.store.read().webhooks().find(id).await?.filter(|_| user.email_verified);
                let url = found.map(|found| SingleLine::new(without_query(&found.webhook.url)));
                WebhookCreatedEmail { name, at, url, id, home }.render()
            }
        };
        self.send(&user, email?, context).await
    }
}

/// Removes the query of a URL, which may hold a secret of the receiver.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn format_utc(at: Timestamp) -> String {
    let time = DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    time.format("%-d %B %Y, %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_url_is_not_shown() {
        assert_eq!(without_query("https://example.com/hook?key=secret"), "https://example.com/hook");
        assert_eq!(without_query("https://example.com/hook"), "https://example.com/hook");
    }

    #[test]
    fn a_time_is_written_in_utc_to_the_second() {
        let at = Timestamp::parse("2026-11-09T21:43:52.999+02:00").unwrap();
        assert_eq!(format_utc(at), "9 November 2026, 19:43:52 UTC");
    }
}
