//! Weekly digest: schedule and content.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::contract::account::user::User;
use crate::contract::page::{Direction, Page, Paging, Sort};
use crate::contract::project::{Project, ProjectSort};
use crate::contract::strings::TimeZone;
use crate::contract::task::query::TaskSort;
use crate::contract::task::{Task, TaskStatus};
use crate::contract::{Timestamp, UserId};
use crate::repositories::{Assignee, Credentials, Job, ProjectFilter, Repositories, TaskFilter, Transaction};
use crate::services::{Error, ServiceContext};

/// Delay after which a digest is skipped.
const MAX_DELAY: Duration = Duration::from_hours(24);

/// Maximum number of users whose digests are enqueued in one transaction.
const BATCH_SIZE: u64 = 100;

/// Maximum number of tasks or projects listed in a section.
const MAX_ITEMS: u32 = 10;

const WEEK: Duration = Duration::from_hours(7 * 24);

/// Content of a weekly digest.
#[derive(Debug, Clone)]
pub struct Digest {
    /// Recipient.
    pub user: User,
    /// Time zone of the recipient.
    pub timezone: Tz,
    /// Tasks assigned to the recipient that are overdue or due within a week.
    pub assigned: Page<Task>,
    /// The same for unassigned tasks.
    pub unassigned: Page<Task>,
    /// Active projects of the recipient.
    pub projects: Page<Project>,
}

/// Weekly digest.
#[derive(Clone)]
pub struct Digests(pub(crate) Arc<ServiceContext>);

impl Digests {
    /// Enqueues due digests of some users. Returns whether there may be more.
    pub async fn enqueue_due(&self, transaction: &dyn Transaction) -> Result<bool, Error> {
        let now = self.0.clock.now();
        let due = transaction.users().list_due_digests(now, BATCH_SIZE).await?;
        let may_be_more = due.len() as u64 == BATCH_SIZE;
        for (user, scheduled_for) in due {
            // After an outage of weeks, only the latest digest may still be in time.
            let last = if is_overdue(scheduled_for, now) {
                next_monday(timezone(&user.timezone), now - MAX_DELAY)
            } else {
                scheduled_for
            };
            if user.email_verified && last <= now {
                let digest = Job::WeeklyDigest { user: user.id, moment: last.0 };
                transaction.jobs().enqueue(&digest, now, now).await?;
            }
            self.0.schedule_digest(transaction, &user, None, now).await?;
        }
        Ok(may_be_more)
    }

    /// Builds the digest of a user. Returns `None` if it is overdue, unwanted or empty.
    pub async fn build(&self, user: UserId, scheduled_for: Timestamp) -> Result<Option<Digest>, Error> {
        if is_overdue(scheduled_for, self.0.clock.now()) {
            return Ok(None);
        }
        let repositories = self.0.store.read_unindexed();
        let user = repositories.users().find_credentials(user).await?;
        let user = user.filter(Credentials::is_active).map(|found| found.user);
        let Some(user) = user.filter(|user| user.weekly_digest && user.email_verified) else { return Ok(None) };
        let filter = ProjectFilter { archived: Some(false), ..ProjectFilter::default() };
        let by_change = Sort { field: ProjectSort::UpdatedAt, direction: Direction::Desc };
        let projects = repositories.projects().list(user.id, &filter, by_change, first_ones()).await?;
        if projects.total.count == 0 {
            return Ok(None);
        }
        Ok(Some(Digest {
            timezone: timezone(&user.timezone),
            assigned: due_tasks(repositories, user.id, Assignee::User(user.id), scheduled_for).await?,
            unassigned: due_tasks(repositories, user.id, Assignee::Unassigned, scheduled_for).await?,
            projects,
            user,
        }))
    }
}

fn is_overdue(scheduled_for: Timestamp, now: Timestamp) -> bool {
    scheduled_for + MAX_DELAY <= now
}

const fn first_ones() -> Paging {
    Paging { limit: MAX_ITEMS, page: None, offset: None }
}

