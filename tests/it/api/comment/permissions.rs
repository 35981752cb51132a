//! Permissions on comments.

use poem::http::Method;
use serde_json::{Value, json};

use super::crud::{at, comment, comments_on, owner_with_task};
use crate::api::fixtures::common::{log_in_again, send};
use crate::api::fixtures::stored_members::{add_member, member, remove_member};
use crate::api::fixtures::writes::{KEY, assert_first, assert_replay, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

/// Changes the role of a member.
async fn set_role(app: &TestApp, project: &str, user: &Client, role: &str) {
    remove_member(app, project, user).await;
    add_member(app, project, user, role).await;
}

async fn post_comment(client: &Client, task: &str) -> Answer {
    client.post(comments_on(task), json!({"body": "Said"})).await
}

async fn change(client: &Client, comment: &Value) -> Answer {
    client.patch(at(comment), json!({"body": format!("Changed by {}", client.user_id())})).await
}

/// Expects 403 for a change, because the client did not write the comment, and checks that the comment is unchanged.
async fn only_the_author_changes(client: &Client, comment: &Value) {
    let refused = change(client, comment).await.fails(403, "FORBIDDEN");
    assert_eq!(refused["message"], "Only the author of a comment can change it.");
    let refused = client.patch(at(comment), json!({})).await.fails(403, "FORBIDDEN");
    assert_eq!(refused["message"], "Only the author of a comment can change it.");
    assert_eq!(&client.get(at(comment)).await.ok(), comment);
}

/// Expects this error for an update and a deletion of the comment, and checks that it is unchanged.
async fn assert_protected(client: &Client, owner: &Client, comment: &Value, error: &str) {
    change(client, comment).await.fails(403, error);
    client.delete(at(comment)).await.fails(403, error);
    assert_eq!(&owner.get(at(comment)).await.ok(), comment);
}

on_both_databases! {
    async fn members_read_comments_and_editors_write_them(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let said = comment(&owner, &task, "Said").await;
        let (editor, viewer) = (member(&app, &project, "editor").await, member(&app, &project, "viewer").await);
        for reader in [&owner, &editor, &viewer] {
            assert_eq!(reader.get(at(&said)).await.ok(), said);
            assert_eq!(reader.get(comments_on(&task)).await.ok()["data"], json!([said]));
        }
        assert_eq!(post_comment(&editor, &task).await.created()["author_id"], editor.user_id());
        let refused = post_comment(&viewer, &task).await.fails(403, "FORBIDDEN");
        assert!(refused["message"].as_str().unwrap().contains("editor"), "{refused}");
        let stranger = app.user().await;
        stranger.project().await;
        stranger.get(at(&said)).await.fails(403, "FORBIDDEN");
        stranger.get(comments_on(&task)).await.fails(403, "FORBIDDEN");
        post_comment(&stranger, &task).await.fails(403, "FORBIDDEN");
        assert_protected(&stranger, &owner, &said, "FORBIDDEN").await;
        assert_eq!(owner.get(comments_on(&task)).await.ok()["meta"]["total"], 2);
    }

    async fn only_the_author_edits_a_comment_and_the_owner_deletes_any(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let editors = [member(&app, &project, "editor").await, member(&app, &project, "editor").await];
        let by_owner = comment(&owner, &task, "Owner").await;
        for (author, other) in [(&editors[0], &editors[1]), (&editors[1], &editors[0])] {
            let theirs = comment(author, &task, "Theirs").await;
            assert_protected(other, &owner, &theirs, "FORBIDDEN").await;
            let changed = change(author, &theirs).await.ok();
            assert_eq!((&changed["author_id"], &changed["version"]), (&json!(author.user_id()), &json!(2)));
            only_the_author_changes(&owner, &changed).await;
            only_the_author_changes(other, &changed).await;
            author.delete(at(&theirs)).await.no_content();
            let another = comment(author, &task, "Theirs").await;
            owner.delete(at(&another)).await.no_content();
            assert_protected(author, &owner, &by_owner, "FORBIDDEN").await;
        }
    }

    async fn an_author_demoted_to_viewer_edits_old_comments_but_adds_none(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let by_owner = comment(&owner, &task, "Owner").await;
        let (first, second) = (comment(&ada, &task, "First").await, comment(&ada, &task, "Second").await);
        set_role(&app, &project, &ada, "viewer").await;
        post_comment(&ada, &task).await.fails(403, "FORBIDDEN");
        assert_protected(&ada, &owner, &by_owner, "FORBIDDEN").await;
        assert_eq!(change(&ada, &first).await.ok()["version"], 2);
        ada.delete(at(&second)).await.no_content();
    }

    async fn a_former_member_cannot_edit_but_remains_the_author(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let said = comment(&ada, &task, "Said").await;
        owner.delete(format!("/v1/projects/{project}/members/{}", ada.user_id())).await.no_content();
        ada.get(at(&said)).await.fails(403, "FORBIDDEN");
        ada.get(comments_on(&task)).await.fails(403, "FORBIDDEN");
        post_comment(&ada, &task).await.fails(403, "FORBIDDEN");
        ada.patch(at(&said), json!({})).await.fails(403, "FORBIDDEN");
        assert_protected(&ada, &owner, &said, "FORBIDDEN").await;
        assert_eq!(said["author_id"], ada.user_id());
        add_member(&app, &project, &ada, "viewer").await;
        change(&ada, &said).await.ok();
    }

    async fn an_ownership_transfer_keeps_the_authors_of_comments(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let (by_owner, by_ada) = (comment(&owner, &task, "Owner").await, comment(&ada, &task, "Ada").await);
        let body = json!({"role": "owner"});
        owner.patch(format!("/v1/projects/{project}/members/{}", ada.user_id()), body).await.ok();
        assert_protected(&owner, &ada, &by_ada, "FORBIDDEN").await;
        let by_owner = change(&owner, &by_owner).await.ok();
        only_the_author_changes(&ada, &by_owner).await;
        ada.delete(at(&by_owner)).await.no_content();
    }

    async fn comments_in_an_archived_project_are_read_only(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let editor = member(&app, &project, "editor").await;
        let viewer = member(&app, &project, "viewer").await;
        let (by_owner, theirs) = (comment(&owner, &task, "Owner").await, comment(&editor, &task, "Theirs").await);
        let archived = |archived: bool| owner.patch(format!("/v1/projects/{project}"), json!({"archived": archived}));
        archived(true).await.ok();
        // Missing authorship is reported before the archived project.
        only_the_author_changes(&owner, &theirs).await;
        owner.delete(at(&theirs)).await.fails(403, "PROJECT_ARCHIVED");
        for (client, comment) in [(&owner, &by_owner), (&editor, &theirs)] {
            assert_protected(client, &owner, comment, "PROJECT_ARCHIVED").await;
            // An update without changes is accepted.
            assert_eq!(&client.patch(at(comment), json!({})).await.ok(), comment);
            assert_eq!(&client.patch(at(comment), json!({"body": comment["body"]})).await.ok(), comment);
        }
        post_comment(&owner, &task).await.fails(403, "PROJECT_ARCHIVED");
        post_comment(&editor, &task).await.fails(403, "PROJECT_ARCHIVED");
        // Missing permission is reported before the archived project.
        post_comment(&viewer, &task).await.fails(403, "FORBIDDEN");
        assert_protected(&viewer, &owner, &theirs, "FORBIDDEN").await;
        assert_protected(&editor, &owner, &by_owner, "FORBIDDEN").await;
        assert_eq!(viewer.get(comments_on(&task)).await.ok()["meta"]["total"], 2);
        archived(false).await.ok();
        change(&editor, &theirs).await.ok();
        post_comment(&editor, &task).await.created();
    }

    async fn permissions_follow_the_current_project_of_the_task(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let target = owner.project().await;
        // One member of both projects with different roles, and one member of each project alone.
        let both = member(&app, &project, "editor").await;
        add_member(&app, &target, &both, "viewer").await;
        let (left, arrived) = (member(&app, &project, "editor").await, member(&app, &target, "editor").await);
        let (by_both, by_left) = (comment(&both, &task, "Both").await, comment(&left, &task, "Left").await);
        let move_to = |project: &str| owner.post(format!("/v1/tasks/{task}/move"), json!({"project_id": project}));
        move_to(&target).await.ok();
        left.get(at(&by_left)).await.fails(403, "FORBIDDEN");
        left.get(comments_on(&task)).await.fails(403, "FORBIDDEN");
        post_comment(&left, &task).await.fails(403, "FORBIDDEN");
        assert_protected(&left, &owner, &by_left, "FORBIDDEN").await;
        assert_protected(&arrived, &owner, &by_left, "FORBIDDEN").await;
        assert_eq!(arrived.get(at(&by_left)).await.ok(), by_left);
        post_comment(&arrived, &task).await.created();
        post_comment(&both, &task).await.fails(403, "FORBIDDEN");
        let changed = change(&both, &by_both).await.ok();
        owner.patch(format!("/v1/projects/{target}"), json!({"archived": true})).await.ok();
        both.patch(at(&changed), json!({"body": "Later"})).await.fails(403, "PROJECT_ARCHIVED");
        both.delete(at(&changed)).await.fails(403, "PROJECT_ARCHIVED");
        only_the_author_changes(&owner, &by_left).await;
        owner.delete(at(&by_left)).await.fails(403, "PROJECT_ARCHIVED");
        owner.patch(format!("/v1/projects/{target}"), json!({"archived": false})).await.ok();
        move_to(&project).await.ok();
        change(&left, &by_left).await.ok();
        arrived.get(at(&by_left)).await.fails(403, "FORBIDDEN");
    }

    async fn a_response_is_replayed_only_to_a_caller_with_permission(app: TestApp) {
        let (_, project, task) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let kept = comment(&ada, &task, "Kept").await;
        let (changed, removed) = (at(&kept), at(&comment(&ada, &task, "Removed").await));
        for (method, path, body, in_role) in [
            (Method::POST, comments_on(&task), json!({"body": "Said"}), 403),
            (Method::PATCH, changed, json!({"body": "Changed"}), 200),
            (Method::DELETE, removed, Value::Null, 204),
        ] {
            let key = new_key();
            let request = || {
                let call = ada.call(method.clone(), path.as_str()).header(KEY, &key);
                if body.is_null() { call.send() } else { call.json(&body).send() }
            };
            let first = request().await;
            assert_first(&first, method.as_str());
            assert_replay(&first, &request().await, method.as_str());
            set_role(&app, &project, &ada, "viewer").await;
            let again = request().await;
            assert_eq!(again.status.as_u16(), in_role, "{method}: {}", again.text);
            remove_member(&app, &project, &ada).await;
            request().await.fails(403, "FORBIDDEN");
            add_member(&app, &project, &ada, "editor").await;
            assert_replay(&first, &request().await, method.as_str());
        }
        let list = ada.get(format!("{}?dir=asc", comments_on(&task))).await.ok();
        assert_eq!(list.column("body"), [json!("Changed"), json!("Said")]);
    }

    async fn comments_of_a_deleted_account_are_unchanged(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, task) = owner_with_task(&app).await;
        let ada = member(&app, &project, "editor").await;
        let said = comment(&ada, &task, "Said").await;
        ada.delete("/v1/me").await.no_content();
        assert_eq!(owner.get(at(&said)).await.ok(), said);
        only_the_author_changes(&owner, &said).await;
        let ada = log_in_again(&app, &ada).await;
        assert_eq!(change(&ada, &said).await.ok()["version"], 2);
        send(&ada, &Method::DELETE, &at(&said), &Value::Null).await.no_content();
    }
}
