//! Pagination by page number or by cursor: query parameters and list envelopes.

use poem_openapi::types::{Example, ParseFromJSON, ToJSON};
use poem_openapi::{Enum, Object};

use super::macros::example;
use super::strings::Cursor;
use super::world;

/// Pagination by page number or offset, as query parameters.
#[derive(Debug, Clone, Copy, Object)]
pub struct Paging {
    /// Maximum number of items to return.
    #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Page number, starting at 1. Cannot be combined with `offset`.
    #[oai(validator(minimum(value = "1"), maximum(value = "2147483647")))]
    pub page: Option<u32>,
    /// Number of items to skip. Cannot be combined with `page`.
    #[oai(validator(minimum(value = "0"), maximum(value = "2147483647")))]
    pub offset: Option<u32>,
}

/// Returns the default page size.
#[must_use]
pub const fn default_limit() -> u32 {
    20
}

impl Paging {
    /// Returns the number of items before the requested page.
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

/// Pagination by cursor, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct CursorParams {
    /// Maximum number of items to return. It may differ from page to page.
    #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// `next_cursor` of the previous page; omit it to start at the beginning.
    /// All pages must use the same filters and sort.
    pub cursor: Option<Cursor>,
}

/// Sort direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Direction {
    /// Ascending; items without a value come last.
    Asc,
    /// Descending; items without a value come first.
    Desc,
}

/// Returns the default direction of lists that are sorted by time only.
#[must_use]
pub const fn newest_first() -> Option<Direction> {
    Some(Direction::Desc)
}

/// Sort field of a collection.
pub trait SortField: Copy {
    /// Default sort field.
    const DEFAULT: Self;

    /// Returns the default direction of this field.
    fn default_direction(self) -> Direction;

    /// Returns the default field, for the OpenAPI document.
    fn default_field() -> Option<Self> {
        Some(Self::DEFAULT)
    }
}

/// Declares sort fields with their default directions. The first is the default.
macro_rules! sort_fields {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $direction:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum)]
        #[oai(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$field_doc])* $field,)+
        }

        impl $crate::contract::page::SortField for $name {
            const DEFAULT: Self = [$(Self::$field),+][0];

            fn default_direction(self) -> $crate::contract::page::Direction {
                match self {
                    $(Self::$field => $crate::contract::page::Direction::$direction,)+
                }
            }
        }
    };
}

/// Sort order with its defaults resolved. Ties are broken by id, in the same direction.
#[derive(Debug, Clone, Copy)]
pub struct Sort<F> {
    /// Sort field.
    pub field: F,
    /// Direction of the field and of the tie-breaking id.
    pub direction: Direction,
}

impl<F: SortField> Sort<F> {
    /// Resolves the defaults of the query parameters.
    #[must_use]
    pub fn new(field: Option<F>, direction: Option<Direction>) -> Self {
        let field = field.unwrap_or(F::DEFAULT);
        Self { field, direction: direction.unwrap_or_else(|| field.default_direction()) }
    }
}

/// Maximum number of items that are counted, except where the number is stored.
pub const MAX_COUNTED: u64 = 1_000;

/// Number of items in a list, or in its counted part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Number of items that were counted.
    pub count: u64,
    /// False if there are more items.
    pub is_exact: bool,
}

impl Total {
    /// A total that includes all items.
    #[must_use]
    pub const fn exact(count: u64) -> Self {
        Self { count, is_exact: true }
    }

    /// Total of a count that stops at one item more than [`MAX_COUNTED`].
    #[must_use]
    pub const fn counted(count: u64) -> Self {
        if count > MAX_COUNTED { Self { count: MAX_COUNTED, is_exact: false } } else { Self::exact(count) }
    }

    /// Returns whether there may be items after this many.
    #[must_use]
    pub const fn may_exceed(self, count: u64) -> bool {
        !self.is_exact || self.count > count
    }
}

/// Page of a list, with the size of the whole list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Items of this page, in order.
    pub items: Vec<T>,
    /// Number of items in the list.
    pub total: Total,
    /// True if more items follow this page.
    pub has_more: bool,
}

/// Position of a page in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(example)]
pub struct PageMeta {
    /// Number of items in the list. Counting stops at 1,000, except in lists of tasks without filters: if there are more
    /// items, `total` is 1000 and `total_is_exact` is false. Pages beyond that are returned like any other.
    #[oai(validator(minimum(value = "0")))]
    pub total: u64,
    /// False if the list has more items than `total`.
    pub total_is_exact: bool,
    /// Page number, starting at 1: `offset / limit + 1`.
    #[oai(validator(minimum(value = "1")))]
    pub page: u64,
    /// Maximum number of items per page.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// True if more items follow this page.
    pub has_more: bool,
}

