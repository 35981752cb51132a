//! Announcement of revoked credentials to other processes, by LISTEN/NOTIFY of PostgreSQL.
//!
//! The transaction that revokes also notifies. So a revocation is announced if and only if it is committed, and at that
//! moment. A process that listens again after a broken connection loads the revocations that it missed.

use std::convert::Infallible;
use std::future::pending;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Func, Query};
use secrecy::SecretString;
use tokio::sync::{Mutex, OnceCell, mpsc};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::notifier::{RECONNECT_DELAY, listen, receive};
use super::repositories::SeaRepositories;
use crate::contract::{ApiTokenId, SessionId};
use crate::repositories::{Revocation, StoreError};

const CHANNEL: &str = "pocket_tasks_revocations";

/// Number of ids per announcement. PostgreSQL limits one to 8,000 bytes.
const MAX_IDS: usize = 200;

/// Kinds of revoked credentials, as they begin an announcement.
const SESSIONS: &str = "sessions";
const API_TOKENS: &str = "api_tokens";

impl<C: ConnectionTrait + Send + Sync> SeaRepositories<C> {
    /// Announces ended sessions with the commit.
    pub(super) async fn announce_sessions(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        self.announce(SESSIONS, ids.iter().map(|id| id.0)).await
    }

    /// Announces revoked API tokens with the commit.
    pub(super) async fn announce_api_tokens(&self, ids: &[ApiTokenId]) -> Result<(), StoreError> {
        self.announce(API_TOKENS, ids.iter().map(|id| id.0)).await
    }

    async fn announce(&self, kind: &str, ids: impl Iterator<Item = Uuid> + Send) -> Result<(), StoreError> {
        if !self.is_postgres() {
            return Ok(());
        }
        let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        for ids in ids.chunks(MAX_IDS) {
            let notify = Func::cust("pg_notify").arg(CHANNEL).arg(format!("{kind} {}", ids.join(" ")));
            self.0.query_one(Query::select().expr(notify)).await?;
        }
        Ok(())
    }
}

/// Reads an announcement. A later version may send others.
fn parse(announcement: &str) -> Revocation {
    let (kind, ids) = announcement.split_once(' ').unwrap_or((announcement, ""));
    let ids: Result<Vec<Uuid>, _> = ids.split(' ').map(str::parse).collect();
    match (kind, ids) {
        (SESSIONS, Ok(ids)) => Revocation::Sessions(ids.into_iter().map(SessionId).collect()),
        (API_TOKENS, Ok(ids)) => Revocation::ApiTokens(ids.into_iter().map(ApiTokenId).collect()),
        _ => Revocation::Missed,
    }
}

/// Receives the announcements of all processes on a database, including its own.
pub(super) struct RevocationListener {
    /// `None` on SQLite.
    url: Option<SecretString>,
    received_tx: mpsc::UnboundedSender<Revocation>,
    received: Mutex<mpsc::UnboundedReceiver<Revocation>>,
    task: OnceCell<JoinHandle<()>>,
}

impl RevocationListener {
    /// Creates a listener, which connects when it is first used.
    pub(super) fn new(url: Option<SecretString>) -> Self {
        let (received_tx, received) = mpsc::unbounded_channel();
        Self { url, received_tx, received: Mutex::new(received), task: OnceCell::new() }
    }

    /// Waits for the next announcement.
    pub(super) async fn next(&self) -> Revocation {
        let Some(url) = &self.url else { return pending().await };
        let listen = async || tokio::spawn(listen_loop(url.clone(), self.received_tx.clone()));
        self.task.get_or_init(listen).await;
        match self.received.lock().await.recv().await {
            Some(revocation) => revocation,
            // The channel has a sender here.
            None => pending().await,
        }
    }
}

impl Drop for RevocationListener {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Forwards the announcements of all processes.
async fn listen_loop(url: SecretString, received: mpsc::UnboundedSender<Revocation>) {
    let mut has_failed = false;
    loop {
        let result: Result<Infallible, sqlx::Error> = async {
            let mut listener = listen(&url, CHANNEL).await?;
            if has_failed {
                tracing::info!("listening to PostgreSQL again; revocations of other processes apply at once");
                has_failed = false;
            }
            // Those before are not announced again.
            let _ = received.send(Revocation::Missed);
            loop {
                let announced = receive(&mut listener).await?;
                let _ = received.send(announced.map_or(Revocation::Missed, |announced| parse(announced.payload())));
            }
        }
        .await;
        let Err(error) = result;
        if !has_failed {
            tracing::warn!(%error, "cannot listen to PostgreSQL; revocations of other processes apply within a second");
        }
        has_failed = true;
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_announcement_means_that_revocations_must_be_loaded() {
        let (one, two) = (SessionId::generate(), SessionId::generate());
        assert_eq!(parse(&format!("sessions {one} {two}")), Revocation::Sessions(vec![one, two]));
        let token = ApiTokenId::generate();
        assert_eq!(parse(&format!("api_tokens {token}")), Revocation::ApiTokens(vec![token]));
        for unknown in ["", "sessions", "sessions x", "users 1", &format!("api_tokens {token} ")] {
            assert_eq!(parse(unknown), Revocation::Missed, "{unknown}");
        }
    }
}
