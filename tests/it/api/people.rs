//! What the tests of members and invitations share: how people come into a project, and what is always true of them.

use std::future::Future;
use std::pin::Pin;

use poem::http::Method;
use serde_json::{Value, json};

use super::common::send;
use super::life::user_with;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

/// Races have more than one end, so each is run more than once.
pub(super) const ROUNDS: usize = 6;

pub(super) fn members(project: &str) -> String {
    format!("/v1/projects/{project}/members")
}

pub(super) fn membership(project: &str, user: &Client) -> String {
    format!("/v1/projects/{project}/members/{}", user.user_id())
}

pub(super) fn invitations(project: &str) -> String {
    format!("/v1/projects/{project}/invitations")
}

/// Invites an address, or tries to.
pub(super) async fn invite(owner: &Client, project: &str, email: &str, role: &str) -> Answer {
    owner.post(invitations(project), json!({"email": email, "role": role})).await
}

/// Invites a user, and gives the id of the invitation.
pub(super) async fn invited(owner: &Client, project: &str, user: &Client, role: &str) -> String {
    invite(owner, project, user.email(), role).await.created().id()
}

/// Accepts an invitation, or tries to.
pub(super) async fn accept(user: &Client, invitation: &str) -> Answer {
    user.post_empty(format!("/v1/invitations/{invitation}/accept")).await
}

/// Declines an invitation, or tries to.
pub(super) async fn decline(user: &Client, invitation: &str) -> Answer {
    user.post_empty(format!("/v1/invitations/{invitation}/decline")).await
}

/// Takes an invitation back, or tries to.
pub(super) async fn revoke(owner: &Client, project: &str, invitation: &str) -> Answer {
    owner.delete(format!("/v1/projects/{project}/invitations/{invitation}")).await
}

/// Has a user come into a project as everybody does.
pub(super) async fn join(owner: &Client, project: &str, user: &Client, role: &str) -> Value {
    accept(user, &invited(owner, project, user, role).await).await.ok()
}

/// A new user who comes into a project as everybody does.
pub(super) async fn newcomer(app: &TestApp, owner: &Client, project: &str, role: &str) -> Client {
    let user = app.user().await;
    join(owner, project, &user, role).await;
    user
}

/// A new user with a name.
pub(super) async fn named(app: &TestApp, name: &str) -> Client {
    user_with(app, &json!({"name": name})).await
}

/// Gives a member another role, or tries to.
pub(super) async fn set_role(owner: &Client, project: &str, user: &Client, role: &str) -> Answer {
    owner.patch(membership(project, user), json!({"role": role})).await
}

/// Takes a member out, or tries to.
pub(super) async fn remove(by: &Client, project: &str, user: &Client) -> Answer {
    by.delete(membership(project, user)).await
}

/// Each member and role, as somebody sees them.
pub(super) async fn roles(reader: &Client, project: &str) -> Vec<(String, String)> {
    let list = reader.get(format!("{}?limit=100", members(project))).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut roles: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (text(&member["user_id"]), text(&member["role"])))
        .collect();
    roles.sort();
    roles
}

/// What `roles` should give.
pub(super) fn expected<const N: usize>(people: [(&Client, &str); N]) -> Vec<(String, String)> {
    let mut roles = people.map(|(user, role)| (user.user_id().to_owned(), role.to_owned())).to_vec();
    roles.sort();
    roles
}

/// What became of an invitation, as the owner sees it.
pub(super) async fn status_of(owner: &Client, project: &str, invitation: &str) -> Value {
    let list = owner.get(format!("{}?limit=100", invitations(project))).await.ok();
    let found = list["data"].as_array().unwrap().iter().find(|item| item["id"] == invitation).unwrap();
    found["status"].clone()
}

/// A request on its way to an answer.
pub(super) type Sending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request that is to be sent at the same time as others.
pub(super) fn request(client: &Client, method: Method, path: String, body: Value) -> Sending {
    let client = client.clone();
    Box::pin(async move { send(&client, &method, &path, &body).await })
}

/// The status of an answer and its error, if it is one.
pub(super) fn outcome(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.body["error"].as_str().unwrap_or_default())
}

/// Runs two at the same time.
pub(super) async fn both<A: Send + 'static, B: Send + 'static>(
    one: impl Future<Output = A> + Send + 'static,
    other: impl Future<Output = B> + Send + 'static,
) -> (A, B) {
    let (one, other) = tokio::join!(tokio::spawn(one), tokio::spawn(other));
    (one.unwrap(), other.unwrap())
}

/// The API twice over one database, as two processes have it.
pub(super) async fn two_processes(database: &TestDatabase) -> (TestApp, TestApp) {
    let one = TestApp::new(database, Options::default()).await;
    let other = TestApp::over(database.another_store().await, Options::default(), one.clock.clone());
    (one, other)
}

/// The same user, who calls another process.
pub(super) fn at(app: &TestApp, user: &Client) -> Client {
    let mut client = app.with_token(user.token.as_ref().unwrap());
    client.session = user.session.clone();
    client
}

/// Sees that whatever happened left no project without an owner, with two or with another than it says, none that lives
/// on after its owner's account, and no task that is assigned to who is not there.
pub(super) async fn check_people(database: &TestDatabase) {
    let owners = "SELECT count(*) FROM members WHERE members.project_id = projects.id AND members.role = 'owner'";
    let mut raw = Raw::connect(database).await;
    for (what, found) in [
        ("a project has not one owner", format!("projects WHERE ({owners}) <> 1")),
        (
            "a project names another owner than its members do",
            format!("projects WHERE ({owners} AND members.user_id = projects.owner_id) <> 1"),
        ),
        (
            "a project lives on whose owner is in the trash",
            "projects JOIN users ON users.id = projects.owner_id \
             WHERE projects.deleted_at IS NULL AND users.deleted_at IS NOT NULL"
                .to_owned(),
        ),
        (
            "a task is assigned to who is no member",
            "tasks WHERE assignee_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM members \
             WHERE members.project_id = tasks.project_id AND members.user_id = tasks.assignee_id)"
                .to_owned(),
        ),
        (
            "an address is invited twice",
            "invitations AS one JOIN invitations AS other ON one.project_id = other.project_id \
             AND one.email = other.email AND one.id <> other.id \
             WHERE one.status = 'pending' AND other.status = 'pending'"
                .to_owned(),
        ),
    ] {
        let count = raw.texts(&format!("SELECT CAST(count(*) AS TEXT) AS found FROM {found}"), "found").await;
        assert_eq!(count, ["0"], "{what}");
    }
}
