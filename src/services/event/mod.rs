//! Events. From commit to browser: `publish` appends the events of a change in its transaction (transactional outbox);
//! `list` reads pages by cursor; `hub` broadcasts committed events to the `stream` of each client, whose `subscription`
//! keeps its position and catches up from the database.

pub(crate) mod cursor;
pub(crate) mod hub;
pub(crate) mod publish;
pub(crate) mod stream;
pub(crate) mod subscription;
