//! The durable queue: work that is promised in the transaction of its cause, and done after it.
//!
//! A job waits until its time, is leased to a worker, and then is done, put off for another attempt, or buried with
//! what went wrong. Whoever holds a lease holds it by its token: who comes back after the lease went to somebody else
//! changes nothing any more. A lease that ends by itself makes the job due again, which is all that a crash takes.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoreError;
use crate::contract::{InvitationId, ProjectId, Timestamp, UserId};

/// What is to be done. The name of the variant and its fields are what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case")]
pub enum Job {
    /// Welcome a new user by mail.
    WelcomeEmail {
        /// Whom.
        user: UserId,
    },
    /// Mail the link that proves an address.
    VerificationEmail {
        /// To whom.
        user: UserId,
    },
    /// Mail the link that sets another password.
    PasswordResetEmail {
        /// To whom; nobody where the address that was asked for has no account, so that both take as long.
        user: Option<UserId>,
    },
    /// Mail an invitation into a project.
    InvitationEmail {
        /// Which.
        invitation: InvitationId,
    },
    /// Note which invitations were not answered in time.
    ExpireInvitations {},
    /// Compute how much of a project is done.
    RecalculateCompletion {
        /// Which project.
        project: ProjectId,
    },
    /// Make a digest for everybody for whom it is time.
    PlanDigests {},
    /// Mail the digest of a week.
    WeeklyDigest {
        /// To whom.
        user: UserId,
        /// The moment that the digest is for, in milliseconds since 1970: Monday, 08:00 where the user lives.
        moment: i64,
    },
    /// Remove for good what was in the trash for long enough.
    PurgeDeleted {},
    /// Remove what has served its purpose: keys, tokens, sessions, jobs.
    Prune {},
}

/// Jobs that share workers. Where there is more than one worker no lane takes them all, so that a slow mail server holds up mail alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What is done in the database.
    Quick,
    /// What waits for somebody outside.
    Slow,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Slow];
}

/// How a job is kept from being there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unique {
    /// It is not.
    No,
    /// One with this key waits at a time: a second would do what the first is going to do anyway.
    WhileWaiting(String),
    /// One with this key, ever: a second would do harm.
    Once(String),
}

impl Job {
    /// The names of all kinds that this program knows.
    pub const KINDS: [&str; 10] = [
        "welcome_email",
        "verification_email",
        "password_reset_email",
        "invitation_email",
        "expire_invitations",
        "recalculate_completion",
        "plan_digests",
        "weekly_digest",
        "purge_deleted",
        "prune",
    ];

    /// The name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        let [welcome, verification, reset, invitation, expire, recalculate, plan, digest, purge, prune] = Self::KINDS;
        match self {
            Self::WelcomeEmail { .. } => welcome,
            Self::VerificationEmail { .. } => verification,
            Self::PasswordResetEmail { .. } => reset,
            Self::InvitationEmail { .. } => invitation,
            Self::ExpireInvitations {} => expire,
            Self::RecalculateCompletion { .. } => recalculate,
            Self::PlanDigests {} => plan,
            Self::WeeklyDigest { .. } => digest,
            Self::PurgeDeleted {} => purge,
            Self::Prune {} => prune,
        }
    }

    /// Which workers do it.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::WelcomeEmail { .. }
            | Self::VerificationEmail { .. }
            | Self::PasswordResetEmail { .. }
            | Self::InvitationEmail { .. }
            | Self::WeeklyDigest { .. } => Lane::Slow,
            Self::RecalculateCompletion { .. }
            | Self::ExpireInvitations {}
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {} => Lane::Quick,
        }
    }

    /// Whose job it is: it goes when the account goes.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::WelcomeEmail { user } | Self::VerificationEmail { user } | Self::WeeklyDigest { user, .. } => {
                Some(*user)
            }
            Self::PasswordResetEmail { user } => *user,
            Self::InvitationEmail { .. }
            | Self::ExpireInvitations {}
            | Self::RecalculateCompletion { .. }
            | Self::PlanDigests {}
            | Self::PurgeDeleted {}
            | Self::Prune {} => None,
        }
    }

    /// How it is kept from being there twice.
    #[must_use]
    pub fn unique(&self) -> Unique {
        let kind = self.kind();
        match self {
            Self::WelcomeEmail { .. } | Self::InvitationEmail { .. } | Self::PasswordResetEmail { user: None } => {
                Unique::No
            }
            Self::VerificationEmail { user } | Self::PasswordResetEmail { user: Some(user) } => {
                Unique::WhileWaiting(format!("{kind} {user}"))
            }
            Self::RecalculateCompletion { project } => Unique::WhileWaiting(format!("{kind} {project}")),
            Self::WeeklyDigest { user, moment } => Unique::Once(format!("{kind} {user} {}", week(*moment))),
            Self::ExpireInvitations {} | Self::PlanDigests {} | Self::PurgeDeleted {} | Self::Prune {} => {
                Unique::WhileWaiting(kind.to_owned())
            }
        }
    }
}

