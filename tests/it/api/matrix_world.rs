//! A project with everybody whom the matrix of rights knows, made through the API alone, and what everybody can see.

use std::collections::HashMap;

use pocket_tasks::contract::UserId;
use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::repositories::MailPurpose;
use serde_json::{Value, json};

use super::life::api_client;
use super::writes::webhook_with_delivery;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

/// Who calls, in the order of the columns; `Scoped` has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Owner,
    Editor,
    Viewer,
    Former,
    Other,
    Anonymous,
    Program,
    /// A program of the owner that has the scope.
    Scoped,
}

impl Who {
    pub(super) const COLUMNS: [Self; 7] =
        [Self::Owner, Self::Editor, Self::Viewer, Self::Former, Self::Other, Self::Anonymous, Self::Program];

    pub(super) const fn is_member(self) -> bool {
        !matches!(self, Self::Former | Self::Other)
    }
}

pub(super) struct World {
    owner: Client,
    editor: Client,
    viewer: Client,
    former: Client,
    other: Client,
    anonymous: Client,
    reader: Client,
    writer: Client,
    /// What stands in braces in the matrix.
    names: HashMap<&'static str, String>,
}

impl World {
    /// In an app where addresses must be proved, so that there is something to prove.
    pub(super) async fn new(app: &TestApp, archived: bool) -> Self {
        let mut names = HashMap::new();
        let (owner, other) = (proved_user(app).await, proved_user(app).await);
        let (editor, viewer) = (proved_user(app).await, proved_user(app).await);
        let (former, colleague) = (proved_user(app).await, proved_user(app).await);
        let new = || json!({"title": "A task"});

        let project = owner.project().await;
        let (elsewhere, deleted) = (owner.project().await, owner.project().await);
        other.task(&other.project().await, new()).await;
        for place in [&project, &elsewhere, &deleted] {
            join(&owner, place, &editor, "editor").await;
        }
        for place in [&elsewhere, &deleted] {
            join(&owner, place, &viewer, "viewer").await;
        }
        // Whoever is a viewer now may have written comments before.
        join(&owner, &project, &viewer, "editor").await;
        join(&owner, &project, &former, "editor").await;
        join(&owner, &project, &colleague, "editor").await;
        owner.delete(format!("/v1/projects/{deleted}")).await.no_content();
        // Projects between which a task may or may not move.
        let (shared, apart) = (editor.project().await, colleague.project().await);
        let private = owner.project().await;
        join(&editor, &shared, &owner, "editor").await;
        join(&colleague, &apart, &editor, "editor").await;

        for (name, place) in [("task", &project), ("neighbour", &project), ("trashed", &project), ("away", &elsewhere)]
        {
            names.insert(name, owner.task(place, new()).await.id());
        }
        owner.delete(format!("/v1/tasks/{}", names["trashed"])).await.no_content();
        names.insert("shared_task", editor.task(&shared, new()).await.id());
        for (name, author) in [
            ("owners_comment", &owner),
            ("editors_comment", &editor),
            ("viewers_comment", &viewer),
            ("formers_comment", &former),
        ] {
            let path = format!("/v1/tasks/{}/comments", names["task"]);
            names.insert(name, author.post(path, json!({"body": "Why?"})).await.created().id());
        }
        let members = format!("/v1/projects/{project}/members");
        owner.patch(format!("{members}/{}", viewer.user_id()), json!({"role": "viewer"})).await.ok();
        owner.delete(format!("{members}/{}", former.user_id())).await.no_content();
        for (name, invited) in [("for_other", &other), ("for_former", &former)] {
            names.insert(name, invite(&owner, &project, invited, "editor").await);
        }

        let credentials = json!({"email": owner.email(), "password": "correct horse"});
        let session = app.anonymous().post("/v1/auth/login", credentials).await.ok();
        names.insert("refresh_token", session["refresh_token"].as_str().unwrap().to_owned());
        let sessions = owner.get("/v1/me/sessions").await.ok();
        let session = sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == false);
        names.insert("session", session.unwrap().id());
        let newcomer = app.user().await;
        names.insert("verification_token", mailed_token(app, &newcomer, MailPurpose::Verification).await);
        names.insert("reset_token", mailed_token(app, &newcomer, MailPurpose::Reset).await);
        let (reader, _) = api_client(app, &owner, &["read"]).await;
        let (writer, _) = api_client(app, &owner, &["write"]).await;
        names.insert("token", api_client(app, &owner, &["read"]).await.1.id());
        let (webhook, delivery) = webhook_with_delivery(&owner).await;
        names.extend([("webhook", webhook), ("delivery", delivery)]);
        if archived {
            owner.patch(format!("/v1/projects/{project}"), json!({"archived": true})).await.ok();
        }

