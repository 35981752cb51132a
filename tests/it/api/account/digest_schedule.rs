//! Schedule and recipients of the weekly digest.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeZone as _};
use chrono_tz::Tz;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::repositories::Job;
use pocket_tasks::services::Services;
use serde_json::{Value, json};

use crate::api::fixtures::account::{
    DIGEST, Tables, VERIFICATION, app_requiring_verification, count_mails, enqueue, mailed_tokens, run_job, user_with,
    verify,
};
use crate::api::fixtures::common::{DAY, concurrently, log_in_again};
use crate::on_both_databases;
use crate::support::{Client, Options, TestApp, TestDatabase};

const SHORTLY: Duration = Duration::from_mins(10);

/// Eight o'clock in a time zone on the given day.
pub(crate) fn eight(zone: Tz, day: NaiveDate) -> Timestamp {
    let local = zone.from_local_datetime(&day.and_hms_opt(8, 0, 0).unwrap()).earliest().unwrap();
    Timestamp(local.timestamp_millis())
}

/// Sets the clock to a Thursday and returns the Monday after it.
pub(crate) fn monday_ahead(app: &TestApp) -> NaiveDate {
    let today = DateTime::from_timestamp_millis(app.clock.now().0).unwrap().date_naive();
    let monday = today + Days::new((14 - today.weekday().num_days_from_monday()).into());
    set(app, eight(Tz::UTC, monday) - DAY * 4);
    monday
}

/// Advances the clock to a time.
fn set(app: &TestApp, time: Timestamp) {
    app.clock.advance(Duration::from_millis(u64::try_from(time.0 - app.clock.now().0).unwrap()));
}

/// Sets the clock to one second after eight o'clock on the Monday.
pub(crate) fn set_to_eight(app: &TestApp, zone: Tz, day: NaiveDate) -> Timestamp {
    let moment = eight(zone, day);
    set(app, moment + Duration::from_secs(1));
    moment
}

/// Creates a user in a time zone, with a project.
pub(crate) async fn user_in(app: &TestApp, zone: Tz) -> Client {
    let user = user_with(app, &json!({"timezone": zone.name()})).await;
    user.project().await;
    user
}

pub(crate) async fn plan(app: &TestApp) {
    run_job(app, Job::PlanDigests {}).await;
}

async fn change(app: &TestApp, user: &Client, patch: Value) {
    log_in_again(app, user).await.patch("/v1/me", patch).await.ok();
}

