//! Lists: how a caller asks for a part of one, and how it is told which part it got.

use poem_openapi::types::{Example, ParseFromJSON, ToJSON};
use poem_openapi::{Enum, Object};

use super::strings::Cursor;

/// Which part of a list, as query parameters.
#[derive(Debug, Clone, Copy, Object)]
pub struct Paging {
    /// How many items at most.
    #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Which page, from 1. Not together with `offset`.
    #[oai(validator(minimum(value = "1"), maximum(value = "2147483647")))]
    pub page: Option<u32>,
    /// How many items to skip, from 0. Not together with `page`.
    #[oai(validator(minimum(value = "0"), maximum(value = "2147483647")))]
    pub offset: Option<u32>,
}

const fn default_limit() -> u32 {
    20
}

impl Paging {
    /// How many items stand before the part that was asked for.
    #[must_use]
    pub fn offset(self) -> u64 {
        match (self.offset, self.page) {
            (Some(offset), _) => offset.into(),
            (None, Some(page)) => (u64::from(page) - 1) * u64::from(self.limit),
            (None, None) => 0,
        }
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self { limit: default_limit(), page: None, offset: None }
    }
}

/// Which part of a list, for lists that are walked by cursors.
#[derive(Debug, Clone, Object)]
pub struct CursorParams {
    /// How many items at most; it may differ from page to page.
    #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// The `next_cursor` of the page before; without one the list begins. The filters and the sort must be the same.
    pub cursor: Option<Cursor>,
}

/// The direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Direction {
    /// Ascending: the least first, and what has no value last.
    Asc,
    /// Descending: what has no value first, then the greatest.
    Desc,
}

/// The default direction of lists that have one sort, by a time.
#[must_use]
pub const fn newest_first() -> Option<Direction> {
    Some(Direction::Desc)
}

/// What a collection can be sorted by.
pub trait SortField: Copy {
    /// What it is sorted by when the caller does not say.
    const DEFAULT: Self;

    /// The direction when the caller does not say.
    fn default_direction(self) -> Direction;

    /// The default, for the document.
    fn default_field() -> Option<Self> {
        Some(Self::DEFAULT)
    }
}

/// An order that is known in full.
#[derive(Debug, Clone, Copy)]
pub struct Sort<F> {
    /// The field that decides first; ties are broken by the id.
    pub field: F,
    /// The direction of both.
    pub direction: Direction,
}

impl<F: SortField> Sort<F> {
    /// Fills in what the caller left open.
    #[must_use]
    pub fn new(field: Option<F>, direction: Option<Direction>) -> Self {
        let field = field.unwrap_or(F::DEFAULT);
        Self { field, direction: direction.unwrap_or_else(|| field.default_direction()) }
    }
}

/// A part of a list, and how many items the whole has.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items of this part, in order.
    pub items: Vec<T>,
    /// How many items the whole list has.
    pub total: u64,
}

/// Where in the list a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(example)]
pub struct PageMeta {
    /// How many items the whole list has.
    #[oai(validator(minimum(value = "0")))]
    pub total: u64,
    /// The number of this page, from 1: `offset / limit + 1`.
    #[oai(validator(minimum(value = "1")))]
    pub page: u64,
    /// How many items a page has at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Whether there are items after this page.
    pub has_more: bool,
}

impl Example for PageMeta {
    fn example() -> Self {
        Self { total: 1, page: 1, limit: 20, has_more: false }
    }
}

impl PageMeta {
    /// Describes the page that was asked for by `paging` and has `count` items.
    #[must_use]
    pub fn new(paging: Paging, total: u64, count: usize) -> Self {
        let skipped = paging.offset();
        Self {
            total,
            page: skipped / u64::from(paging.limit) + 1,
            limit: paging.limit,
            has_more: skipped + (count as u64) < total,
        }
    }
}

/// A list as it is published; every collection has a named one.
pub trait ListOf: ToJSON + ParseFromJSON {
    /// What the list holds.
    type Item;

    /// Puts a page into its envelope.
    fn new(page: Page<Self::Item>, paging: Paging) -> Self;
}

macro_rules! list_type {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Object)]
        pub struct $name {
            /// The items of this page.
            pub data: Vec<$item>,
            /// Where in the list this page stands.
            pub meta: $crate::contract::page::PageMeta,
        }

        impl $crate::contract::page::ListOf for $name {
            type Item = $item;

            fn new(page: $crate::contract::page::Page<$item>, paging: $crate::contract::page::Paging) -> Self {
                let meta = $crate::contract::page::PageMeta::new(paging, page.total, page.items.len());
                Self { data: page.items, meta }
            }
        }
    };
}
pub(super) use list_type;

/// Where a list that is walked by cursors goes on.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct CursorMeta {
    /// How many items a page has at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Whether there are items after this page.
    pub has_more: bool,
    /// The `cursor` of the next page; null exactly when there is none.
    pub next_cursor: Option<Cursor>,
    /// Where the feed stood when the first page of this list was read, the same on all of its pages. Read them all,
    /// and the other lists that you need, then go on with `GET /v1/events?cursor=` and this one, in ascending order:
    /// nothing is missed.
    pub sync_cursor: Cursor,
}

impl Example for CursorMeta {
    fn example() -> Self {
        // One of the feed, which is another than that of the list.
        let sync_cursor = Cursor::new_unchecked("AAAAAAAAEmcK2dLZbF3vNfX4pYJ5Kx0q");
        Self { limit: 20, has_more: true, next_cursor: Some(Cursor::example()), sync_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_number_follows_from_the_offset() {
        for (paging, total, count, page, has_more) in [
            (Paging::default(), 48, 20, 1, true),
            (Paging { page: Some(3), ..Paging::default() }, 48, 8, 3, false),
            (Paging { page: Some(9), ..Paging::default() }, 48, 0, 9, false),
            (Paging { offset: Some(25), limit: 10, page: None }, 48, 10, 3, true),
            (Paging { page: Some(u32::MAX), limit: 100, offset: None }, 48, 0, u64::from(u32::MAX), false),
        ] {
            let meta = PageMeta::new(paging, total, count);
            assert_eq!((meta.page, meta.has_more), (page, has_more), "{paging:?}");
        }
    }
}
