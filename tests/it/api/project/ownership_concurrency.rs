//! A project is handed over at the same time as something else happens to it, or to those who own it.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{at_once, log_in_again};
use crate::api::fixtures::members::{
    ROUNDS, Sending, at, both, check_people, expected, join, membership, newcomer, outcome, request, roles,
    two_processes,
};
use crate::on_both_databases;
use crate::support::{Client, TestDatabase};

const DONE: (u16, &str) = (204, "");
const FORBIDDEN: (u16, &str) = (403, "FORBIDDEN");
const GONE: (u16, &str) = (404, "NOT_FOUND");
const LOGGED_OUT: (u16, &str) = (401, "TOKEN_REVOKED");
const OK: (u16, &str) = (200, "");

fn handing(owner: &Client, project: &str, to: &Client) -> Sending {
    request(owner, Method::PATCH, membership(project, to), json!({"role": "owner"}))
}

fn removing(by: &Client, project: &str, user: &Client) -> Sending {
    request(by, Method::DELETE, membership(project, user), Value::Null)
}

fn deleting(by: &Client, path: &str) -> Sending {
    request(by, Method::DELETE, path.to_owned(), Value::Null)
}

on_both_databases! {
    async fn of_two_transfers_to_two_members_one_counts(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let (left, right) =
                (newcomer(&one, &owner, &project, "editor").await, newcomer(&one, &owner, &project, "editor").await);
            let ends = both(handing(&owner, &project, &left), handing(&at(&other, &owner), &project, &right)).await;
            let heirs = match (outcome(&ends.0), outcome(&ends.1)) {
                (OK, FORBIDDEN) => [(&owner, "editor"), (&left, "owner"), (&right, "editor")],
                (FORBIDDEN, OK) => [(&owner, "editor"), (&left, "editor"), (&right, "owner")],
                ends => panic!("{ends:?}"),
            };
            assert_eq!(roles(&owner, &project).await, expected(heirs));
            assert_eq!(owner.get(format!("/v1/projects/{project}")).await.ok()["version"], 2);
            check_people(&database).await;
        }
    }

    async fn of_many_transfers_to_one_member_one_counts(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        let project = owner.project().await;
        let heir = newcomer(&one, &owner, &project, "viewer").await;
        let transfers =
            (0..6).map(|number| handing(&if number % 2 == 0 { owner.clone() } else { at(&other, &owner) }, &project, &heir));
        let mut ends = Vec::new();
        for answer in at_once(transfers).await {
            ends.push(answer.status.as_u16());
        }
        ends.sort_unstable();
        assert_eq!(ends, [200, 403, 403, 403, 403, 403]);
        assert_eq!(roles(&owner, &project).await, expected([(&owner, "editor"), (&heir, "owner")]));
        check_people(&database).await;
    }

    async fn a_transfer_and_the_deletion_of_the_project_exclude_each_other(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let heir = newcomer(&one, &owner, &project, "editor").await;
            let (handed, deleted) =
                both(handing(&owner, &project, &heir), deleting(&at(&other, &owner), &path)).await;
            match (outcome(&handed), outcome(&deleted)) {
                (OK, FORBIDDEN) => assert_eq!(heir.get(&path).await.ok()["role"], "owner"),
                (GONE, DONE) => {
                    heir.get(&path).await.fails(404, "NOT_FOUND");
                    heir.post_empty(format!("{path}/restore")).await.fails(403, "FORBIDDEN");
                    let restored = owner.post_empty(format!("{path}/restore")).await.ok();
                    assert_eq!((&restored["role"], &restored["version"]), (&json!("owner"), &json!(3)));
                }
                ends => panic!("{ends:?}"),
            }
            check_people(&database).await;
        }
    }

    async fn a_project_goes_with_the_account_of_who_owns_it_in_the_end(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS * 2 {
            let owner = one.user().await;
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let heir = newcomer(&one, &owner, &project, "editor").await;
            let heir_goes = round % 2 == 0;
            let (goes, stays) = if heir_goes { (&heir, &owner) } else { (&owner, &heir) };
            let (handed, gone) =
                both(handing(&owner, &project, &heir), deleting(&at(&other, goes), "/v1/me")).await;
            assert_eq!(outcome(&gone), DONE);
            check_people(&database).await;
            let is_there = stays.get(&path).await.status.as_u16() == 200;
            match (outcome(&handed), heir_goes) {
                (OK, _) => assert_eq!(is_there, !heir_goes, "it goes with its new owner only"),
                (GONE, true) => assert!(is_there, "it was not handed over"),
                (GONE | LOGGED_OUT, false) => assert!(!is_there, "it went with its owner"),
                ends => panic!("{ends:?}"),
            }
            let goes = log_in_again(&one, goes).await;
            assert_eq!(goes.get(&path).await.ok(), {
                let role = if outcome(&handed) == OK { ["owner", "editor"] } else { ["editor", "owner"] };
                let [of_heir, of_owner] = role.map(Value::from);
                let mut seen = stays.get(&path).await.ok();
                seen["role"] = if heir_goes { of_heir } else { of_owner };
                seen
            });
            check_people(&database).await;
        }
    }

    async fn who_goes_is_not_made_the_owner(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS * 2 {
            let project = owner.project().await;
            let heir = newcomer(&one, &owner, &project, "editor").await;
            let leaves = round % 2 == 0;
            let by = at(&other, if leaves { &heir } else { &owner });
            let (handed, removed) = both(handing(&owner, &project, &heir), removing(&by, &project, &heir)).await;
            match (outcome(&handed), outcome(&removed)) {
                (OK, end) => {
                    assert_eq!(end, if leaves { (409, "OWNER_REQUIRED") } else { FORBIDDEN });
                    assert_eq!(roles(&owner, &project).await, expected([(&owner, "editor"), (&heir, "owner")]));
                }
                ends => {
                    assert_eq!(ends, (GONE, DONE));
                    assert_eq!(roles(&owner, &project).await, expected([(&owner, "owner")]));
                }
            }
            check_people(&database).await;
        }
    }

    async fn whatever_two_owners_do_to_each_other_nobody_waits_for_ever(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        for round in 0..ROUNDS {
            let people = [one.user().await, one.user().await];
            let mut requests = Vec::new();
            for (owner, heir) in [(&people[0], &people[1]), (&people[1], &people[0])] {
                for _ in 0..2 {
                    let project = owner.project().await;
                    join(owner, &project, heir, "editor").await;
                    requests.push(handing(owner, &project, heir));
                    requests.push(handing(&at(&other, owner), &project, heir));
                    requests.push(removing(&at(&other, heir), &project, heir));
                    requests.push(deleting(owner, &format!("/v1/projects/{project}")));
                }
            }
            let accounts = people.iter().take(round % 3).map(|user| deleting(&at(&other, user), "/v1/me"));
            requests.extend(accounts.collect::<Vec<_>>());
            for answer in at_once(requests).await {
                let end = outcome(&answer);
                assert!([OK, DONE, FORBIDDEN, GONE, LOGGED_OUT, (409, "OWNER_REQUIRED")].contains(&end), "{end:?}");
            }
            check_people(&database).await;
        }
    }
}
