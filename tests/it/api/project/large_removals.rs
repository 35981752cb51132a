//! Removal of members with many assigned tasks: decided at once, carried out in portions.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::api::fixtures::events::{events_after, last_sequence};
use crate::api::fixtures::members::{member_path, remove};
use crate::api::fixtures::stored_members::{add_member, member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};
use pocket_tasks::contract::{ProjectId, UserId};

/// Number of assigned tasks: more than four portions, and few enough for lists to count them all.
const TASKS: usize = 900;

/// Maximum number of tasks that one transaction unassigns.
const PORTION: usize = 200;

async fn assign_tasks(owner: &Client, project: &str, assignee: &Client) {
    let operation = json!({"op": "create", "title": "x", "assignee_id": assignee.user_id()});
    for _ in 0..TASKS / 100 {
        let body = json!({"operations": vec![operation.clone(); 100]});
        owner.post(format!("/v1/projects/{project}/tasks/batch"), body).await.ok();
    }
}

async fn count(client: &Client, project: &str, assignee: &str) -> u64 {
    let path = format!("/v1/projects/{project}/tasks?assignee_id={assignee}&limit=1");
    client.get(path).await.ok()["meta"]["total"].as_u64().unwrap()
}

fn ids(project: &str, user: &Client) -> (ProjectId, UserId) {
    (ProjectId::parse(project).unwrap(), UserId::parse(user.user_id()).unwrap())
}

/// A project whose member with many tasks was removed.
struct Removal {
    owner: Client,
    project: String,
    /// The former member.
    ada: Client,
    /// Last sequence number before the removal.
    before: i64,
}

impl Removal {
    async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let project = owner.project().await;
        let ada = member(app, &project, "editor").await;
        assign_tasks(&owner, &project, &ada).await;
        app.work().await;
        let before = last_sequence(app).await;
        remove(&owner, &project, &ada).await.no_content();
        Self { owner, project, ada, before }
    }
}

on_both_databases! {
    async fn a_removal_unassigns_a_bounded_number_of_tasks_at_once_and_the_rest_in_a_job(app: TestApp) {
        let Removal { owner, project, ada, before } = Removal::new(&app).await;
        assert_eq!(last_sequence(&app).await - before, 1 + i64::try_from(PORTION).unwrap());
        // Access ends at once, and no task can be assigned to the former member.
        ada.get(format!("/v1/projects/{project}")).await.fails(403, "FORBIDDEN");
        let tasks = owner.get(format!("/v1/projects/{project}/tasks?limit=1&sort=position")).await.ok();
        let assigned = owner.get(format!("/v1/projects/{project}/tasks?limit=100")).await.ok();
        let assigned = assigned["data"].as_array().unwrap();
        let stale = assigned.iter().find(|task| task["assignee_id"] == ada.user_id()).unwrap().id();
        let assignment = json!({"assignee_id": ada.user_id()});
        for task in [&tasks["data"][0].id(), &stale] {
            owner.patch(format!("/v1/tasks/{task}"), assignment.clone()).await.fails(400, "VALIDATION_FAILED");
            let operation = json!({"op": "update", "task_id": task, "assignee_id": ada.user_id()});
            let body = json!({"operations": [operation]});
            owner.post(format!("/v1/projects/{project}/tasks/batch"), body).await.fails(400, "VALIDATION_FAILED");
        }
        // Other changes proceed in the meantime.
        let changed = owner.patch(format!("/v1/tasks/{stale}"), json!({"title": "y"})).await.ok();
        assert_eq!((&changed["title"], &changed["version"]), (&json!("y"), &json!(2)));
        app.work().await;
        assert_eq!(count(&owner, &project, "none").await, TASKS as u64);
        let events = events_after(&app, before).await;
        let unassigned = events.iter().filter(|event| event["previous"] == json!({"assignee_id": ada.user_id()}));
        let mut tasks = HashSet::new();
        for event in unassigned {
            assert_eq!((&event["type"], &event["actor_id"]), (&json!("task.updated"), &json!(owner.user_id())));
            assert_eq!(event["data"]["assignee_id"], Value::Null);
            assert!(tasks.insert(event["data"].id()), "{event} is the second event of its task");
        }
        assert_eq!((tasks.len(), events.len()), (TASKS, TASKS + 2));
    }

    async fn unassignment_resumes_after_a_crash_between_portions(app: TestApp) {
        let Removal { owner, project, ada, before } = Removal::new(&app).await;
        let (id, user) = ids(&project, &ada);
        let actor = UserId::parse(owner.user_id()).unwrap();
        for portion in 2..5 {
            // A worker that dies before its job completes.
            assert!(app.services.members.unassign_tasks(id, user, actor).await.unwrap());
            assert_eq!(count(&owner, &project, "none").await, (portion * PORTION) as u64);
        }
        for _ in 0..2 {
            app.work().await;
            assert_eq!(count(&owner, &project, "none").await, TASKS as u64);
            assert_eq!(last_sequence(&app).await - before, 1 + i64::try_from(TASKS).unwrap());
            assert!(!app.services.members.unassign_tasks(id, user, actor).await.unwrap());
        }
        assert_eq!(last_sequence(&app).await - before, 1 + i64::try_from(TASKS).unwrap());
    }

    async fn a_user_who_joins_again_keeps_the_tasks_that_are_still_assigned(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let ada = member(&app, &project, "editor").await;
        assign_tasks(&owner, &project, &ada).await;
        owner.delete(member_path(&project, &ada)).await.no_content();
        add_member(&app, &project, &ada, "viewer").await;
        let new = owner.task(&project, json!({"title": "x", "assignee_id": ada.user_id()})).await.id();
        app.work().await;
        assert_eq!(count(&owner, &project, ada.user_id()).await, (TASKS - PORTION + 1) as u64);
        // Leaving again unassigns all of them.
        ada.delete(member_path(&project, &ada)).await.no_content();
        app.work().await;
        assert_eq!(count(&owner, &project, "none").await, (TASKS + 1) as u64);
        assert_eq!(owner.get(format!("/v1/tasks/{new}")).await.ok()["assignee_id"], Value::Null);
    }
}
