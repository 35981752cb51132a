//! Who is in a project, in which order they are listed, and what role they have.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{NO_IDS, NOBODY, log_in_again, with};
use crate::api::fixtures::members::{expected, join, members, membership, named, newcomer, roles, set_role};
use crate::api::fixtures::writes::{KEY, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

async fn names(reader: &Client, project: &str, query: &str) -> Vec<Value> {
    reader.get(format!("{}?{query}", members(project))).await.ok().column("name")
}

/// A project with people who came one after the other.
async fn people(app: &TestApp) -> (String, Vec<Client>) {
    let owner = named(app, "Zoë").await;
    let project = owner.project().await;
    let mut people = vec![owner];
    for (name, role) in [("ÄNNE B", "viewer"), ("adam", "editor"), ("änne", "viewer"), ("Bea", "editor")] {
        app.clock.advance(Duration::from_secs(1));
        let user = named(app, name).await;
        join(&people[0], &project, &user, role).await;
        people.push(user);
    }
    (project, people)
}

on_both_databases! {
    async fn members_are_listed_by_when_they_came_or_by_name_in_any_alphabet(app: TestApp) {
        let (project, people) = people(&app).await;
        let all = people[2].get(members(&project)).await.ok();
        assert_eq!(all["meta"], json!({"total": 5, "page": 1, "limit": 20, "has_more": false}));
        for member in all["data"].as_array().unwrap() {
            let user = people.iter().find(|user| member["user_id"] == user.user_id()).unwrap();
            assert_eq!((&member["email"], &member["name"]), (&json!(user.email()), &user.session["user"]["name"]));
        }
        let came = ["Zoë", "ÄNNE B", "adam", "änne", "Bea"].map(Value::from);
        let by_name = ["adam", "Bea", "Zoë", "änne", "ÄNNE B"].map(Value::from);
        for (query, order) in [
            ("sort=joined_at&dir=asc", came.to_vec()),
            ("", came.iter().rev().cloned().collect()),
            ("dir=asc", came.to_vec()),
            ("sort=name", by_name.to_vec()),
            ("sort=name&dir=desc", by_name.iter().rev().cloned().collect()),
            ("sort=name&limit=2&page=2", by_name[2..4].to_vec()),
            ("sort=name&limit=2&offset=1", by_name[1..3].to_vec()),
            ("sort=name&limit=2&page=4", vec![]),
            ("role=viewer&sort=name", by_name[3..].to_vec()),
            ("role=editor&sort=name&limit=1&page=2", by_name[1..2].to_vec()),
            ("role=owner", by_name[2..3].to_vec()),
        ] {
            assert_eq!(names(&people[4], &project, query).await, order, "{query}");
        }
        let page = people[1].get(format!("{}?role=viewer&limit=1", members(&project))).await.ok();
        assert_eq!(page["meta"], json!({"total": 2, "page": 1, "limit": 1, "has_more": true}));
    }

    async fn what_cannot_be_asked_of_the_list_is_named(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for (query, failures) in [
            ("sort=email", &["sort:enum"][..]),
            ("role=admin&dir=up", &["role:enum", "dir:enum"]),
            ("q=x", &["q:unknown_parameter"]),
            ("limit=101", &["limit:maximum"]),
        ] {
            owner.get(format!("{}?{query}", members(&project))).await.invalid(failures);
        }
    }

    async fn who_is_in_the_trash_is_no_member_until_coming_back(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (ada, bob) =
            (newcomer(&app, &owner, &project, "viewer").await, newcomer(&app, &owner, &project, "editor").await);
        let before = owner.get(members(&project)).await.ok();
        ada.delete("/v1/me").await.no_content();
        assert_eq!(roles(&bob, &project).await, expected([(&owner, "owner"), (&bob, "editor")]));
        let list = owner.get(format!("{}?limit=1&role=viewer", members(&project))).await.ok();
        assert_eq!(list["meta"]["total"], 0);
        for role in ["editor", "viewer", "owner"] {
            set_role(&owner, &project, &ada, role).await.fails(404, "NOT_FOUND");
        }
        owner.patch(membership(&project, &ada), json!({})).await.fails(404, "NOT_FOUND");
        let ada = log_in_again(&app, &ada).await;
        assert_eq!(owner.get(members(&project)).await.ok(), before);
        set_role(&owner, &project, &ada, "owner").await.ok();
    }

    async fn another_role_counts_at_once(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let user = app.user().await;
        let member = join(&owner, &project, &user, "viewer").await;
        let path = format!("/v1/projects/{project}");
        let before = owner.get(&path).await.ok();
        let write = || user.post(format!("{path}/tasks"), json!({"title": "x"}));
        write().await.fails(403, "FORBIDDEN");
        let changed = set_role(&owner, &project, &user, "editor").await.ok();
        assert_eq!(changed, with(&member, &json!({"role": "editor"})));
        assert_eq!(user.get(&path).await.ok()["role"], "editor");
        write().await.created();
        assert_eq!(set_role(&owner, &project, &user, "viewer").await.ok(), member);
        write().await.fails(403, "FORBIDDEN");
        // A role is nothing of the project's own.
        let after = owner.get(&path).await.ok();
        assert_eq!((&after["version"], &after["updated_at"]), (&before["version"], &before["updated_at"]));
    }

    async fn what_changes_no_role_changes_nothing_and_uses_up_no_key(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let user = app.user().await;
        let member = join(&owner, &project, &user, "viewer").await;
        let (path, key) = (format!("/v1/projects/{project}"), new_key());
        let before = owner.get(&path).await.ok();
        let change = |user: &Client, body: Value| {
            owner.call(Method::PATCH, membership(&project, user)).json(&body).header(KEY, &key).send()
        };
        for body in [json!({}), json!({"role": "viewer"})] {
            assert_eq!(change(&user, body).await.ok(), member);
        }
        for body in [json!({}), json!({"role": "owner"})] {
            assert_eq!(change(&owner, body).await.ok()["role"], "owner");
        }
        assert_eq!(owner.get(&path).await.ok(), before);
        owner.patch(&path, json!({"archived": true})).await.ok();
        assert_eq!(change(&user, json!({})).await.ok(), member, "nothing changes, so nothing is refused");
        change(&user, json!({"role": "editor"})).await.fails(403, "PROJECT_ARCHIVED");
        owner.patch(&path, json!({"archived": false})).await.ok();
        assert_eq!(change(&user, json!({"role": "editor"})).await.ok()["role"], "editor");
        change(&user, json!({})).await.fails(422, "IDEMPOTENCY_KEY_REUSED");
    }

    async fn the_owner_gets_no_other_role(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        newcomer(&app, &owner, &project, "editor").await;
        let before = roles(&owner, &project).await;
        for role in ["editor", "viewer"] {
            set_role(&owner, &project, &owner, role).await.fails(409, "OWNER_REQUIRED");
        }
        assert_eq!(roles(&owner, &project).await, before);
    }

    async fn a_change_of_nobody_or_to_no_role_is_refused(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (user, stranger) = (newcomer(&app, &owner, &project, "viewer").await, app.user().await);
        let elsewhere = newcomer(&app, &stranger, &stranger.project().await, "editor").await;
        for (body, failures) in [
            (json!({"role": null}), &["role:null"][..]),
            (json!({"role": "admin"}), &["role:enum"]),
            (json!({"role": 1}), &["role:type"]),
            (json!({"role": "viewer", "name": "x"}), &["name:unknown_field"]),
        ] {
            owner.patch(membership(&project, &user), body).await.invalid(failures);
        }
        let ids = NO_IDS.into_iter().chain([NOBODY, stranger.user_id(), elsewhere.user_id()]);
        for id in ids {
            let path = format!("/v1/projects/{project}/members/{id}");
            for body in [json!({}), json!({"role": "editor"}), json!({"role": "owner"})] {
                owner.patch(&path, body).await.fails(404, "NOT_FOUND");
            }
            owner.delete(&path).await.fails(404, "NOT_FOUND");
        }
        assert_eq!(roles(&owner, &project).await, expected([(&owner, "owner"), (&user, "viewer")]));
    }
}