async fn due_tasks(
    repositories: &dyn Repositories,
    reader: UserId,
    assignee: Assignee,
    scheduled_for: Timestamp,
) -> Result<Page<Task>, Error> {
    let filter = TaskFilter {
        statuses: vec![TaskStatus::Todo, TaskStatus::InProgress],
        assignee: Some(assignee),
        due_before: Some(scheduled_for + WEEK),
        not_archived: true,
        ..TaskFilter::default()
    };
    let by_due = Sort { field: TaskSort::DueAt, direction: Direction::Asc };
    Ok(repositories.task_lists().list_visible(reader, &filter, by_due, first_ones()).await?.page)
}

impl ServiceContext {
    /// Schedules the next digest.
    /// `planned` is the current schedule, if the time zone or the setting has changed.
    pub(crate) async fn schedule_digest(
        &self,
        transaction: &dyn Transaction,
        user: &User,
        planned: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let next = user.weekly_digest.then(|| next_monday(timezone(&user.timezone), now));
        // A user who moves on a Monday to a zone where 08:00 has passed still gets the digest of this week.
        let this_week = planned.filter(|planned| next.is_some_and(|next| *planned + WEEK / 2 < next));
        Ok(transaction.users().schedule_digest(user.id, this_week.or(next)).await?)
    }
}

fn timezone(name: &TimeZone) -> Tz {
    // A later edition of the time zone database may have dropped a name.
    name.parse().unwrap_or(Tz::UTC)
}

/// Returns the first Monday at 08:00 in a time zone after a time.
fn next_monday(timezone: Tz, after: Timestamp) -> Timestamp {
    let local = DateTime::from_timestamp_millis(after.0).unwrap_or_default().with_timezone(&timezone);
    let days_to_monday = (7 - local.weekday().num_days_from_monday()) % 7;
    let monday = local.date_naive() + Days::new(days_to_monday.into());
    [monday, monday + Days::new(7)]
        .into_iter()
        .map(|day| {
            let eight = day.and_time(NaiveTime::MIN) + TimeDelta::hours(8);
            // If the clock skips 08:00, the first whole hour after the gap; if 08:00 occurs twice, the first.
            let mut moments =
                (0..24).filter_map(|hour| timezone.from_local_datetime(&(eight + TimeDelta::hours(hour))).earliest());
            moments.next().map_or(after + WEEK, |scheduled_for| Timestamp(scheduled_for.timestamp_millis()))
        })
        .find(|scheduled_for| *scheduled_for > after)
        .unwrap_or_else(|| after + WEEK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_digest_is_due_on_monday_at_eight_in_the_time_zone_of_the_user() {
        for (zone, after, next) in [
            ("UTC", "2026-11-22T12:00:00Z", "2026-11-23T08:00:00Z"),
            ("UTC", "2026-11-23T07:59:59.999Z", "2026-11-23T08:00:00Z"),
            ("UTC", "2026-11-23T08:00:00Z", "2026-11-30T08:00:00Z"),
            // Start and end of daylight saving time.
            ("Europe/Berlin", "2026-10-19T06:00:00Z", "2026-10-26T07:00:00Z"),
            ("Europe/Berlin", "2026-03-23T07:00:00Z", "2026-03-30T06:00:00Z"),
            ("America/New_York", "2026-03-02T13:00:00Z", "2026-03-09T12:00:00Z"),
            // Offsets that cross Monday morning in UTC.
            ("Pacific/Kiritimati", "2026-11-22T17:59:59Z", "2026-11-22T18:00:00Z"),
            ("Pacific/Niue", "2026-11-23T18:59:59Z", "2026-11-23T19:00:00Z"),
            ("Asia/Kathmandu", "2026-11-22T00:00:00Z", "2026-11-23T02:15:00Z"),
        ] {
            assert_eq!(next_monday(zone.parse().unwrap(), at(after)), at(next), "{zone} {after}");
        }
    }

    #[test]
    fn a_year_has_one_digest_a_week_everywhere() {
        for zone in chrono_tz::TZ_VARIANTS {
            let mut scheduled_for = next_monday(zone, at("2026-01-01T00:00:00Z"));
            for _ in 0..52 {
                let next = next_monday(zone, scheduled_for);
                let days = (next.0 - scheduled_for.0) / 3_600_000;
                assert!((7 * 24 - 2..=7 * 24 + 2).contains(&days), "{zone}: {scheduled_for} and {next}");
                scheduled_for = next;
            }
        }
    }
}