example!(PageMeta { total: 1, total_is_exact: true, page: 1, limit: 20, has_more: false });

impl PageMeta {
    /// Describes the page that `paging` requested.
    #[must_use]
    pub fn new<T>(paging: Paging, page: &Page<T>) -> Self {
        let (Total { count, is_exact }, limit) = (page.total, paging.limit);
        let number = paging.offset() / u64::from(limit) + 1;
        Self { total: count, total_is_exact: is_exact, page: number, limit, has_more: page.has_more }
    }
}

/// Published list envelope; every collection has its own type.
pub trait ListOf: ToJSON + ParseFromJSON {
    /// Type of the items.
    type Item;

    /// Wraps a page in its envelope.
    fn new(page: Page<Self::Item>, paging: Paging) -> Self;
}

/// Declares the list envelope of a collection.
macro_rules! list_type {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Object)]
        pub struct $name {
            /// Items of this page.
            pub data: Vec<$item>,
            /// Position of this page in the list.
            pub meta: $crate::contract::page::PageMeta,
        }

        impl $crate::contract::page::ListOf for $name {
            type Item = $item;

            fn new(page: $crate::contract::page::Page<$item>, paging: $crate::contract::page::Paging) -> Self {
                let meta = $crate::contract::page::PageMeta::new(paging, &page);
                Self { data: page.items, meta }
            }
        }
    };
}

/// Declares a collection: its list envelope, its sort fields, and the query parameters that list it.
macro_rules! collection {
    (
        $(#[$list_doc:meta])* $list:ident of $item:ty;
        $(#[$sort_doc:meta])* $sort:ident { $($sort_fields:tt)+ }
        $(#[$query_doc:meta])* $query:ident {
            $(#[$dir_doc:meta])* dir,
            $($(#[$filter_doc:meta])* $filter:ident: $filter_type:ty,)*
        }
    ) => {
        $crate::contract::page::list_type! { $(#[$list_doc])* $list of $item }

        $crate::contract::page::sort_fields! { $(#[$sort_doc])* $sort { $($sort_fields)+ } }

        $(#[$query_doc])*
        #[derive(Debug, Clone, Object)]
        pub struct $query {
            /// Pagination.
            #[oai(flatten)]
            pub paging: $crate::contract::page::Paging,
            /// Field to sort by.
            #[oai(default = "Self::default_sort")]
            pub sort: Option<$sort>,
            $(#[$dir_doc])*
            pub dir: Option<$crate::contract::page::Direction>,
            $($(#[$filter_doc])* pub $filter: $filter_type,)*
        }

        impl $query {
            fn default_sort() -> Option<$sort> {
                $crate::contract::page::SortField::default_field()
            }
        }
    };
}

pub(super) use {collection, list_type, sort_fields};

/// Continuation of a list that is paginated by cursor.
#[derive(Debug, Clone, PartialEq, Eq, Object, serde::Serialize)]
#[oai(example)]
pub struct CursorMeta {
    /// Maximum number of items per page.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// True if more items follow this page.
    pub has_more: bool,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<Cursor>,
    /// Event cursor from the time of the first page; the same on all pages.
    /// To synchronize without missing a change, read every page of every list you need, then continue with
    /// `GET /v1/events?cursor=` and this cursor, in ascending order.
    pub sync_cursor: Cursor,
}

impl Example for CursorMeta {
    fn example() -> Self {
        Self { limit: 20, has_more: false, next_cursor: None, sync_cursor: world::event_cursor() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_number_is_derived_from_the_offset() {
        for (paging, number) in [
            (Paging::default(), 1),
            (Paging { page: Some(3), ..Paging::default() }, 3),
            (Paging { offset: Some(25), limit: 10, page: None }, 3),
            (Paging { page: Some(u32::MAX), limit: 100, offset: None }, u64::from(u32::MAX)),
        ] {
            let page = Page::<()> { items: Vec::new(), total: Total::exact(48), has_more: true };
            let meta = PageMeta::new(paging, &page);
            assert_eq!((meta.page, meta.total, meta.has_more), (number, 48, true), "{paging:?}");
        }
    }

    #[test]
    fn a_total_is_exact_up_to_the_maximum() {
        assert_eq!(Total::counted(MAX_COUNTED), Total { count: 1_000, is_exact: true });
        assert_eq!(Total::counted(MAX_COUNTED + 1), Total { count: 1_000, is_exact: false });
    }
}
