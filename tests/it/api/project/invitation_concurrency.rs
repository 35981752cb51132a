//! Invitations that are made and answered by many at the same time, in two processes.

use std::time::Duration;

use pocket_tasks::repositories::Job;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::perform;
use crate::api::fixtures::common::at_once;
use crate::api::fixtures::members::{
    ROUNDS, Sending, accept, at, both, check_people, expected, invitations, invited, outcome, request, roles,
    status_of, two_processes,
};
use crate::on_both_databases;
use crate::support::{Client, Options, TestApp, TestClock, TestDatabase};

const TOO_LATE: (u16, &str) = (409, "INVITATION_NOT_PENDING");

fn answering(user: &Client, invitation: &str, how: &str) -> Sending {
    request(user, Method::POST, format!("/v1/invitations/{invitation}/{how}"), Value::Null)
}

/// Sees that who accepted is a member, and nobody else; gives what became of the invitation.
async fn settled(owner: &Client, project: &str, guest: &Client, invitation: &str) -> String {
    let status = status_of(owner, project, invitation).await;
    let status = status.as_str().unwrap();
    let there = if status == "accepted" {
        expected([(owner, "owner"), (guest, "editor")])
    } else {
        expected([(owner, "owner")])
    };
    assert_eq!(roles(owner, project).await, there, "{status}");
    status.to_owned()
}

