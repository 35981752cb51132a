//! Cursors of the event feed: a sequence number, signed for one user, direction and epoch. Filters may differ between
//! pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::contract::UserId;
use crate::contract::page::Direction;
use crate::contract::strings::Cursor;
use crate::repositories::FeedBounds;
use crate::security::Signer;
use crate::services::error::Error;

/// User, direction and epoch to which a cursor is bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventCursorScope {
    pub(crate) reader: UserId,
    pub(crate) direction: Direction,
    pub(crate) epoch: Option<Uuid>,
}

impl EventCursorScope {
    /// Returns the scope of a feed from old to new.
    pub(crate) const fn ascending(reader: UserId, epoch: Option<Uuid>) -> Self {
        Self { reader, direction: Direction::Asc, epoch }
    }

    fn aad(self) -> [u8; 32] {
        let direction: &[u8] = match self.direction {
            Direction::Asc => b"forwards",
            Direction::Desc => b"backwards",
        };
        let feed = Sha256::new_with_prefix(b"feed").chain_update(self.reader.0).chain_update(direction);
        // The cursors of the first epoch are those of earlier versions.
        self.epoch.map_or(feed.clone(), |epoch| feed.chain_update(epoch)).finalize().into()
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
    /// Later events were pruned, or the feed ends before the cursor or has begun another epoch.
    pub(crate) fn ensure_retained(self, position: i64, bounds: FeedBounds) -> Result<(), Error> {
        match self.direction {
            _ if self.epoch != bounds.epoch => Err(Error::InvalidEventCursor),
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
    fn a_cursor_is_valid_for_one_user_direction_and_epoch() {
        let signer = Signer::new(&STANDARD.encode([1; 32]).into(), None, "cursors").unwrap();
        let (ada, grace) = (
            EventCursorScope::ascending(UserId::generate(), None),
            EventCursorScope::ascending(UserId::generate(), None),
        );
        let back = EventCursorScope { direction: Direction::Desc, ..ada };
        let cursor = ada.encode(&signer, 7);
        assert_eq!(ada.decode(&signer, &cursor).unwrap(), 7);
        let renewed = EventCursorScope { epoch: Some(Uuid::from_u128(1)), ..ada };
        let restored = EventCursorScope { epoch: Some(Uuid::from_u128(2)), ..ada };
        let later = renewed.encode(&signer, 7);
        assert_eq!(renewed.decode(&signer, &later).unwrap(), 7);
        for (other, cursor) in [
            (grace, &cursor),
            (back, &cursor),
            (renewed, &cursor),
            (ada, &later),
            (restored, &later),
            (ada, &Cursor::new_unchecked("AAAA")),
        ] {
            assert!(matches!(other.decode(&signer, cursor), Err(Error::InvalidEventCursor)));
        }
    }

    #[test]
    fn cursors_of_version_0_2_0_are_valid_in_the_first_epoch() {
        let signer = Signer::new(&STANDARD.encode([1; 32]).into(), None, "cursors").unwrap();
        let scope = EventCursorScope::ascending(UserId(Uuid::from_u128(1)), None);
        assert_eq!(&*scope.encode(&signer, 7), "AAAAAAAAAAeVkohQ_pRXtwZoV_vsJB0_");
    }

    #[test]
    fn a_cursor_is_refused_where_events_would_be_missed() {
        let bounds = FeedBounds { pruned_through: 5, end: 9, epoch: None };
        let ascending = EventCursorScope::ascending(UserId::generate(), None);
        let descending = EventCursorScope { direction: Direction::Desc, ..ascending };
        for (position, kept) in [(4, false), (5, true), (9, true), (10, false)] {
            assert_eq!(ascending.ensure_retained(position, bounds).is_ok(), kept, "{position}");
            assert!(descending.ensure_retained(position, bounds).is_ok());
        }
        let restored = FeedBounds { epoch: Some(Uuid::from_u128(1)), ..bounds };
        assert!(ascending.ensure_retained(7, restored).is_err() && descending.ensure_retained(7, restored).is_err());
    }
}
