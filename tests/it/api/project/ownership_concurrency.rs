//! Ownership transfers concurrent with other changes of projects and accounts.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{concurrently, log_in_again};
use crate::api::fixtures::members::{
    PendingRequest, ROUNDS, both, check_invariants, expected_roles, join, member_path, new_member, outcome, request,
    roles, through, two_processes,
};
use crate::on_both_databases;
use crate::support::{Client, TestDatabase};

const DONE: (u16, &str) = (204, "");
const FORBIDDEN: (u16, &str) = (403, "FORBIDDEN");
const GONE: (u16, &str) = (404, "NOT_FOUND");
const LOGGED_OUT: (u16, &str) = (401, "TOKEN_REVOKED");
const OK: (u16, &str) = (200, "");

fn transfer(owner: &Client, project: &str, to: &Client) -> PendingRequest {
    request(owner, Method::PATCH, member_path(project, to), json!({"role": "owner"}))
}

fn removal(by: &Client, project: &str, user: &Client) -> PendingRequest {
    request(by, Method::DELETE, member_path(project, user), Value::Null)
}

fn deletion(by: &Client, path: &str) -> PendingRequest {
    request(by, Method::DELETE, path.to_owned(), Value::Null)
}

on_both_databases! {
    async fn one_of_two_concurrent_transfers_succeeds(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let (left, right) =
                (new_member(&one, &owner, &project, "editor").await, new_member(&one, &owner, &project, "editor").await);
            let ends = both(transfer(&owner, &project, &left), transfer(&through(&other, &owner), &project, &right)).await;
            let heirs = match (outcome(&ends.0), outcome(&ends.1)) {
                (OK, FORBIDDEN) => [(&owner, "editor"), (&left, "owner"), (&right, "editor")],
                (FORBIDDEN, OK) => [(&owner, "editor"), (&left, "editor"), (&right, "owner")],
                ends => panic!("{ends:?}"),
            };
            assert_eq!(roles(&owner, &project).await, expected_roles(heirs));
            assert_eq!(owner.get(format!("/v1/projects/{project}")).await.ok()["version"], 2);
            check_invariants(&database).await;
        }
    }

    async fn one_of_many_concurrent_transfers_to_a_member_succeeds(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        let project = owner.project().await;
        let heir = new_member(&one, &owner, &project, "viewer").await;
        let transfers =
            (0..6).map(|number| transfer(&if number % 2 == 0 { owner.clone() } else { through(&other, &owner) }, &project, &heir));
        let mut ends = Vec::new();
        for answer in concurrently(transfers).await {
            ends.push(answer.status.as_u16());
        }
        ends.sort_unstable();
        assert_eq!(ends, [200, 403, 403, 403, 403, 403]);
        assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "editor"), (&heir, "owner")]));
        check_invariants(&database).await;
    }

    async fn transfer_and_project_deletion_are_mutually_exclusive(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let heir = new_member(&one, &owner, &project, "editor").await;
            let (transferred, deleted) =
                both(transfer(&owner, &project, &heir), deletion(&through(&other, &owner), &path)).await;
            match (outcome(&transferred), outcome(&deleted)) {
                (OK, FORBIDDEN) => assert_eq!(heir.get(&path).await.ok()["role"], "owner"),
                (GONE, DONE) => {
                    heir.get(&path).await.fails(404, "NOT_FOUND");
                    heir.post_empty(format!("{path}/restore")).await.fails(403, "FORBIDDEN");
                    let restored = owner.post_empty(format!("{path}/restore")).await.ok();
                    assert_eq!((&restored["role"], &restored["version"]), (&json!("owner"), &json!(3)));
                }
                ends => panic!("{ends:?}"),
            }
            check_invariants(&database).await;
        }
    }

    async fn a_project_is_deleted_with_the_account_of_its_final_owner(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS * 2 {
            let owner = one.user().await;
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let heir = new_member(&one, &owner, &project, "editor").await;
            let heir_deleted = round % 2 == 0;
            let (deleted_user, remaining) = if heir_deleted { (&heir, &owner) } else { (&owner, &heir) };
            let (transferred, gone) =
                both(transfer(&owner, &project, &heir), deletion(&through(&other, deleted_user), "/v1/me")).await;
            assert_eq!(outcome(&gone), DONE);
            check_invariants(&database).await;
            let is_there = remaining.get(&path).await.status.as_u16() == 200;
            match (outcome(&transferred), heir_deleted) {
                (OK, _) => assert_eq!(is_there, !heir_deleted, "deleted only with its new owner"),
                (GONE, true) => assert!(is_there, "not transferred"),
                (GONE | LOGGED_OUT, false) => assert!(!is_there, "deleted with its owner"),
                ends => panic!("{ends:?}"),
            }
            let deleted_user = log_in_again(&one, deleted_user).await;
            assert_eq!(deleted_user.get(&path).await.ok(), {
                let role = if outcome(&transferred) == OK { ["owner", "editor"] } else { ["editor", "owner"] };
                let [of_heir, of_owner] = role.map(Value::from);
                let mut seen = remaining.get(&path).await.ok();
                seen["role"] = if heir_deleted { of_heir } else { of_owner };
                seen
            });
            check_invariants(&database).await;
        }
    }

    async fn a_departing_member_does_not_become_the_owner(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS * 2 {
            let project = owner.project().await;
            let heir = new_member(&one, &owner, &project, "editor").await;
            let leaves = round % 2 == 0;
            let by = through(&other, if leaves { &heir } else { &owner });
            let (transferred, removed) = both(transfer(&owner, &project, &heir), removal(&by, &project, &heir)).await;
            match (outcome(&transferred), outcome(&removed)) {
                (OK, end) => {
                    assert_eq!(end, if leaves { (409, "OWNER_REQUIRED") } else { FORBIDDEN });
                    assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "editor"), (&heir, "owner")]));
                }
                ends => {
                    assert_eq!(ends, (GONE, DONE));
                    assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner")]));
                }
            }
            check_invariants(&database).await;
        }
    }

    async fn concurrent_operations_of_two_owners_do_not_deadlock(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS {
            let people = [one.user().await, one.user().await];
            let mut requests = Vec::new();
            for (owner, heir) in [(&people[0], &people[1]), (&people[1], &people[0])] {
                for _ in 0..2 {
                    let project = owner.project().await;
                    join(owner, &project, heir, "editor").await;
                    requests.push(transfer(owner, &project, heir));
                    requests.push(transfer(&through(&other, owner), &project, heir));
                    requests.push(removal(&through(&other, heir), &project, heir));
                    requests.push(deletion(owner, &format!("/v1/projects/{project}")));
                }
            }
            let accounts = people.iter().take(round % 3).map(|user| deletion(&through(&other, user), "/v1/me"));
            requests.extend(accounts.collect::<Vec<_>>());
            for answer in concurrently(requests).await {
                let end = outcome(&answer);
                assert!([OK, DONE, FORBIDDEN, GONE, LOGGED_OUT, (409, "OWNER_REQUIRED")].contains(&end), "{end:?}");
            }
            check_invariants(&database).await;
        }
    }
}
