//! Content of the weekly digest.

use std::time::Duration;

use chrono::{DateTime, Days};
use chrono_tz::Tz;
use pocket_tasks::contract::Timestamp;
use serde_json::json;

use super::digest_schedule::{eight, monday_ahead, plan, set_to_eight, user_in};
use crate::api::fixtures::account::DIGEST;
use crate::api::fixtures::common::DAY;
use crate::api::fixtures::stored_members::{add_member, member, remove_member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Mail, Options, TestApp, TestDatabase};

const ZONE: Tz = Tz::Asia__Kathmandu;
const HOSTILE: &str = "<script>alert('x')</script> & co";

fn digest(app: &TestApp, user: &Client) -> Mail {
    let mut mails = app.mails_to(user.email());
    mails.retain(|mail| mail.subject == DIGEST);
    let [mail] = mails.try_into().unwrap();
    mail
}

fn local(time: Timestamp) -> String {
    let local = DateTime::from_timestamp_millis(time.0).unwrap().with_timezone(&ZONE);
    local.format("%a %-d %b %Y, %H:%M").to_string()
}

on_both_databases! {
    async fn the_digest_lists_due_tasks_and_project_progress(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let day = monday_ahead(&app);
        let at = eight(ZONE, day);
        let user = user_in(&app, ZONE).await;
        user.patch("/v1/me", json!({"name": HOSTILE})).await.ok();
        let project = user.post("/v1/projects", json!({"name": format!("Garden {HOSTILE}")})).await.created().id();
        let friend = member(&app, &project, "editor").await;
        let [overdue, soon, last, too_late] = [
            at - Duration::from_hours(3),
            at + DAY * 2,
            Timestamp((at + DAY * 7).0 - 1),
            at + DAY * 7,
        ];
        let me = json!(user.user_id());
        for (title, due, assignee, status) in [
            ("Mine overdue", Some(overdue), &me, "todo"),
            (HOSTILE, Some(soon), &me, "in_progress"),
            ("Mine at the end", Some(last), &me, "todo"),
            ("Mine too late", Some(too_late), &me, "todo"),
            ("Mine without a time", None, &me, "todo"),
            ("Mine done", Some(soon), &me, "done"),
            ("Nobody's overdue", Some(overdue), &json!(null), "todo"),
            ("Nobody's soon", Some(soon), &json!(null), "todo"),
            ("The friend's", Some(soon), &json!(friend.user_id()), "todo"),
        ] {
            let due = due.map(|due| due.to_string());
            let body = json!({"title": title, "due_at": due, "assignee_id": assignee, "status": status});
            user.task(&project, body).await;
        }
        let unseen = json!({"title": "Unseen", "due_at": soon.to_string(), "assignee_id": me});
        let trashed = user.task(&project, unseen.clone()).await.id();
        user.delete(format!("/v1/tasks/{trashed}")).await.no_content();
        let gone = user.post("/v1/projects", json!({"name": "Unseen"})).await.created().id();
        user.task(&gone, unseen.clone()).await;
        user.delete(format!("/v1/projects/{gone}")).await.no_content();
        let archived = user.post("/v1/projects", json!({"name": "Unseen"})).await.created().id();
        user.task(&archived, unseen.clone()).await;
        user.patch(format!("/v1/projects/{archived}"), json!({"archived": true})).await.ok();
        let foreign = friend.post("/v1/projects", json!({"name": "Unseen"})).await.created().id();
        friend.task(&foreign, json!({"title": "Unseen", "due_at": soon.to_string()})).await;
        set_to_eight(&app, ZONE, day);
        plan(&app).await;

        let mail = digest(&app, &user);
        let expected = format!(
            "Hello {HOSTILE},\n\n\
             Yours:\n\
             - Mine overdue (overdue since {})\n\
             - {HOSTILE} (due {})\n\
             - Mine at the end (due {})\n\n\
             Unassigned:\n\
             - Nobody's overdue (overdue since {})\n\
             - Nobody's soon (due {})\n\n\
             Projects:\n\
             - Garden {HOSTILE}: 1 of 9 done\n\
             - A project: 0 of 0 done\n",
            local(overdue), local(soon), local(last), local(overdue), local(soon),
        );
        assert!(mail.text.starts_with(&expected), "{}\n---\n{expected}", mail.text);
        assert!(mail.text.contains("http://127.0.0.1:3000"), "{}", mail.text);
        assert!(!mail.html.contains("<script"), "{}", mail.html);
        for text in ["Mine overdue", "Nobody", "1 of 9 done", &local(overdue), &local(soon), "http://127.0.0.1:3000"] {
            assert!(mail.html.contains(text), "{text}: {}", mail.html);
        }
        assert!(!mail.html.contains("Unseen") && !mail.html.contains("too late"), "{}", mail.html);
        assert!(local(overdue).ends_with("05:00"), "times are in the user's time zone");
    }

    async fn the_digest_of_a_week_without_tasks_says_so(app: TestApp) {
        let day = monday_ahead(&app);
        let user = user_in(&app, ZONE).await;
        set_to_eight(&app, ZONE, day);
        plan(&app).await;
        let mail = digest(&app, &user);
        for part in [&mail.text, &mail.html] {
            assert!(part.contains("Nothing is due this week.") && part.contains("A project: 0 of 0 done"), "{part}");
        }
    }

    async fn long_lists_are_truncated_with_the_remaining_count(app: TestApp) {
        let day = monday_ahead(&app);
        let user = user_in(&app, ZONE).await;
        let project = user.project().await;
        let at = eight(ZONE, day);
        for number in 0..13 {
            let due = (at + Duration::from_mins(number)).to_string();
            user.task(&project, json!({"title": format!("Task {number:02}"), "due_at": due})).await;
        }
        set_to_eight(&app, ZONE, day);
        plan(&app).await;
        let mail = digest(&app, &user);
        for part in [&mail.text, &mail.html] {
            assert!(part.contains("Task 09") && !part.contains("Task 10"), "{part}");
            assert!(part.contains("and 3 more"), "{part}");
        }
    }

    async fn members_of_a_project_receive_only_their_own_tasks(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let day = monday_ahead(&app);
        let owner = user_in(&app, ZONE).await;
        let project = owner.project().await;
        let ada = member(&app, &project, "viewer").await;
        ada.patch("/v1/me", json!({"timezone": ZONE.name()})).await.ok();
        // A removed member receives nothing about the project.
        let out = user_in(&app, ZONE).await;
        add_member(&app, &project, &out, "editor").await;
        let due = (eight(ZONE, day) + DAY).to_string();
        for (title, who) in [("The owner's", &owner), ("Ada's", &ada), ("The third's", &out)] {
            owner.task(&project, json!({"title": title, "due_at": due, "assignee_id": who.user_id()})).await;
        }
        remove_member(&app, &project, &out).await;
        set_to_eight(&app, ZONE, day);
        plan(&app).await;
        for (who, own) in [(&owner, "The owner's"), (&ada, "Ada's"), (&out, "Nothing is due")] {
            let mail = digest(&app, who);
            for title in ["The owner's", "Ada's", "The third's", "Nothing is due"] {
                assert_eq!(mail.text.contains(title), title == own, "{title}: {}", mail.text);
            }
        }
        // The next Monday's digest is a separate e-mail.
        set_to_eight(&app, ZONE, day + Days::new(7));
        plan(&app).await;
        let ids: std::collections::BTreeSet<String> =
            app.mails_to(ada.email()).into_iter().filter(|mail| mail.subject == DIGEST).map(|mail| mail.id).collect();
        assert_eq!(ids.len(), 2);
    }
}
