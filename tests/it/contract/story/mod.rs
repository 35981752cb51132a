//! The examples of the document are one story: each request, sent in order, gets the documented response.

mod compare;
mod runner;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::runner::Runner;
use crate::api::fixtures::account::{RESET, VERIFICATION};
use crate::api::fixtures::webhooks::LOCAL;
use crate::on_both_databases;
use crate::support::document::operations;
use crate::support::{Client, Options, Receiver, TestApp, TestDatabase};

const ADA: &str = "ada@example.com";
const GRACE: &str = "grace@example.com";

/// Registers a user who is not in the document.
async fn newcomer(runner: &Runner, email: &str, name: &str) -> Client {
    let body = json!({"email": email, "name": name, "password": "correct horse battery"});
    let session = runner.app.anonymous().post("/v1/auth/register", body).await.created();
    runner.app.with_token(session["access_token"].as_str().unwrap())
}

/// Client with the access token of a response.
fn signed_in(runner: &Runner, session: &Value) -> Client {
    runner.app.with_token(session["access_token"].as_str().unwrap())
}

async fn begin_account(runner: &mut Runner) -> Client {
    let anyone = runner.app.anonymous();
    runner.run("getLiveness", &anyone).await;
    runner.run("getReadiness", &anyone).await;
    let registered = runner.run("register", &anyone).await;
    runner.run("resendVerification", &signed_in(runner, &registered)).await;
    runner.expect_mailed_token("verifyEmail", ADA, VERIFICATION).await;
    runner.run("verifyEmail", &anyone).await;
    runner.run("login", &anyone).await;
    let session = runner.run("refreshSession", &anyone).await;
    let ada = signed_in(runner, &session);
    runner.run("listMyAuditLog", &ada).await;
    runner.run("getMe", &ada).await;
    runner.run("updateMe", &ada).await;
    runner.run_stale("updateMe", &ada, None).await;
    runner.run("listSessions", &ada).await;
    runner.run("revokeSession", &ada).await;
    runner.run("createApiToken", &ada).await;
    runner.run("listApiTokens", &ada).await;
    runner.run("revokeApiToken", &ada).await;
    runner.follow_events(&ada);
    ada
}

async fn begin_project(runner: &mut Runner, ada: &Client) {
    runner.run("createProject", ada).await;
    let mut stream = runner.open_stream("streamEvents", ada).await;
    runner.run("createTask", ada).await;
    let event = stream.event().await;
    runner.compare_response("streamEvents", &event);
    runner.run("createStreamTicket", ada).await;
    for operation in [
        "listEvents",
        "getProject",
        "listProjects",
        "getTask",
        "listProjectTasks",
        "listTasks",
        "listProjectTasksV2",
        "listTasksV2",
        "updateProject",
    ] {
        runner.run(operation, ada).await;
    }
    runner.run_stale("updateProject", ada, None).await;
    runner.run_stale("deleteProject", ada, None).await;
}

async fn follow_by_webhook(runner: &mut Runner, ada: &Client, receiver: &Receiver) {
    runner.expect("createWebhook", "url", &receiver.url);
    for operation in ["createWebhook", "getWebhook", "listWebhooks"] {
        runner.run(operation, ada).await;
    }
    runner.app.work().await;
    runner.run("updateTask", ada).await;
    runner.run_stale("updateTask", ada, None).await;
    runner.run_stale("deleteTask", ada, None).await;
    // The task that the example moves to does not exist yet.
    runner.run_stale("moveTask", ada, Some(json!({}))).await;
    runner.app.work().await;
    for operation in ["listDeliveries", "redeliver", "testWebhook"] {
        runner.run(operation, ada).await;
    }
    runner.app.work().await;
    for message in receiver.messages() {
        runner.compare_event(&message.body());
    }
    runner.run("updateWebhook", ada).await;
    runner.run_stale("updateWebhook", ada, None).await;
    runner.run_stale("deleteWebhook", ada, None).await;
    runner.run("rotateWebhookSecret", ada).await;
    runner.run("deleteWebhook", ada).await;
}

