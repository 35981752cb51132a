//! Cursors of the feed: a place in it, signed for one reader and one direction. The filters may differ from page to
//! page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::contract::UserId;
use crate::contract::list::Direction;
use crate::contract::text::Cursor;
use crate::repositories::FeedBounds;
use crate::security::Signer;
use crate::services::error::Error;

/// Whose feed, and in which direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedOf {
    pub(crate) reader: UserId,
    pub(crate) direction: Direction,
}

impl FeedOf {
    /// The feed as it goes on.
    pub(crate) const fn forwards(reader: UserId) -> Self {
        Self { reader, direction: Direction::Asc }
    }

    fn context(self) -> [u8; 32] {
        let direction: &[u8] = match self.direction {
            Direction::Asc => b"forwards",
            Direction::Desc => b"backwards",
        };
        Sha256::new_with_prefix(b"feed").chain_update(self.reader.0).chain_update(direction).finalize().into()
    }

    /// The cursor that goes on beyond a place.
    pub(crate) fn cursor(self, signer: &Signer, place: i64) -> Cursor {
        let mut bytes = place.to_be_bytes().to_vec();
        let signature = signer.sign(&self.context(), &bytes);
        bytes.extend(signature);
        Cursor::trusted(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place beyond which a cursor goes on.
    pub(crate) fn read(self, signer: &Signer, cursor: &Cursor) -> Result<i64, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).map_err(|_| Error::ForeignCursor)?;
        let text = signer.verified(&self.context(), &bytes).ok_or(Error::ForeignCursor)?;
        Ok(i64::from_be_bytes(text.try_into().map_err(|_| Error::ForeignCursor)?))
    }

    /// Refuses a place from which one could not go on without missing something: what comes after it was removed
    /// because of its age, or the feed has not come that far, as after a backup was put back.
    pub(crate) fn require_kept(self, place: i64, bounds: FeedBounds) -> Result<(), Error> {
        match self.direction {
            Direction::Asc if place < bounds.pruned_through => Err(Error::CursorTooOld),
            Direction::Asc if place > bounds.end => Err(Error::ForeignCursor),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_cursor_is_good_for_one_reader_and_one_direction() {
        let signer = Signer::new(&STANDARD.encode([1; 32]).into(), "cursors").unwrap();
        let (ada, grace) = (FeedOf::forwards(UserId::generate()), FeedOf::forwards(UserId::generate()));
        let back = FeedOf { direction: Direction::Desc, ..ada };
        let cursor = ada.cursor(&signer, 7);
        assert_eq!(ada.read(&signer, &cursor).unwrap(), 7);
        for (other, cursor) in [(grace, &cursor), (back, &cursor), (ada, &Cursor::trusted("AAAA"))] {
            assert!(matches!(other.read(&signer, cursor), Err(Error::ForeignCursor)));
        }
    }

    #[test]
    fn one_goes_on_only_where_nothing_is_missing() {
        let bounds = FeedBounds { pruned_through: 5, end: 9 };
        let (forwards, reader) = (FeedOf::forwards(UserId::generate()), UserId::generate());
        for (place, kept) in [(4, false), (5, true), (9, true), (10, false)] {
            assert_eq!(forwards.require_kept(place, bounds).is_ok(), kept, "{place}");
            assert!(FeedOf { reader, direction: Direction::Desc }.require_kept(place, bounds).is_ok());
        }
    }
}