/// Schedules digests concurrently, like another process.
async fn plan_in(app: TestApp, services: Services) {
    let transaction = app.store.begin().await.unwrap();
    services.digests.enqueue_due(&*transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

on_both_databases! {
    async fn digests_are_sent_at_eight_local_time_across_dst_changes(app: TestApp) {
        for zone in [Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kathmandu] {
            let has_summer = zone != Tz::Asia__Kathmandu;
            let mut first = monday_ahead(&app);
            let is_a_week = |first| eight(zone, first) + DAY * 7 == eight(zone, first + Days::new(7));
            while has_summer && is_a_week(first) {
                first = first + Days::new(7);
            }
            set(&app, eight(zone, first) - DAY * 3);
            let user = user_in(&app, zone).await;
            plan(&app).await;
            for week in 0..3 {
                let moment = eight(zone, first + Days::new(7 * week));
                set(&app, moment - SHORTLY);
                plan(&app).await;
                assert_eq!(count_mails(&app, &user, DIGEST) as u64, week, "{zone}, before {moment}");
                set(&app, moment + Duration::from_secs(1));
                plan(&app).await;
                assert_eq!(count_mails(&app, &user, DIGEST) as u64, week + 1, "{zone}, at {moment}");
            }
        }
    }

    async fn a_digest_is_sent_once_even_if_scheduled_repeatedly(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let day = monday_ahead(&app);
        let mut users = Vec::new();
        for _ in 0..5 {
            users.push(user_in(&app, Tz::UTC).await);
        }
        set_to_eight(&app, Tz::UTC, day);
        let other = TestApp::over(database.another_store().await, Options::default(), app.clock.clone());
        tokio::join!(
            plan_in(app.clone(), app.services.clone()),
            plan_in(other.clone(), other.services.clone()),
            plan_in(app.clone(), app.services.clone()),
            plan_in(other.clone(), other.services.clone()),
        );
        app.work().await;
        for _ in 0..3 {
            plan(&app).await;
            app.clock.advance(SHORTLY);
        }
        for user in &users {
            assert_eq!(count_mails(&app, user, DIGEST), 1);
        }
    }

    async fn a_time_zone_change_on_monday_neither_skips_nor_repeats_a_digest(app: TestApp) {
        let (east, middle, west) = (Tz::Asia__Tokyo, Tz::Europe__Berlin, Tz::America__Los_Angeles);
        let day = monday_ahead(&app);
        // After the digest was sent, moving west to a zone before eight o'clock; before it was sent, moving east to a zone
        // after eight o'clock; and moves in both directions on time.
        let moves = [(middle, west, true), (west, middle, false), (middle, west, false), (east, west, false)];
        let mut users = Vec::new();
        for (from, _, _) in moves {
            users.push(user_in(&app, from).await);
        }
        set(&app, eight(middle, day) - SHORTLY);
        for (user, (from, to, after)) in users.iter().zip(&moves) {
            if !after && *from == middle {
                change(&app, user, json!({"timezone": to.name()})).await;
            }
        }
        set_to_eight(&app, middle, day);
        plan(&app).await;
        app.clock.advance(SHORTLY);
        for (user, (from, to, after)) in users.iter().zip(&moves) {
            if *after || *from != middle {
                change(&app, user, json!({"timezone": to.name()})).await;
            }
        }
        for week in 0..2 {
            for zone in [east, middle, west] {
                let moment = eight(zone, day + Days::new(7 * week));
                if moment > app.clock.now() {
                    set(&app, moment + Duration::from_secs(1));
                }
                plan(&app).await;
            }
            for (user, (from, to, after)) in users.iter().zip(&moves) {
                let count = count_mails(&app, user, DIGEST) as u64;
                assert_eq!(count, week + 1, "from {from} to {to}, after the digest: {after}");
            }
        }
    }

    async fn digests_go_only_to_verified_active_and_subscribed_users(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let day = monday_ahead(&app);
        let user = || user_in(&app, Tz::UTC);
        let (willing, unverified, deleted, unwilling) = (user().await, user().await, user().await, user().await);
        let (late, back, undecided) = (user().await, user().await, user().await);
        app.work().await;
        for user in [&willing, &deleted, &unwilling, &late, &back, &undecided] {
            verify(&app, &mailed_tokens(&app, user, VERIFICATION)[0]).await.no_content();
        }
        unwilling.patch("/v1/me", json!({"weekly_digest": false})).await.ok();
        for wants in [false, true] {
            undecided.patch("/v1/me", json!({"weekly_digest": wants})).await.ok();
        }
        for user in [&deleted, &back] {
            user.delete("/v1/me").await.no_content();
        }
        log_in_again(&app, &back).await;
        // A user without a project receives no digest.
        let nothing = app.user().await;
        app.work().await;
        verify(&app, &mailed_tokens(&app, &nothing, VERIFICATION)[0]).await.no_content();
        set_to_eight(&app, Tz::UTC, day);
        // Unsubscribes between scheduling and sending.
        let transaction = app.store.begin().await.unwrap();
        app.services.digests.enqueue_due(&*transaction).await.unwrap();
        transaction.commit().await.unwrap();
        change(&app, &late, json!({"weekly_digest": false})).await;
        app.work().await;
        for (user, count) in [
            (&willing, 1), (&back, 1), (&undecided, 1), (&unverified, 0), (&deleted, 0), (&unwilling, 0), (&late, 0),
            (&nothing, 0),
        ] {
            assert_eq!(count_mails(&app, user, DIGEST), count);
        }
        // Users who subscribe or verify during the week receive the next digest.
        verify_late(&app, &unverified).await;
        change(&app, &unwilling, json!({"weekly_digest": true})).await;
        set_to_eight(&app, Tz::UTC, day + Days::new(7));
        plan(&app).await;
        for (user, count) in [(&willing, 2), (&unverified, 1), (&unwilling, 1), (&deleted, 0), (&late, 0)] {
            assert_eq!(count_mails(&app, user, DIGEST), count);
        }
    }

    async fn a_user_who_registers_on_monday_receives_the_first_digest_a_week_later(app: TestApp) {
        let day = monday_ahead(&app);
        set_to_eight(&app, Tz::UTC, day);
        let user = user_in(&app, Tz::UTC).await;
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 0);
        set_to_eight(&app, Tz::UTC, day + Days::new(7));
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 1);
    }

    async fn a_digest_more_than_a_day_late_is_skipped(app: TestApp) {
        let day = monday_ahead(&app);
        let user = user_in(&app, Tz::UTC).await;
        let moment = eight(Tz::UTC, day);
        set(&app, moment + DAY + SHORTLY);
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 0);
        set(&app, moment + DAY * 8 - SHORTLY);
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 1, "late, but within a day");
        // Scheduled in time, but no worker ran for more than a day.
        set(&app, moment + DAY * 14 + SHORTLY);
        let transaction = app.store.begin().await.unwrap();
        app.services.digests.enqueue_due(&*transaction).await.unwrap();
        transaction.commit().await.unwrap();
        app.clock.advance(DAY);
        app.work().await;
        assert_eq!(count_mails(&app, &user, DIGEST), 1);
        set(&app, moment + DAY * 21 + SHORTLY);
        enqueue(&app, Job::PlanDigests {}).await;
        app.work().await;
        assert_eq!(count_mails(&app, &user, DIGEST), 2);
    }

    async fn after_weeks_without_scheduling_only_the_current_digest_is_sent(app: TestApp) {
        let day = monday_ahead(&app);
        let user = user_in(&app, Tz::UTC).await;
        set(&app, eight(Tz::UTC, day + Days::new(21)) + SHORTLY);
        for _ in 0..2 {
            plan(&app).await;
            assert_eq!(count_mails(&app, &user, DIGEST), 1);
        }
    }

    async fn a_time_zone_change_during_scheduling_applies_to_the_next_digest(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let day = monday_ahead(&app);
        let mut users = Vec::new();
        for _ in 0..8 {
            users.push(user_in(&app, Tz::UTC).await);
        }
        set_to_eight(&app, Tz::UTC, day);
        let mut moving = Vec::new();
        for user in &users {
            let user = log_in_again(&app, user).await;
            moving.push(async move { user.patch("/v1/me", json!({"timezone": Tz::Asia__Tokyo.name()})).await.ok() });
        }
        let (_, ()) = tokio::join!(concurrently(moving), plan_in(app.clone(), app.services.clone()));
        plan(&app).await;
        let next = eight(Tz::Asia__Tokyo, day + Days::new(7)).0.to_string();
        assert_eq!(Tables::read(&database).await.column("users.next_digest_at"), vec![next; users.len()]);
        for user in &users {
            assert_eq!(count_mails(&app, user, DIGEST), 1);
        }
    }

    async fn scheduling_covers_more_than_one_batch_of_users(app: TestApp) {
        let day = monday_ahead(&app);
        let mut users = Vec::new();
        for _ in 0..101 {
            users.push(user_in(&app, Tz::UTC).await);
        }
        set_to_eight(&app, Tz::UTC, day);
        plan(&app).await;
        for user in &users {
            assert_eq!(count_mails(&app, user, DIGEST), 1);
        }
    }
}

async fn verify_late(app: &TestApp, user: &Client) {
    log_in_again(app, user).await.post_empty("/v1/auth/resend-verification").await.expect(202);
    app.work().await;
    let tokens = mailed_tokens(app, user, VERIFICATION);
    let mut answers = Vec::new();
    for token in &tokens {
        answers.push(verify(app, token).await.status.is_success());
    }
    assert!(answers.contains(&true), "one of {} tokens is valid", tokens.len());
}
