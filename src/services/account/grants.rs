//! Inventory of everything that acts for an account, and its revocation.
//!
//! A password change must not leave a back door open. Everything that grants access to an account without its password,
//! or reports its data elsewhere, is a [`Grant`]; a new kind does not compile until [`ServiceContext::revoke_access`]
//! handles it. [`REFERENCES`] states for every table whether a reset ends its rows or why it keeps them; a test
//! compares it with the schema.

use crate::contract::event::EventType;
use crate::contract::project::invitation::{Invitation, InvitationStatus};
use crate::contract::{ApiTokenId, SessionId, Timestamp, UserId};
use crate::repositories::{EmailTokenPurpose, NewEvent, StoreError, Transaction};
use crate::services::event::publish::EventContext;
use crate::services::webhook::disabled_reason;
use crate::services::webhook::queue::enqueue_delivery_jobs;
use crate::services::{Error, ServiceContext};

macro_rules! grants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A kind of object that acts for an account without its password.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Grant {
            $($(#[$doc])* $name,)*
        }

        impl Grant {
            /// All kinds, in the order of revocation, which is the lock order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

grants! {
    /// A pending invitation that the account sent.
    SentInvitation,
    /// A session with its access tokens.
    Session,
    /// A refresh token of a session.
    RefreshToken,
    /// An open event stream.
    EventStream,
    /// A ticket for an event stream.
    StreamTicket,
    /// An API token.
    ApiToken,
    /// A password reset token sent by e-mail.
    PasswordResetToken,
    /// A verification token sent by e-mail.
    VerificationToken,
    /// A webhook.
    Webhook,
    /// A pending delivery to a webhook.
    PendingDelivery,
}

/// Effect of a password reset on the rows of a table.
#[derive(Debug, Clone, Copy)]
pub enum OnReset {
    /// The rows are grants of these kinds, which the reset ends.
    Ended(&'static [Grant]),
    /// The reset keeps the rows, for this reason.
    Kept(&'static str),
}

/// Effect of a reset on every table, by column that names a user or a grant.
///
/// A table without such a column is listed by its name alone.
pub const REFERENCES: &[(&str, OnReset)] = &[
    ("api_tokens.user_id", OnReset::Ended(&[Grant::ApiToken])),
    ("deliveries.webhook_id", OnReset::Ended(&[Grant::PendingDelivery])),
    ("invitations.invited_by", OnReset::Ended(&[Grant::SentInvitation])),
    ("email_tokens.user_id", OnReset::Ended(&[Grant::PasswordResetToken, Grant::VerificationToken])),
    ("refresh_tokens.session_id", OnReset::Ended(&[Grant::RefreshToken])),
    ("sessions.user_id", OnReset::Ended(&[Grant::Session])),
    ("webhooks.user_id", OnReset::Ended(&[Grant::Webhook])),
    ("comments.author_id", OnReset::Kept("Content. Authorship grants no access.")),
    ("counters", OnReset::Kept("Numbers of past uses, under keyed hashes. They grant nothing.")),
    ("events.actor_id", OnReset::Kept("History of what happened. Reading it takes a credential.")),
    ("audit_entries.actor_id", OnReset::Kept("History of who did what. Reading it takes a session.")),
    ("audit_entries.api_token_id", OnReset::Kept("History of what an API token did, not the token.")),
    ("audit_entries.user_id", OnReset::Kept("The audit log, which shows the owner what happened before the reset.")),
    ("rate_limits", OnReset::Kept("Numbers of recent requests, under keyed hashes. They grant nothing.")),
    ("long_texts", OnReset::Kept("Content of events and stored responses. Reading it takes a credential.")),
    ("stream_tickets.user_id", OnReset::Ended(&[Grant::StreamTicket])),
    ("event_sequence", OnReset::Kept("The position of the feed. It holds no data of an account.")),
    (
        "webhook_fan_out",
        OnReset::Kept("The position up to which webhooks were told of events. It holds no data of an account."),
    ),
    (
        "previous_secrets.webhook_id",
        OnReset::Kept("A replaced secret only adds a signature to the messages of its webhook, which is disabled."),
    ),
    (
        "idempotency_keys.user_id",
        OnReset::Kept("A stored response is replayed only to a caller with a valid credential of the account."),
    ),
    (
        "known_addresses.user_id",
        OnReset::Kept("A login from there still takes the password; the owner may need it during an attack."),
    ),
    ("jobs.user_id", OnReset::Kept("Mails to the address of the account itself, which the reset has just proven.")),
    ("members.user_id", OnReset::Kept("What the account may access, not what may access the account.")),
    ("projects.owner_id", OnReset::Kept("What the account may access, not what may access the account.")),
    ("seaql_migrations", OnReset::Kept("The version of the schema. It holds no data of an account.")),
    ("storage_probe", OnReset::Kept("The row that the readiness check writes. It holds no data of an account.")),
    ("task_labels", OnReset::Kept("Content, kept with the tasks. A label grants no access.")),
    ("tasks.assignee_id", OnReset::Kept("Content. An assignment grants no access.")),
    ("tasks.created_by", OnReset::Kept("Content. Authorship grants no access.")),
    (
        "webhooks.api_token_id",
        OnReset::Kept("Names the token with which the webhook ends. The reset disables the webhook."),
    ),
    ("users", OnReset::Kept("The account itself, with its new password.")),
];

/// Extent of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every grant: the password was reset.
    Reset,
    /// Every grant except this session and verification links: the password was changed with `revoke_all`.
    ChangeRevokingAll(SessionId),
    /// All sessions except this one, and outstanding password reset tokens.
    Change(SessionId),
}

impl Extent {
    const fn includes(self, grant: Grant) -> bool {
        match (self, grant) {
            // With a verification link the owner of the address disowns the account, so only the owner revokes it.
            (Self::ChangeRevokingAll(_), Grant::VerificationToken)
            | (
                Self::Change(_),
                Grant::SentInvitation
                | Grant::ApiToken
                | Grant::VerificationToken
                | Grant::Webhook
                | Grant::PendingDelivery,
            ) => false,
            (Self::Reset | Self::ChangeRevokingAll(_), _)
            | (
                Self::Change(_),
                Grant::Session
                | Grant::RefreshToken
                | Grant::EventStream
                | Grant::StreamTicket
                | Grant::PasswordResetToken,
            ) => true,
        }
    }

    const fn kept_session(self) -> Option<SessionId> {
        match self {
            Self::Reset => None,
            Self::ChangeRevokingAll(session) | Self::Change(session) => Some(session),
        }
    }

    /// The `disabled_reason` of webhooks.
    const fn reason(self) -> &'static str {
        match self {
            Self::Reset => disabled_reason::PASSWORD_RESET,
            Self::ChangeRevokingAll(_) | Self::Change(_) => disabled_reason::PASSWORD_CHANGED,
        }
    }
}

/// Result of a revocation, for [`ServiceContext::commit_revocation`].
#[derive(Default)]
pub(crate) struct Revoked {
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) api_tokens: Vec<ApiTokenId>,
    pub(crate) events: Vec<NewEvent>,
}

impl ServiceContext {
    /// Revokes the grants of an account in the transaction that changes its password.
    ///
    /// The caller has locked the account. Everything that creates a grant also locks the account and verifies its
    /// credential, so a concurrent grant either exists here and is revoked, or is refused.
    ///
    /// Apart from events of revoked invitations, the number of statements is constant. Pending deliveries may be many:
    /// the webhook records the time up to which they are cancelled, and its job updates them in batches.
    pub(crate) async fn revoke_access(
        &self,
        transaction: &dyn Transaction,
        user: UserId,
        extent: Extent,
        context: &EventContext,
    ) -> Result<Revoked, StoreError> {
        let now = context.at;
        let mut revoked = Revoked::default();
        for grant in Grant::ALL.iter().filter(|grant| extent.includes(**grant)) {
            match grant {
                Grant::SentInvitation => {
                    let invitations = transaction.invitations().revoke_sent(user, now).await?;
                    revoked.events.extend(invitations.iter().map(|invitation| revocation(invitation, context)));
                }
                Grant::Session => {
                    revoked.sessions = transaction.sessions().end_all(user, extent.kept_session(), now).await?;
                }
                Grant::ApiToken => revoked.api_tokens = transaction.api_tokens().revoke_all(user, now).await?,
                Grant::PasswordResetToken => {
                    transaction.email_tokens().revoke_all(user, EmailTokenPurpose::Reset, now).await?;
                }
                Grant::VerificationToken => {
                    transaction.email_tokens().revoke_all(user, EmailTokenPurpose::Verification, now).await?;
                }
                Grant::Webhook => self.disable_webhooks(transaction, user, None, extent.reason(), now).await?,
                // These end with their parent: a refresh token with its session, a stream and a ticket with their session
                // or API token, and a delivery with its webhook.
                Grant::RefreshToken | Grant::EventStream | Grant::StreamTicket | Grant::PendingDelivery => {}
            }
        }
        Ok(revoked)
    }

    /// Disables the webhooks of an account. With an API token, only those tied to it.
    ///
    /// The caller has locked the account.
    pub(crate) async fn disable_webhooks(
        &self,
        transaction: &dyn Transaction,
        user: UserId,
        token: Option<ApiTokenId>,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let webhooks = transaction.webhooks().lock_all(user, token).await?;
        transaction.webhooks().disable_all(user, token, reason, now).await?;
        enqueue_delivery_jobs(transaction, webhooks, now).await
    }

    /// Publishes the events of a revocation and commits.
    /// Access tokens and event streams end with the commit.
    pub(crate) async fn commit_revocation(
        &self,
        transaction: Box<dyn Transaction>,
        revoked: &Revoked,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !revoked.events.is_empty() {
            transaction.events().append(&revoked.events).await?;
        }
        // Recorded first, for the reason given at `commit_and_revoke`.
        self.revoked_tokens.insert(revoked.api_tokens.iter().copied(), now);
        let committed = self.commit_and_revoke(transaction, &revoked.sessions, now).await;
        if committed.is_err() {
            self.revoked_tokens.remove(&revoked.api_tokens);
        }
        committed
    }
}

fn revocation(invitation: &Invitation, context: &EventContext) -> NewEvent {
    let before = Invitation { status: InvitationStatus::Pending, ..invitation.clone() };
    context.updated(EventType::InvitationRevoked, invitation.project_id, &before, invitation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_grant_is_in_the_inventory_once() {
        let stored = REFERENCES.iter().flat_map(|(_, effect)| match effect {
            OnReset::Ended(grants) => *grants,
            OnReset::Kept(_) => &[],
        });
        let stored: Vec<_> = stored.collect();
        for grant in Grant::ALL {
            // A stream is a connection, not a row.
            let expected = usize::from(*grant != Grant::EventStream);
            assert_eq!(stored.iter().filter(|stored| **stored == grant).count(), expected, "{grant:?}");
        }
    }

    #[test]
    fn a_plain_change_ends_no_more_than_sessions_and_reset_tokens() {
        let session = SessionId::generate();
        let ended = |extent: Extent| Grant::ALL.iter().filter(|grant| extent.includes(**grant)).count();
        assert_eq!(ended(Extent::Change(session)), 5);
        assert_eq!(ended(Extent::ChangeRevokingAll(session)), Grant::ALL.len() - 1);
        assert_eq!(ended(Extent::Reset), Grant::ALL.len());
        assert_eq!((Extent::Reset.kept_session(), Extent::Change(session).kept_session()), (None, Some(session)));
    }
}