/// The number of a week that has a Monday at about this moment, wherever that is.
///
/// Monday, 08:00, is between Sunday, 18:00, and Monday, 20:00, in UTC. So whoever moves to another time zone on a
/// Monday does not get the digest of the same week again.
const fn week(moment: i64) -> i64 {
    const DAY: i64 = 86_400_000;
    // 1970-01-01 was a Thursday.
    (moment + 5 * DAY).div_euclid(7 * DAY)
}

/// A job that was leased to a worker.
#[derive(Debug)]
pub struct LeasedJob {
    /// By which it is finished.
    pub lease: Lease,
    /// The name of its kind.
    pub kind: String,
    /// What is to be done, if this program can read it.
    pub job: Result<Job, StoreError>,
    /// How often it was begun, this time included.
    pub attempts: u32,
}

/// The right to finish a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: Uuid,
    /// Who holds it.
    pub token: Uuid,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// For its time.
    Waiting,
    /// Leased to a worker.
    Running,
    /// It failed too often, or in a way that no other attempt would mend.
    Dead,
}

/// A job that is not done, as an operator sees it.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// By which it can be retried.
    pub id: Uuid,
    /// The name of its kind.
    pub kind: String,
    /// What it is about, as JSON.
    pub payload: String,
    /// How it stands.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: u32,
    /// When it may be taken; of a running one, when its lease ends.
    pub run_at: Timestamp,
    /// When it was promised.
    pub created_at: Timestamp,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

/// Promises of jobs.
#[async_trait]
pub trait JobRepository: Send + Sync {
    /// Promises a job for `run_at`; `false` when one like it is there already.
    ///
    /// The one that is there is not begun before the end of this transaction, so it sees what this transaction changed.
    async fn enqueue(&self, job: &Job, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError>;

    /// Promises a job once for a key of the caller's, such as the tick of a schedule.
    async fn enqueue_once(&self, job: &Job, key: &str, now: Timestamp) -> Result<bool, StoreError>;
}

/// The queue, as workers and operators see it.
#[async_trait]
pub trait QueueRepository: Send + Sync {
    /// Leases at most so many jobs of these lanes that are due, the oldest first, until `until`. Kinds that this program does
    /// not know are left to those that do.
    async fn lease(
        &self,
        lanes: &[Lane],
        limit: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError>;

    /// When the next job of these lanes becomes due, if there is one.
    async fn next_due(&self, lanes: &[Lane]) -> Result<Option<Timestamp>, StoreError>;

    /// Makes a lease last longer; `false` when it was lost.
    async fn extend(&self, lease: Lease, until: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a job is done; `false` when its lease was lost: then its effect must not be committed.
    async fn finish(&self, lease: Lease, now: Timestamp) -> Result<bool, StoreError>;

    /// Puts a job off for another attempt; `false` when its lease was lost.
    async fn put_off(&self, lease: Lease, run_at: Timestamp, error: &str) -> Result<bool, StoreError>;

    /// Puts a job aside for good, until an operator retries it; `false` when its lease was lost.
    async fn bury(&self, lease: Lease, now: Timestamp, error: &str) -> Result<bool, StoreError>;

    /// Gives a job back as if it had not been begun.
    async fn hand_back(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError>;

    /// The jobs that are not done, the oldest first.
    async fn list_unfinished(&self) -> Result<Vec<JobRecord>, StoreError>;

    /// Makes a job that waits or is dead due now, with all its attempts; `false` when there is no such job.
    async fn retry(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_the_same_on_both_sides_of_the_world() {
        let at = |text| Timestamp::parse(text).unwrap().0;
        // Monday, 08:00, in Kiritimati (UTC+14), in London, and in Niue (UTC-11).
        let [east, middle, west] = ["2026-11-22T18:00:00Z", "2026-11-23T08:00:00Z", "2026-11-23T19:00:00Z"].map(at);
        assert_eq!(week(east), week(middle));
        assert_eq!(week(middle), week(west));
        for day in 1..7 {
            assert!(week(middle + day * 86_400_000) <= week(middle) + 1);
        }
        assert_eq!(week(middle + 7 * 86_400_000), week(middle) + 1);
    }

    #[test]
    fn what_is_stored_has_the_published_names() {
        let user = UserId::generate();
        let stored = serde_json::to_value(Job::WelcomeEmail { user }).unwrap();
        assert_eq!(stored, serde_json::json!({"kind": "welcome_email", "payload": {"user": user.to_string()}}));
        for job in [
            Job::WelcomeEmail { user },
            Job::VerificationEmail { user },
            Job::PasswordResetEmail { user: None },
            Job::InvitationEmail { invitation: InvitationId::generate() },
            Job::ExpireInvitations {},
            Job::RecalculateCompletion { project: ProjectId::generate() },
            Job::PlanDigests {},
            Job::WeeklyDigest { user, moment: 7 },
            Job::PurgeDeleted {},
            Job::Prune {},
        ] {
            let stored = serde_json::to_value(job).unwrap();
            assert_eq!(stored["kind"], job.kind());
            assert_eq!(serde_json::from_value::<Job>(stored).unwrap(), job);
        }
    }
}
