//! Ownership transfers.

use std::time::Duration;

use poem::http::Method;
use serde_json::json;

use crate::api::fixtures::common::{log_in_again, time, with};
use crate::api::fixtures::members::{
    check_invariants, expected_roles, join, member_path, members_path, new_member, remove, roles, set_role,
};
use crate::api::fixtures::writes::{KEY, assert_first, assert_replay, new_key};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_transfer_makes_the_member_owner_and_the_owner_editor(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for role in ["viewer", "editor"] {
            let owner = app.user().await;
            let project = owner.project().await;
            let path = format!("/v1/projects/{project}");
            let (heir, third) = (app.user().await, new_member(&app, &owner, &project, "viewer").await);
            let member = join(&owner, &project, &heir, role).await;
            let before = owner.get(&path).await.ok();
            app.clock.advance(Duration::from_secs(1));
            let answer = set_role(&owner, &project, &heir, "owner").await.ok();
            assert_eq!(answer, with(&member, &json!({"role": "owner"})));
            let everybody = expected_roles([(&owner, "editor"), (&heir, "owner"), (&third, "viewer")]);
            assert_eq!(roles(&third, &project).await, everybody);
            let list = third.get(format!("{}?role=owner", members_path(&project))).await.ok();
            assert_eq!((&list["meta"]["total"], &list["data"][0]["user_id"]), (&json!(1), &json!(heir.user_id())));
            let after = heir.get(&path).await.ok();
            let changes = json!({
                "owner_id": heir.user_id(), "version": before["version"].as_i64().unwrap() + 1,
                "updated_at": after["updated_at"],
            });
            assert_eq!(after, with(&before, &changes));
            assert!(time(&after["updated_at"]) > time(&before["updated_at"]));
            assert_eq!(owner.get(&path).await.ok(), with(&after, &json!({"role": "editor"})));
            // From now on only the new owner has owner rights.
            owner.patch(&path, json!({"name": "x"})).await.fails(403, "FORBIDDEN");
            set_role(&owner, &project, &third, "owner").await.fails(403, "FORBIDDEN");
            remove(&owner, &project, &third).await.fails(403, "FORBIDDEN");
            set_role(&heir, &project, &third, "editor").await.ok();
            set_role(&heir, &project, &owner, "owner").await.ok();
            let everybody = expected_roles([(&owner, "owner"), (&heir, "editor"), (&third, "editor")]);
            assert_eq!(roles(&third, &project).await, everybody);
            check_invariants(&database).await;
        }
    }

    async fn only_the_owner_transfers_and_only_an_active_project(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}");
        let (editor, viewer) =
            (new_member(&app, &owner, &project, "editor").await, new_member(&app, &owner, &project, "viewer").await);
        for client in [&editor, &viewer, &app.user().await] {
            for to in [&editor, &viewer, &owner] {
                set_role(client, &project, to, "owner").await.fails(403, "FORBIDDEN");
            }
        }
        owner.patch(&path, json!({"archived": true})).await.ok();
        let before = owner.get(&path).await.ok();
        set_role(&owner, &project, &editor, "owner").await.fails(403, "PROJECT_ARCHIVED");
        assert_eq!(owner.get(&path).await.ok(), before);
        owner.delete(&path).await.no_content();
        set_role(&owner, &project, &editor, "owner").await.fails(404, "NOT_FOUND");
        check_invariants(&database).await;
    }

    async fn account_deletion_deletes_only_currently_owned_projects(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}");
        let heir = new_member(&app, &owner, &project, "viewer").await;
        set_role(&owner, &project, &heir, "owner").await.ok();
        owner.delete("/v1/me").await.no_content();
        heir.get(&path).await.ok();
        let owner = log_in_again(&app, &owner).await;
        heir.delete("/v1/me").await.no_content();
        owner.get(&path).await.fails(404, "NOT_FOUND");
        log_in_again(&app, &heir).await;
        assert_eq!(owner.get(&path).await.ok()["owner_id"], heir.user_id());
        check_invariants(&database).await;
    }

    async fn a_former_owner_may_replay_only_the_transfer(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (heir, third) =
            (new_member(&app, &owner, &project, "viewer").await, new_member(&app, &owner, &project, "viewer").await);
        let keyed = |method: Method, path: String, key: &str| owner.call(method, path).header(KEY, key);
        let [rename, promote, take_out, hand_over] = [new_key(), new_key(), new_key(), new_key()];
        let guest = new_member(&app, &owner, &project, "viewer").await;
        let requests = || {
            [
                keyed(Method::PATCH, format!("/v1/projects/{project}"), &rename).json(&json!({"name": "y"})),
                keyed(Method::PATCH, member_path(&project, &third), &promote).json(&json!({"role": "editor"})),
                keyed(Method::DELETE, member_path(&project, &guest), &take_out),
            ]
        };
        let transfer =
            || keyed(Method::PATCH, member_path(&project, &heir), &hand_over).json(&json!({"role": "owner"})).send();
        for request in requests() {
            assert_first(&request.send().await, "as the owner");
        }
        let first = transfer().await;
        assert_first(&first, "the transfer");
        assert_replay(&first, &transfer().await, "the former owner");
        for request in requests() {
            request.send().await.fails(403, "FORBIDDEN");
        }
        // The stored response is returned, regardless of the current owner.
        set_role(&heir, &project, &third, "owner").await.ok();
        assert_replay(&first, &transfer().await, "after another transfer");
        let everybody = expected_roles([(&owner, "editor"), (&heir, "editor"), (&third, "owner")]);
        assert_eq!(roles(&owner, &project).await, everybody);
        set_role(&third, &project, &owner, "viewer").await.ok();
        assert_replay(&first, &transfer().await, "by a viewer");
        remove(&third, &project, &owner).await.no_content();
        transfer().await.fails(403, "FORBIDDEN");
    }
}