on_both_databases! {
    async fn of_many_to_one_address_one_is_made(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let guest = one.user().await;
            let requests = (0..8).map(|number| {
                let client = if number % 2 == 0 { owner.clone() } else { at(&other, &owner) };
                let email = if number % 3 == 0 { guest.email().to_uppercase() } else { guest.email().to_owned() };
                let role = if number % 4 < 2 { "viewer" } else { "editor" };
                request(&client, Method::POST, invitations(&project), json!({"email": email, "role": role}))
            });
            let answers = at_once(requests).await;
            let (made, refused): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status.is_success());
            assert_eq!(made.len(), 1);
            for answer in refused {
                answer.fails(409, "ALREADY_INVITED");
            }
            let list = owner.get(invitations(&project)).await.ok();
            assert_eq!(list["data"], json!([made[0].body]));
            one.work().await;
            assert_eq!(one.mails_to(guest.email()).len(), 2, "one welcomes and one invites");
        }
        check_people(&database).await;
    }

    async fn of_many_acceptances_one_counts(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let guest = one.user().await;
            let id = invited(&owner, &project, &guest, "editor").await;
            let requests = (0..6).map(|number| {
                answering(&if number % 2 == 0 { guest.clone() } else { at(&other, &guest) }, &id, "accept")
            });
            let answers = at_once(requests).await;
            let (good, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
            assert_eq!(good.len(), 1);
            for answer in late {
                assert_eq!(outcome(&answer), TOO_LATE);
            }
            assert_eq!(settled(&owner, &project, &guest, &id).await, "accepted");
            let listed = owner.get(format!("/v1/projects/{project}/members?role=editor")).await.ok();
            assert_eq!(listed["data"], json!([good[0].body]));
        }
        check_people(&database).await;
    }

    async fn whoever_comes_first_decides_what_becomes_of_it(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS * 2 {
            let project = owner.project().await;
            let guest = one.user().await;
            let id = invited(&owner, &project, &guest, "editor").await;
            let elsewhere = at(&other, &guest);
            let revoking = request(&owner, Method::DELETE, format!("{}/{id}", invitations(&project)), Value::Null);
            let declining = answering(&elsewhere, &id, "decline");
            let accepting = answering(&guest, &id, "accept");
            let (yes, no, word) = if round % 2 == 0 {
                let (yes, no) = both(accepting, revoking).await;
                (yes, no, "revoked")
            } else {
                let (no, yes) = both(declining, accepting).await;
                (yes, no, "declined")
            };
            let status = match (outcome(&yes), outcome(&no)) {
                ((200, ""), TOO_LATE) => "accepted",
                (TOO_LATE, (204, "")) => word,
                other => panic!("{other:?}"),
            };
            assert_eq!(settled(&owner, &project, &guest, &id).await, status);
        }
        check_people(&database).await;
    }

    async fn an_answer_that_comes_in_time_is_not_lost_to_who_notes_the_end(database: TestDatabase) {
        let early = TestApp::new(&database, Options::default()).await;
        // The clock of the other process is ahead, so that for it the invitation has just ended.
        let late = TestApp::over(database.another_store().await, Options::default(), TestClock::default());
        late.clock.advance(Duration::from_hours(7 * 24));
        let owner = early.user().await;
        for round in 0..ROUNDS {
            let project = owner.project().await;
            let guest = early.user().await;
            let id = invited(&owner, &project, &guest, "editor").await;
            let how = if round % 3 == 0 { "decline" } else { "accept" };
            let noting = {
                let late = late.clone();
                async move { perform(&late, Job::ExpireInvitations {}).await }
            };
            let (answer, ()) = both(answering(&guest, &id, how), noting).await;
            // An answer that holds the invitation while the job passes by has left nothing to note.
            let status = settled(&owner, &project, &guest, &id).await;
            match outcome(&answer) {
                (200, "") => assert_eq!(status, "accepted"),
                (204, "") => assert_eq!(status, "declined"),
                answer => assert_eq!((answer, status.as_str()), (TOO_LATE, "expired")),
            }
        }
        check_people(&database).await;
    }

    async fn who_is_invited_again_while_answering_is_invited_once(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS * 2 {
            let project = owner.project().await;
            let guest = one.user().await;
            let id = invited(&owner, &project, &guest, "editor").await;
            let again = request(
                &at(&other, &owner),
                Method::POST,
                invitations(&project),
                json!({"email": guest.email(), "role": "viewer"}),
            );
            let accepts = round % 2 == 0;
            let answer = answering(&guest, &id, if accepts { "accept" } else { "decline" });
            let (answer, again) = both(answer, again).await;
            assert!(answer.status.is_success(), "{}", answer.text);
            let again = outcome(&again);
            let pending = owner.get(format!("{}?status=pending", invitations(&project))).await.ok();
            if accepts {
                assert!([(409, "ALREADY_MEMBER"), (409, "ALREADY_INVITED")].contains(&again), "{again:?}");
                assert_eq!(pending["meta"]["total"], 0);
            } else {
                assert!([(201, ""), (409, "ALREADY_INVITED")].contains(&again), "{again:?}");
                assert_eq!(pending["meta"]["total"], u16::from(again.0 == 201));
            }
            let status = if accepts { "accepted" } else { "declined" };
            assert_eq!(settled(&owner, &project, &guest, &id).await, status);
        }
        check_people(&database).await;
    }

    async fn nobody_comes_into_a_project_that_closes_meanwhile(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS * 2 {
            let owner = one.user().await;
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let guest = one.user().await;
            let id = invited(&owner, &project, &guest, "editor").await;
            let deletes = round % 2 == 0;
            let elsewhere = at(&other, &owner);
            let closing = if deletes {
                request(&elsewhere, Method::DELETE, path.clone(), Value::Null)
            } else {
                request(&elsewhere, Method::PATCH, path.clone(), json!({"archived": true}))
            };
            let (answer, closed) = both(answering(&guest, &id, "accept"), closing).await;
            assert!(closed.status.is_success(), "{}", closed.text);
            if deletes {
                owner.post_empty(format!("{path}/restore")).await.ok();
            }
            let status = settled(&owner, &project, &guest, &id).await;
            match (outcome(&answer), deletes) {
                ((200, ""), _) => assert_eq!(status, "accepted"),
                ((404, "NOT_FOUND"), true) => assert_eq!(status, "pending"),
                ((403, "PROJECT_ARCHIVED"), false) => {
                    assert_eq!(status, "pending");
                    accept(&guest, &id).await.fails(403, "PROJECT_ARCHIVED");
                }
                (other, _) => panic!("{other:?}"),
            }
        }
        check_people(&database).await;
    }
}
