//! HTTP behaviour common to all operations.

mod alphabets;
mod body_validation;
mod cors;
mod costs;
mod deprecations;
mod docs;
mod edge;
mod encodings;
mod etags;
mod hostile_text;
mod inventory;
mod landing_pages;
mod malformed_bodies;
mod messages;
mod preconditions;
mod query_validation;
mod rate_limits;
mod security_headers;
mod shared_rate_limits;
mod static_assets;
mod v1_transcript;
