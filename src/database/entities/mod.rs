//! SeaORM entities of the tables that the crate `migration` creates.

#![expect(unreachable_pub, reason = "what SeaORM derives for a table must be as visible as the table")]

/// Completes an entity whose joins are written out in the queries.
macro_rules! no_relations {
    () => {
        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    };
}

pub(super) mod api_token;
pub(super) mod audit_entry;
pub(super) mod comment;
pub(super) mod counter;
pub(super) mod delivery;
pub(super) mod email_token;
pub(super) mod event;
pub(super) mod event_sequence;
pub(super) mod idempotency_key;
pub(super) mod invitation;
pub(super) mod job;
pub(super) mod known_address;
pub(super) mod long_text;
pub(super) mod member;
pub(super) mod previous_secret;
pub(super) mod project;
pub(super) mod rate_limit;
pub(super) mod refresh_token;
pub(super) mod session;
pub(super) mod storage_probe;
pub(super) mod stream_ticket;
pub(super) mod task;
pub(super) mod task_label;
pub(super) mod user;
pub(super) mod webhook;
pub(super) mod webhook_fan_out;
