//! Mails that tell the owner of an account about changes to how it can be accessed.
//!
//! An account in the trash receives none of them. Everything a mail shows is read when it is sent, except for the time
//! of the change: an object that was removed in the meantime is still reported, without its details.

use chrono::DateTime;

use super::JobHandlers;
use super::emails::greeting_name;
use crate::contract::account::user::User;
use crate::contract::{ApiTokenId, Timestamp, UserId, WebhookId};
use crate::jobs::context::{JobContext, JobError};
use crate::mail::{ApiTokenCreated, Line, PasswordChanged, PasswordResetDone, WebhookCreated};

impl JobHandlers {
    pub(super) async fn password_changed(
        &self,
        user: UserId,
        at: Timestamp,
        revoked_all: bool,
        context: &JobContext,
    ) -> Result<(), JobError> {
        if let Some(user) = active_user(user, context).await? {
            let mail = PasswordChanged {
                name: greeting_name(&user),
                at: format_utc(at),
                revoked_all,
                home: self.links.home(),
            };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn password_reset_done(
        &self,
        user: UserId,
        at: Timestamp,
        context: &JobContext,
    ) -> Result<(), JobError> {
        if let Some(user) = active_user(user, context).await? {
            let mail = PasswordResetDone { name: greeting_name(&user), at: format_utc(at), home: self.links.home() };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn api_token_created(
        &self,
        user: UserId,
        id: ApiTokenId,
        at: Timestamp,
        context: &JobContext,
    ) -> Result<(), JobError> {
        if let Some(user) = active_user(user, context).await? {
            let found = context.store.read().api_tokens().find(id).await?;
            // A mail to an unproven address shows no text that the account's creator chose.
            let token = found.filter(|_| user.email_verified).map(|found| Line::new(&found.token.name));
            let mail =
                ApiTokenCreated { name: greeting_name(&user), at: format_utc(at), token, id, home: self.links.home() };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }

    pub(super) async fn webhook_created(
        &self,
        user: UserId,
        id: WebhookId,
        at: Timestamp,
        context: &JobContext,
    ) -> Result<(), JobError> {
        if let Some(user) = active_user(user, context).await? {
            let found = context.store.read().webhooks().find(id).await?;
            let url = found.filter(|_| user.email_verified).map(|found| Line::new(without_query(&found.webhook.url)));
            let mail =
                WebhookCreated { name: greeting_name(&user), at: format_utc(at), url, id, home: self.links.home() };
            self.send(&user, mail.render()?, context).await?;
        }
        context.complete().await
    }
}

/// Returns the user, unless the account is in the trash or gone.
async fn active_user(id: UserId, context: &JobContext) -> Result<Option<User>, JobError> {
    let account = context.store.read().users().find_credentials(id).await?;
    Ok(account.filter(|account| account.deleted_at.is_none()).map(|account| account.user))
}

/// Cuts off the query of a URL, which may hold a secret of the receiver.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// Formats a time as mails show it: in UTC, to the second.
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
