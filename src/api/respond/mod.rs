//! Responses: what handlers return.

mod event_stream;
mod failure;
mod success;

pub(super) use event_stream::EventStream;
pub(super) use failure::{
    Accepting, Changing, Declining, Failure, Filtering, Following, HandingOver, Inviting, Issuing, ListingMine,
    LoggingIn, Matching, NotReady, Pointing, Proving, Reaching, Redirecting, Refreshing, Registering, Revoking, Usual,
    Walking, WalkingAll,
};
pub(super) use success::{
    Accepted, Created, Done, ETAG_EXAMPLE, Found, Fresh, Issued, Made, MadeOnce, Performed, Promised, Shown, ShownOnce,
    Tagged, respond, set,
};
