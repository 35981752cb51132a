//! Members of projects: lists and roles.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, UNKNOWN_IDS, log_in_again, with};
use crate::api::fixtures::members::{
    expected_roles, join, member_path, members_path, new_member, roles, set_role, user_named,
};
use crate::api::fixtures::writes::{KEY, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

async fn names(reader: &Client, project: &str, query: &str) -> Vec<Value> {
    reader.get(format!("{}?{query}", members_path(project))).await.ok().column("name")
}

/// Creates a project whose members joined one after the other.
async fn people(app: &TestApp) -> (String, Vec<Client>) {
    let owner = user_named(app, "Zoë").await;
    let project = owner.project().await;
    let mut people = vec![owner];
    for (name, role) in [("ÄNNE B", "viewer"), ("adam", "editor"), ("änne", "viewer"), ("Bea", "editor")] {
        app.clock.advance(Duration::from_secs(1));
        let user = user_named(app, name).await;
        join(&people[0], &project, &user, role).await;
        people.push(user);
    }
    (project, people)
}

on_both_databases! {
    async fn members_are_listed_by_time_or_by_name_in_any_alphabet(app: TestApp) {
        let (project, people) = people(&app).await;
        let all = people[2].get(members_path(&project)).await.ok();
        assert_eq!(all["meta"], json!({"total": 5, "total_is_exact": true, "page": 1, "limit": 20, "has_more": false}));
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
        let page = people[1].get(format!("{}?role=viewer&limit=1", members_path(&project))).await.ok();
        assert_eq!(page["meta"], json!({"total": 2, "total_is_exact": true, "page": 1, "limit": 1, "has_more": true}));
    }

    async fn invalid_member_list_queries_are_rejected(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for (query, failures) in [
            ("sort=email", &["sort:enum"][..]),
            ("role=admin&dir=up", &["role:enum", "dir:enum"]),
            ("q=x", &["q:unknown_parameter"]),
            ("limit=101", &["limit:maximum"]),
        ] {
            owner.get(format!("{}?{query}", members_path(&project))).await.invalid(failures);
        }
    }

    async fn a_deleted_member_is_hidden_until_restoration(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (ada, bob) =
            (new_member(&app, &owner, &project, "viewer").await, new_member(&app, &owner, &project, "editor").await);
        let before = owner.get(members_path(&project)).await.ok();
        ada.delete("/v1/me").await.no_content();
        assert_eq!(roles(&bob, &project).await, expected_roles([(&owner, "owner"), (&bob, "editor")]));
        let list = owner.get(format!("{}?limit=1&role=viewer", members_path(&project))).await.ok();
        assert_eq!(list["meta"]["total"], 0);
        for role in ["editor", "viewer", "owner"] {
            set_role(&owner, &project, &ada, role).await.fails(404, "NOT_FOUND");
        }
        owner.patch(member_path(&project, &ada), json!({})).await.fails(404, "NOT_FOUND");
        let ada = log_in_again(&app, &ada).await;
        assert_eq!(owner.get(members_path(&project)).await.ok(), before);
        set_role(&owner, &project, &ada, "owner").await.ok();
    }

    async fn a_role_change_takes_effect_immediately(app: TestApp) {
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
        // A role change does not change the version of the project.
        let after = owner.get(&path).await.ok();
        assert_eq!((&after["version"], &after["updated_at"]), (&before["version"], &before["updated_at"]));
    }

    async fn an_update_with_the_same_role_changes_nothing_and_does_not_use_its_key(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let user = app.user().await;
        let member = join(&owner, &project, &user, "viewer").await;
        let (path, key) = (format!("/v1/projects/{project}"), new_key());
        let before = owner.get(&path).await.ok();
        let change = |user: &Client, body: Value| {
            owner.call(Method::PATCH, member_path(&project, user)).json(&body).header(KEY, &key).send()
        };
        for body in [json!({}), json!({"role": "viewer"})] {
            assert_eq!(change(&user, body).await.ok(), member);
        }
        for body in [json!({}), json!({"role": "owner"})] {
            assert_eq!(change(&owner, body).await.ok()["role"], "owner");
        }
        assert_eq!(owner.get(&path).await.ok(), before);
        owner.patch(&path, json!({"archived": true})).await.ok();
        assert_eq!(change(&user, json!({})).await.ok(), member, "an update without changes is accepted");
        change(&user, json!({"role": "editor"})).await.fails(403, "PROJECT_ARCHIVED");
        owner.patch(&path, json!({"archived": false})).await.ok();
        assert_eq!(change(&user, json!({"role": "editor"})).await.ok()["role"], "editor");
        change(&user, json!({})).await.fails(422, "IDEMPOTENCY_KEY_REUSED");
    }

    async fn the_owner_cannot_change_their_own_role(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        new_member(&app, &owner, &project, "editor").await;
        let before = roles(&owner, &project).await;
        for role in ["editor", "viewer"] {
            set_role(&owner, &project, &owner, role).await.fails(409, "OWNER_REQUIRED");
        }
        assert_eq!(roles(&owner, &project).await, before);
    }

    async fn role_changes_of_non_members_and_invalid_roles_are_rejected(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (user, stranger) = (new_member(&app, &owner, &project, "viewer").await, app.user().await);
        let elsewhere = new_member(&app, &stranger, &stranger.project().await, "editor").await;
        for (body, failures) in [
            (json!({"role": null}), &["role:null"][..]),
            (json!({"role": "admin"}), &["role:enum"]),
            (json!({"role": 1}), &["role:type"]),
            (json!({"role": "viewer", "name": "x"}), &["name:unknown_field"]),
        ] {
            owner.patch(member_path(&project, &user), body).await.invalid(failures);
        }
        let ids = UNKNOWN_IDS.into_iter().chain([UNKNOWN_ID, stranger.user_id(), elsewhere.user_id()]);
        for id in ids {
            let path = format!("/v1/projects/{project}/members/{id}");
            for body in [json!({}), json!({"role": "editor"}), json!({"role": "owner"})] {
                owner.patch(&path, body).await.fails(404, "NOT_FOUND");
            }
            owner.delete(&path).await.fails(404, "NOT_FOUND");
        }
        assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner"), (&user, "viewer")]));
    }
}
