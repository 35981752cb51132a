//! The event feed.

mod atomicity;
mod bulk_changes;
mod concurrency;
mod content;
mod cursors;
mod epoch;
mod every_write_emits_an_event;
mod long_texts;
mod matrix;
mod pages;
mod retention;
mod sync;
mod visibility;