        names.extend([("project", project), ("elsewhere", elsewhere), ("deleted", deleted)]);
        names.extend([("shared", shared), ("apart", apart), ("private", private)]);
        names.insert("email", owner.email().to_owned());
        for (name, user) in [("owner", &owner), ("editor", &editor), ("viewer", &viewer), ("colleague", &colleague)] {
            names.insert(name, user.user_id().to_owned());
        }
        let anonymous = app.anonymous();
        Self { owner, editor, viewer, former, other, anonymous, reader, writer, names }
    }

    /// The caller; programs have the scope, or have only the other one.
    pub(super) const fn client(&self, who: Who, reads: bool) -> &Client {
        match who {
            Who::Owner => &self.owner,
            Who::Editor => &self.editor,
            Who::Viewer => &self.viewer,
            Who::Former => &self.former,
            Who::Other => &self.other,
            Who::Anonymous => &self.anonymous,
            Who::Program if reads => &self.writer,
            Who::Scoped if !reads => &self.writer,
            Who::Program | Who::Scoped => &self.reader,
        }
    }

    /// A text of the matrix, with what stands in braces there.
    pub(super) fn filled(&self, text: &str, who: Who) -> String {
        let mut text = text.replace("{fresh}", &format!("fresh.{}@example.com", new_uuid().simple()));
        let me = if who == Who::Anonymous { &self.owner } else { self.client(who, true) };
        text = text.replace("{me}", me.user_id());
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    /// All that the owner and the owner of another project can see.
    pub(super) async fn state(&self) -> Vec<Value> {
        let mut state = all_of(&self.owner, &[&self.names["project"], &self.names["elsewhere"]]).await;
        state.extend(all_of(&self.other, &[]).await);
        state
    }
}

/// All that somebody can see: account, projects, tasks, comments, and the people of these projects.
pub(super) async fn all_of(user: &Client, projects: &[&str]) -> Vec<Value> {
    let mut paths: Vec<String> = [
        "/v1/tasks?limit=100",
        "/v1/tasks?limit=100&deleted=true",
        "/v1/projects?limit=100",
        "/v1/projects?limit=100&deleted=true",
        "/v1/me",
        "/v1/me/sessions?limit=100",
        "/v1/me/api-tokens?limit=100",
        "/v1/invitations?limit=100",
        "/v1/webhooks?limit=100",
    ]
    .map(str::to_owned)
    .into();
    for project in projects {
        paths.extend(["members", "invitations"].map(|people| format!("/v1/projects/{project}/{people}?limit=100")));
    }
    let mut seen = Vec::new();
    for path in paths {
        let mut list = user.get(&path).await.ok();
        let items = list["data"].as_array_mut().into_iter().flatten();
        for item in items {
            // To look at it is to use it.
            item.as_object_mut().unwrap().remove("last_used_at");
        }
        seen.push(list);
    }
    for task in seen[0].column("id") {
        seen.push(user.get(format!("/v1/tasks/{}/comments", task.as_str().unwrap())).await.ok());
    }
    let webhooks = user.get("/v1/webhooks?limit=100").await.ok().column("id");
    for webhook in webhooks {
        let path = format!("/v1/webhooks/{}/deliveries?limit=100", webhook.as_str().unwrap());
        seen.push(user.get(path).await.ok());
    }
    seen
}

/// Invites a user into a project, and gives the id of the invitation.
pub(super) async fn invite(owner: &Client, project: &str, user: &Client, role: &str) -> String {
    let body = json!({"email": user.email(), "role": role});
    owner.post(format!("/v1/projects/{project}/invitations"), body).await.created().id()
}

/// Makes a user a member of a project, who is invited and accepts.
pub(super) async fn join(owner: &Client, project: &str, user: &Client, role: &str) {
    let invitation = invite(owner, project, user, role).await;
    user.post_empty(format!("/v1/invitations/{invitation}/accept")).await.ok();
}

async fn mailed_token(app: &TestApp, user: &Client, purpose: MailPurpose) -> String {
    let user = UserId::parse(user.user_id()).unwrap();
    app.services.recovery.issue(user, purpose).await.unwrap().unwrap().1
}

async fn proved_user(app: &TestApp) -> Client {
    let user = app.user().await;
    let token = mailed_token(app, &user, MailPurpose::Verification).await;
    app.anonymous().post("/v1/auth/verify-email", json!({"token": token})).await.no_content();
    user
}
