//! Announcements of revoked credentials between processes.

use crate::contract::{ApiTokenId, SessionId};

/// Announcement by a process that has revoked credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// These sessions were ended.
    Sessions(Vec<SessionId>),
    /// These API tokens were revoked.
    ApiTokens(Vec<ApiTokenId>),
    /// Announcements may have been missed, so the revocations must be loaded.
    Missed,
}
