//! Concurrent invitations and responses in two processes.

use std::time::Duration;

use pocket_tasks::repositories::Job;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::run_job;
use crate::api::fixtures::common::concurrently;
use crate::api::fixtures::members::{
    PendingRequest, ROUNDS, accept, both, check_invariants, expected_roles, invitation_status, invitations_path,
    invite_user, outcome, request, roles, through, two_processes,
};
use crate::on_both_databases;
use crate::support::{Client, Options, TestApp, TestClock, TestDatabase};

const NOT_PENDING: (u16, &str) = (409, "INVITATION_NOT_PENDING");

fn respond(user: &Client, invitation: &str, how: &str) -> PendingRequest {
    request(user, Method::POST, format!("/v1/invitations/{invitation}/{how}"), Value::Null)
}

/// Asserts that the guest is a member only after acceptance, and returns the status of the invitation.
async fn final_status(owner: &Client, project: &str, guest: &Client, invitation: &str) -> String {
    let status = invitation_status(owner, project, invitation).await;
    let status = status.as_str().unwrap();
    let there = if status == "accepted" {
        expected_roles([(owner, "owner"), (guest, "editor")])
    } else {
        expected_roles([(owner, "owner")])
    };
    assert_eq!(roles(owner, project).await, there, "{status}");
    status.to_owned()
}

on_both_databases! {
    async fn one_of_many_concurrent_invitations_to_an_address_is_created(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let guest = one.user().await;
            let requests = (0..8).map(|number| {
                let client = if number % 2 == 0 { owner.clone() } else { through(&other, &owner) };
                let email = if number % 3 == 0 { guest.email().to_uppercase() } else { guest.email().to_owned() };
                let role = if number % 4 < 2 { "viewer" } else { "editor" };
                request(&client, Method::POST, invitations_path(&project), json!({"email": email, "role": role}))
            });
            let answers = concurrently(requests).await;
            let (created, refused): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status.is_success());
            assert_eq!(created.len(), 1);
            for answer in refused {
                answer.fails(409, "ALREADY_INVITED");
            }
            let list = owner.get(invitations_path(&project)).await.ok();
            assert_eq!(list["data"], json!([created[0].body]));
            one.work().await;
            assert_eq!(one.mails_to(guest.email()).len(), 2, "one welcome and one invitation");
        }
        check_invariants(&database).await;
    }

    async fn one_of_many_concurrent_acceptances_succeeds(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let guest = one.user().await;
            let id = invite_user(&owner, &project, &guest, "editor").await;
            let requests = (0..6).map(|number| {
                respond(&if number % 2 == 0 { guest.clone() } else { through(&other, &guest) }, &id, "accept")
            });
            let answers = concurrently(requests).await;
            let (good, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
            assert_eq!(good.len(), 1);
            for answer in late {
                assert_eq!(outcome(&answer), NOT_PENDING);
            }
            assert_eq!(final_status(&owner, &project, &guest, &id).await, "accepted");
            let listed = owner.get(format!("/v1/projects/{project}/members?role=editor")).await.ok();
            assert_eq!(listed["data"], json!([good[0].body]));
        }
        check_invariants(&database).await;
    }

    async fn the_first_response_decides_the_outcome(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS * 2 {
            let project = owner.project().await;
            let guest = one.user().await;
            let id = invite_user(&owner, &project, &guest, "editor").await;
            let elsewhere = through(&other, &guest);
            let revoking = request(&owner, Method::DELETE, format!("{}/{id}", invitations_path(&project)), Value::Null);
            let declining = respond(&elsewhere, &id, "decline");
            let accepting = respond(&guest, &id, "accept");
            let (yes, no, word) = if round % 2 == 0 {
                let (yes, no) = both(accepting, revoking).await;
                (yes, no, "revoked")
            } else {
                let (no, yes) = both(declining, accepting).await;
                (yes, no, "declined")
            };
            let status = match (outcome(&yes), outcome(&no)) {
                ((200, ""), NOT_PENDING) => "accepted",
                (NOT_PENDING, (204, "")) => word,
                other => panic!("{other:?}"),
            };
            assert_eq!(final_status(&owner, &project, &guest, &id).await, status);
        }
        check_invariants(&database).await;
    }

    async fn a_response_in_time_is_not_overwritten_by_the_expiry_job(database: TestDatabase) {
        let early = TestApp::new(&database, Options::default()).await;
        // The clock of the other process is ahead, so that the invitation has just expired for it.
        let late = TestApp::over(database.another_store().await, Options::default(), TestClock::default());
        late.clock.advance(Duration::from_hours(7 * 24));
        let owner = early.user().await;
        for round in 0..ROUNDS {
            let project = owner.project().await;
            let guest = early.user().await;
            let id = invite_user(&owner, &project, &guest, "editor").await;
            let how = if round % 3 == 0 { "decline" } else { "accept" };
            let expiring = {
                let late = late.clone();
                async move { run_job(&late, Job::ExpireInvitations {}).await }
            };
            let (answer, ()) = both(respond(&guest, &id, how), expiring).await;
            // The job skips an invitation that is locked by a response.
            let status = final_status(&owner, &project, &guest, &id).await;
            match outcome(&answer) {
                (200, "") => assert_eq!(status, "accepted"),
                (204, "") => assert_eq!(status, "declined"),
                answer => assert_eq!((answer, status.as_str()), (NOT_PENDING, "expired")),
            }
        }
        check_invariants(&database).await;
    }

    async fn a_second_invitation_during_a_response_leaves_at_most_one_pending(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS * 2 {
            let project = owner.project().await;
            let guest = one.user().await;
            let id = invite_user(&owner, &project, &guest, "editor").await;
            let again = request(
                &through(&other, &owner),
                Method::POST,
                invitations_path(&project),
                json!({"email": guest.email(), "role": "viewer"}),
            );
            let accepts = round % 2 == 0;
            let answer = respond(&guest, &id, if accepts { "accept" } else { "decline" });
            let (answer, again) = both(answer, again).await;
            assert!(answer.status.is_success(), "{}", answer.text);
            let again = outcome(&again);
            let pending = owner.get(format!("{}?status=pending", invitations_path(&project))).await.ok();
            if accepts {
                assert!([(409, "ALREADY_MEMBER"), (409, "ALREADY_INVITED")].contains(&again), "{again:?}");
                assert_eq!(pending["meta"]["total"], 0);
            } else {
                assert!([(201, ""), (409, "ALREADY_INVITED")].contains(&again), "{again:?}");
                assert_eq!(pending["meta"]["total"], u16::from(again.0 == 201));
            }
            let status = if accepts { "accepted" } else { "declined" };
            assert_eq!(final_status(&owner, &project, &guest, &id).await, status);
        }
        check_invariants(&database).await;
    }

    async fn an_acceptance_fails_once_the_project_is_closed(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS * 2 {
            let owner = one.user().await;
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let guest = one.user().await;
            let id = invite_user(&owner, &project, &guest, "editor").await;
            let deletes = round % 2 == 0;
            let elsewhere = through(&other, &owner);
            let closing = if deletes {
                request(&elsewhere, Method::DELETE, path.clone(), Value::Null)
            } else {
                request(&elsewhere, Method::PATCH, path.clone(), json!({"archived": true}))
            };
            let (answer, closed) = both(respond(&guest, &id, "accept"), closing).await;
            assert!(closed.status.is_success(), "{}", closed.text);
            if deletes {
                owner.post_empty(format!("{path}/restore")).await.ok();
            }
            let status = final_status(&owner, &project, &guest, &id).await;
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
        check_invariants(&database).await;
    }
}
