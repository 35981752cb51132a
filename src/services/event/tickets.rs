//! Tickets for event streams.
//!
//! A browser's own `EventSource` cannot send a header, and a token in a URL ends up in logs and histories. A ticket is
//! worth one stream within a minute, and no more than the credential that created it.

use std::time::Duration;

use super::Events;
use super::list::authorize_filter;
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use crate::contract::event::EventType;
use crate::contract::event::query::EventFilterParams;
use crate::contract::event::ticket::{CreateStreamTicket, StreamTicket};
use crate::contract::strings::StreamTicketSecret;
use crate::repositories::{EventFilter, StreamTicketRecord, TicketCredential};
use crate::security::{OpaqueToken, TokenKind};
use crate::services::{Caller, Credential, Error, ServiceContext};

/// Lifetime of a ticket.
const TICKET_TTL: Duration = Duration::from_mins(1);

impl Events {
    /// Creates a ticket for one stream with these filters.
    pub async fn create_ticket(&self, caller: Caller, new: Option<CreateStreamTicket>) -> Result<StreamTicket, Error> {
        let new = new.unwrap_or_default();
        let filter = EventFilterParams { project_id: new.project_id, kinds: new.kinds };
        let filter = authorize_filter(self.context.store.read(), caller, filter, ErrorLocation::Body).await?;
        let secret = OpaqueToken::generate().map_err(|error| Error::Token(Box::new(error)))?;
        let expires_at = self.context.clock.now() + TICKET_TTL;
        let record = StreamTicketRecord {
            user_id: caller.user,
            credential: match caller.credential {
                Credential::Session(session) => TicketCredential::Session(session),
                Credential::ApiToken { id, .. } => TicketCredential::ApiToken(id),
            },
            credential_expires_at: caller.expires_at,
            project_id: filter.project,
            kinds: filter.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            expires_at,
        };
        let transaction = self.context.store.begin().await?;
        transaction.stream_tickets().add(&secret.hash(), &record).await?;
        transaction.commit().await?;
        let ticket = StreamTicketSecret::new_unchecked(secret.encode(TokenKind::StreamTicket));
        Ok(StreamTicket { ticket, expires_at })
    }

    /// Authenticates a caller by a ticket, which stays valid until [`Self::subscribe`] consumes it.
    pub async fn authenticate(&self, ticket: &str) -> Result<Caller, Error> {
        let secret = OpaqueToken::parse(TokenKind::StreamTicket, ticket).ok_or(Error::InvalidStreamTicket)?;
        let now = self.context.clock.now();
        let found = self.context.store.read().stream_tickets().find(&secret.hash(), now).await?;
        let found = found.ok_or(Error::InvalidStreamTicket)?;
        let credential = match found.credential {
            TicketCredential::Session(id) => {
                if found.credential_expires_at.is_some_and(|end| end <= now) {
                    return Err(Error::TokenExpired);
                }
                let session = self.context.store.read().sessions().find(id).await?;
                if self.context.ended_sessions.contains(id) || session.is_none_or(|found| found.ended_at.is_some()) {
                    return Err(Error::TokenRevoked);
                }
                Credential::Session(id)
            }
            TicketCredential::ApiToken(id) => return self.context.api_token_caller(id).await,
        };
        Ok(Caller { user: found.user_id, credential, expires_at: found.credential_expires_at })
    }
}

impl ServiceContext {
    /// Consumes a ticket and returns its filter. `given` are the filters of the URL, of which there must be none.
    pub(crate) async fn consume_ticket(
        &self,
        caller: Caller,
        ticket: &str,
        given: EventFilterParams,
    ) -> Result<EventFilter, Error> {
        for (field, is_given) in [("project_id", given.project_id.is_some()), ("type", given.kinds.is_some())] {
            if is_given {
                let message = format!("{field} and ticket exclude each other: the ticket has the filters.");
                let (field, code) = (field.to_owned(), DetailCode::Conflict);
                return Err(Error::Invalid(vec![Detail { location: ErrorLocation::Query, field, code, message }]));
            }
        }
        let secret = OpaqueToken::parse(TokenKind::StreamTicket, ticket).ok_or(Error::InvalidStreamTicket)?;
        let transaction = self.store.begin().await?;
        let found = transaction.stream_tickets().consume(&secret.hash(), self.clock.now()).await?;
        transaction.commit().await?;
        // It belongs to the caller, unless it was sent together with the access token of another user.
        let found = found.filter(|found| found.user_id == caller.user).ok_or(Error::InvalidStreamTicket)?;
        let kinds = found.kinds.iter().filter_map(|kind| EventType::parse(kind)).collect();
        Ok(EventFilter { project: found.project_id, kinds })
    }
}
