//! When the weekly digest comes, and to whom.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeZone as _};
use chrono_tz::Tz;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::repositories::Job;
use pocket_tasks::services::Services;
use serde_json::{Value, json};

use crate::api::fixtures::account::{
    DIGEST, Tables, VERIFICATION, app_with_proofs, count_mails, mailed_tokens, perform, promise, user_with, verify,
};
use crate::api::fixtures::common::{DAY, at_once, log_in_again};
use crate::on_both_databases;
use crate::support::{Client, Options, TestApp, TestDatabase};

const SHORTLY: Duration = Duration::from_mins(10);

/// Eight o'clock on a day, somewhere.
pub(crate) fn eight(zone: Tz, day: NaiveDate) -> Timestamp {
    let local = zone.from_local_datetime(&day.and_hms_opt(8, 0, 0).unwrap()).earliest().unwrap();
    Timestamp(local.timestamp_millis())
}

/// A Monday, with the clock set to the Thursday before it.
pub(crate) fn monday_ahead(app: &TestApp) -> NaiveDate {
    let today = DateTime::from_timestamp_millis(app.clock.now().0).unwrap().date_naive();
    let monday = today + Days::new((14 - today.weekday().num_days_from_monday()).into());
    set(app, eight(Tz::UTC, monday) - DAY * 4);
    monday
}

/// Sets the clock forward.
fn set(app: &TestApp, time: Timestamp) {
    app.clock.advance(Duration::from_millis(u64::try_from(time.0 - app.clock.now().0).unwrap()));
}

/// Sets the clock to the Monday at eight, and a moment more.
pub(crate) fn set_to_eight(app: &TestApp, zone: Tz, day: NaiveDate) -> Timestamp {
    let moment = eight(zone, day);
    set(app, moment + Duration::from_secs(1));
    moment
}

/// A user somewhere who has a project.
pub(crate) async fn user_in(app: &TestApp, zone: Tz) -> Client {
    let user = user_with(app, &json!({"timezone": zone.name()})).await;
    user.project().await;
    user
}

pub(crate) async fn plan(app: &TestApp) {
    perform(app, Job::PlanDigests {}).await;
}

async fn change(app: &TestApp, user: &Client, patch: Value) {
    log_in_again(app, user).await.patch("/v1/me", patch).await.ok();
}

/// Plans as another process would at the same time.
async fn plan_in(app: TestApp, services: Services) {
    let transaction = app.store.begin().await.unwrap();
    services.digests.enqueue_due(&*transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

on_both_databases! {
    async fn it_comes_at_eight_where_the_user_lives_when_the_clocks_change_too(app: TestApp) {
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

    async fn it_comes_once_however_often_it_is_planned(database: TestDatabase) {
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

    async fn who_moves_on_a_monday_gets_one_for_this_week_and_one_for_the_next(app: TestApp) {
        let (east, middle, west) = (Tz::Asia__Tokyo, Tz::Europe__Berlin, Tz::America__Los_Angeles);
        let day = monday_ahead(&app);
        // After it came, westward, where it is not eight yet; before it came, eastward, where eight is over; and both
        // ways in time.
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

    async fn who_is_not_verified_not_there_or_not_willing_gets_none(database: TestDatabase) {
        let app = app_with_proofs(&database).await;
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
        // Without a project there is nothing to tell.
        let nothing = app.user().await;
        app.work().await;
        verify(&app, &mailed_tokens(&app, &nothing, VERIFICATION)[0]).await.no_content();
        set_to_eight(&app, Tz::UTC, day);
        // After it was planned, and before it is sent.
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
        // Who is asked for a week later has one then.
        verify_late(&app, &unverified).await;
        change(&app, &unwilling, json!({"weekly_digest": true})).await;
        set_to_eight(&app, Tz::UTC, day + Days::new(7));
        plan(&app).await;
        for (user, count) in [(&willing, 2), (&unverified, 1), (&unwilling, 1), (&deleted, 0), (&late, 0)] {
            assert_eq!(count_mails(&app, user, DIGEST), count);
        }
    }

    async fn who_begins_on_a_monday_gets_the_first_a_week_later(app: TestApp) {
        let day = monday_ahead(&app);
        set_to_eight(&app, Tz::UTC, day);
        let user = user_in(&app, Tz::UTC).await;
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 0);
        set_to_eight(&app, Tz::UTC, day + Days::new(7));
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 1);
    }

    async fn one_that_is_a_day_late_is_left_out(app: TestApp) {
        let day = monday_ahead(&app);
        let user = user_in(&app, Tz::UTC).await;
        let moment = eight(Tz::UTC, day);
        set(&app, moment + DAY + SHORTLY);
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 0);
        set(&app, moment + DAY * 8 - SHORTLY);
        plan(&app).await;
        assert_eq!(count_mails(&app, &user, DIGEST), 1, "late, but not too late");
        // Planned in time, and then nobody worked for more than a day.
        set(&app, moment + DAY * 14 + SHORTLY);
        let transaction = app.store.begin().await.unwrap();
        app.services.digests.enqueue_due(&*transaction).await.unwrap();
        transaction.commit().await.unwrap();
        app.clock.advance(DAY);
        app.work().await;
        assert_eq!(count_mails(&app, &user, DIGEST), 1);
        set(&app, moment + DAY * 21 + SHORTLY);
        promise(&app, Job::PlanDigests {}).await;
        app.work().await;
        assert_eq!(count_mails(&app, &user, DIGEST), 2);
    }

    async fn where_nobody_planned_for_weeks_that_of_this_monday_comes(app: TestApp) {
        let day = monday_ahead(&app);
        let user = user_in(&app, Tz::UTC).await;
        set(&app, eight(Tz::UTC, day + Days::new(21)) + SHORTLY);
        for _ in 0..2 {
            plan(&app).await;
            assert_eq!(count_mails(&app, &user, DIGEST), 1);
        }
    }

    async fn who_moves_while_digests_are_planned_gets_the_next_at_the_new_place(database: TestDatabase) {
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
        let (_, ()) = tokio::join!(at_once(moving), plan_in(app.clone(), app.services.clone()));
        plan(&app).await;
        let next = eight(Tz::Asia__Tokyo, day + Days::new(7)).0.to_string();
        assert_eq!(Tables::read(&database).await.column("users.next_digest_at"), vec![next; users.len()]);
        for user in &users {
            assert_eq!(count_mails(&app, user, DIGEST), 1);
        }
    }

    async fn a_hundred_and_more_are_planned_at_once(app: TestApp) {
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
    assert!(answers.contains(&true), "one of {} is good", tokens.len());
}
