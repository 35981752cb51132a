//! Cursors of the event feed: a sequence number, signed for one user and direction. Filters may differ between pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::contract::UserId;
use crate::contract::page::Direction;
use crate::contract::strings::Cursor;
use crate::repositories::FeedBounds;
use crate::security::Signer;
use crate::services::error::Error;

/// User and direction to which a cursor is bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventCursorScope {
    pub(crate) reader: UserId,
    pub(crate) direction: Direction,
}

impl EventCursorScope {
    /// Returns the scope of a feed from old to new.
    pub(crate) const fn ascending(reader: UserId) -> Self {
        Self { reader, direction: Direction::Asc }
    }

    fn aad(self) -> [u8; 32] {
        let direction: &[u8] = match self.direction {
            Direction::Asc => b"forwards",
            Direction::Desc => b"backwards",
        };
        Sha256::new_with_prefix(b"feed").chain_update(self.reader.0).chain_update(direction).finalize().into()
    }

    /// Returns the cursor that continues after a sequence number.
    pub(crate) fn encode(self, signer: &Signer, position: i64) -> Cursor {
        let mut bytes = position.to_be_bytes().to_vec();
        let signature = signer.sign(&self.aad(), &bytes);
        bytes.extend(signature);
        Cursor::new_unchecked(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the sequence number after which a cursor continues.
    pub(crate) fn decode(self, signer: &Signer, cursor: &Cursor) -> Result<i64, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).map_err(|_| Error::InvalidEventCursor)?;
        let text = signer.verify(&self.aad(), &bytes).ok_or(Error::InvalidEventCursor)?;
        Ok(i64::from_be_bytes(text.try_into().map_err(|_| Error::InvalidEventCursor)?))
    }

    /// Refuses a cursor that would miss events.
    /// Later events were pruned, or the feed ends before the cursor, as after a restored backup.
    pub(crate) fn ensure_retained(self, position: i64, bounds: FeedBounds) -> Result<(), Error> {
        match self.direction {
            Direction::Asc if position < bounds.pruned_through => Err(Error::CursorExpired),
            Direction::Asc if position > bounds.end => Err(Error::InvalidEventCursor),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_cursor_is_valid_for_one_user_and_direction() {
        let signer = Signer::new(&STANDARD.encode([1; 32]).into(), None, "cursors").unwrap();
        let (ada, grace) =
            (EventCursorScope::ascending(UserId::generate()), EventCursorScope::ascending(UserId::generate()));
        let back = EventCursorScope { direction: Direction::Desc, ..ada };
        let cursor = ada.encode(&signer, 7);
        assert_eq!(ada.decode(&signer, &cursor).unwrap(), 7);
        for (other, cursor) in [(grace, &cursor), (back, &cursor), (ada, &Cursor::new_unchecked("AAAA"))] {
            assert!(matches!(other.decode(&signer, cursor), Err(Error::InvalidEventCursor)));
        }
    }

    #[test]
    fn a_cursor_is_refused_where_events_would_be_missed() {
        let bounds = FeedBounds { pruned_through: 5, end: 9 };
        let (ascending, reader) = (EventCursorScope::ascending(UserId::generate()), UserId::generate());
        for (position, kept) in [(4, false), (5, true), (9, true), (10, false)] {
            assert_eq!(ascending.ensure_retained(position, bounds).is_ok(), kept, "{position}");
            assert!(EventCursorScope { reader, direction: Direction::Desc }.ensure_retained(position, bounds).is_ok());
        }
    }
}