async fn comment_and_delete(runner: &mut Runner, ada: &Client) {
    for operation in ["createComment", "getComment", "listComments", "updateComment"] {
        runner.run(operation, ada).await;
    }
    runner.run_stale("updateComment", ada, None).await;
    runner.run_stale("deleteComment", ada, None).await;
    for operation in ["deleteComment", "deleteTask", "restoreTask"] {
        runner.run(operation, ada).await;
    }
}

async fn invite_grace(runner: &mut Runner, ada: &Client) {
    runner.run("createInvitation", ada).await;
    runner.run("listInvitations", ada).await;
    let grace = newcomer(runner, GRACE, "Grace Hopper").await;
    let token = runner.mailed_token(GRACE, VERIFICATION).await;
    grace.post("/v1/auth/verify-email", json!({"token": token})).await.no_content();
    runner.run("listMyInvitations", &grace).await;
    // An invitation is answered once, so Ada sends it again.
    for (operation, client) in [("declineInvitation", &grace), ("revokeInvitation", ada)] {
        runner.run(operation, client).await;
        runner.run_again("createInvitation", ada).await;
    }
    runner.run("acceptInvitation", &grace).await;
    for operation in ["listMembers", "updateMember", "removeMember"] {
        runner.run(operation, ada).await;
    }
}

async fn finish_project(runner: &mut Runner, ada: &Client) {
    let project = runner.real_path("getProject");
    let other = ada.post(format!("{project}/tasks"), json!({"title": "Compare the quotes"})).await.created();
    runner.expect("batchTasks", "operations/2/task_id", other["id"].as_str().unwrap());
    runner.run("batchTasks", ada).await;
    runner.run("moveTask", ada).await;
    runner.app.work().await;
    runner.run("deleteProject", ada).await;
    runner.run("restoreProject", ada).await;
}

async fn end_account(runner: &mut Runner, ada: &Client) {
    let anyone = runner.app.anonymous();
    runner.run("changePassword", ada).await;
    runner.run("logout", ada).await;
    runner.run("forgotPassword", &anyone).await;
    runner.expect_mailed_token("resetPassword", ADA, RESET).await;
    let password = runner.run("resetPassword", &anyone).await["password"].clone();
    let session = anyone.post("/v1/auth/login", json!({"email": ADA, "password": password})).await.ok();
    runner.run("deleteMe", &signed_in(runner, &session)).await;

    newcomer(runner, "linus@example.com", "Not Linus").await;
    runner.expect_mailed_token("disownAccount", "linus@example.com", VERIFICATION).await;
    runner.run("disownAccount", &anyone).await;
}

on_both_databases! {
    async fn every_example_is_answered_as_documented(database: TestDatabase) {
        let mut variables = LOCAL.to_vec();
        variables.extend([("REQUIRE_EMAIL_VERIFICATION", "true"), ("TRUSTED_PROXY_HOPS", "1")]);
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let answer = "HTTP/1.1 503 Busy\r\ncontent-length: 16\r\nconnection: close\r\n\r\nTry again later.";
        let receiver = Receiver::saying_and_leaving(answer);
        let mut runner = Runner::new(app);
        let ada = begin_account(&mut runner).await;
        begin_project(&mut runner, &ada).await;
        follow_by_webhook(&mut runner, &ada, &receiver).await;
        comment_and_delete(&mut runner, &ada).await;
        invite_grace(&mut runner, &ada).await;
        finish_project(&mut runner, &ada).await;
        runner.assert_all_events_seen();
        end_account(&mut runner, &ada).await;
        let documented: BTreeSet<String> = operations().map(|(id, ..)| id).collect();
        assert_eq!(runner.executed, documented, "an operation is not part of the story");
        runner.finish();
    }
}
