//! Projects, members and invitations.

mod completion;
mod contention;
mod crud;
mod invitation_concurrency;
mod invitation_emails;
mod invitation_limits;
mod invitation_responses;
mod invitations;
mod large_removals;
mod leave;
mod lists;
mod members;
mod ownership_concurrency;
mod ownership_transfer;
mod quotas;
mod removal_concurrency;
mod removal_during_write;
