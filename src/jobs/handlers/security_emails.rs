//! Security notices: e-mails about changes to how an account can be accessed.
//!
//! Deleted accounts receive none. The content is read when the e-mail is sent: the notice about an object that was
//! removed in the meantime is sent without its details.

use chrono::DateTime;

use super::JobHandlers;
use super::emails::{active_user, greeting_name};
use crate::contract::{ApiTokenId, Timestamp, UserId, WebhookId};
use crate::jobs::context::{JobContext, JobError};
use crate::mail::{
    ApiTokenCreatedEmail, PasswordChangedEmail, PasswordResetDoneEmail, SingleLine, WebhookCreatedEmail,
};

impl JobHandlers {
    pub(super) async fn send_password_changed(
        &self,
        user: UserId,
        at: Timestamp,
        revoked_all: bool,
        context: &JobContext,
    ) -> Result<(), JobError> {
        let Some(user) = active_user(user, context).await? else { return Ok(()) };
        let (name, at, home) = (greeting_name(&user), format_utc(at), self.links.home());
        self.send(&user, PasswordChangedEmail { name, at, revoked_all, home }.render()?, context).await
    }

    pub(super) async fn send_password_reset_done(
        &self,
        user: UserId,
        at: Timestamp,
        context: &JobContext,
    ) -> Result<(), JobError> {
        let Some(user) = active_user(user, context).await? else { return Ok(()) };
        let (name, at, home) = (greeting_name(&user), format_utc(at), self.links.home());
        self.send(&user, PasswordResetDoneEmail { name, at, home }.render()?, context).await
    }

    pub(super) async fn send_api_token_created(
        &self,
        user: UserId,
        id: ApiTokenId,
        at: Timestamp,
        context: &JobContext,
    ) -> Result<(), JobError> {
        let Some(user) = active_user(user, context).await? else { return Ok(()) };
        let found = context.store.read().api_tokens().find(id).await?;
        let token = found.filter(|_| user.email_verified).map(|found| SingleLine::new(&found.token.name));
        let (name, at, home) = (greeting_name(&user), format_utc(at), self.links.home());
        self.send(&user, ApiTokenCreatedEmail { name, at, token, id, home }.render()?, context).await
    }

    pub(super) async fn send_webhook_created(
        &self,
        user: UserId,
        id: WebhookId,
        at: Timestamp,
        context: &JobContext,
    ) -> Result<(), JobError> {
        let Some(user) = active_user(user, context).await? else { return Ok(()) };
        let found = context.store.read().webhooks().find(id).await?;
        let url = found.filter(|_| user.email_verified).map(|found| SingleLine::new(without_query(&found.webhook.url)));
        let (name, at, home) = (greeting_name(&user), format_utc(at), self.links.home());
        self.send(&user, WebhookCreatedEmail { name, at, url, id, home }.render()?, context).await
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
