//! The published document as a whole, and that the API keeps it.

mod coverage;
mod deployment;
mod drift;
mod paths;
mod readme;
mod security;
mod story;
mod types;
mod walk;
