//! HTTP behaviour common to all operations.

mod body_validation;
mod cors;
mod costs;
mod deprecations;
mod docs;
mod edge;
mod encodings;
mod etags;
mod landing_pages;
mod malformed_bodies;
mod preconditions;
mod query_validation;
mod rate_limits;
mod static_assets;
mod v1_transcript;
