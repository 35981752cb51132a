//! Members other than the owner, as storage has them: for tests about something else than how they come and go.

use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::{ProjectId, UserId};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::support::{Client, TestApp, TestDatabase};

fn ids(project: &str, user: &Client) -> (ProjectId, UserId) {
    (ProjectId::parse(project).unwrap(), UserId::parse(user.user_id()).unwrap())
}

/// Makes the user a member of the project.
pub(crate) async fn add_member(app: &TestApp, project: &str, user: &Client, role: &str) {
    let (project, user) = ids(project, user);
    let role = match role {
        "owner" => Role::Owner,
        "editor" => Role::Editor,
        "viewer" => Role::Viewer,
        other => panic!("there is no role {other}"),
    };
    let transaction = app.store.begin().await.unwrap();
    assert!(transaction.members().add(project, user, role, app.clock.now()).await.unwrap());
    transaction.commit().await.unwrap();
}

/// Takes the user out of the project, be it the owner.
pub(crate) async fn remove_member(app: &TestApp, project: &str, user: &Client) {
    let (project, user) = ids(project, user);
    let transaction = app.store.begin().await.unwrap();
    transaction.members().remove(project, user).await.unwrap();
    transaction.commit().await.unwrap();
}

/// A new user who is a member of the project.
pub(crate) async fn member(app: &TestApp, project: &str, role: &str) -> Client {
    let user = app.user().await;
    add_member(app, project, &user, role).await;
    user
}

/// Removes a project for good, with all that is in it, as a job does long after it was deleted.
pub(crate) async fn purge_project(database: &TestDatabase, project: &str) {
    let project = Uuid::parse_str(project).unwrap();
    if database.is_postgres() {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let purge = sqlx::query("DELETE FROM projects WHERE id = $1").bind(project);
        purge.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        let purge = sqlx::query("DELETE FROM projects WHERE id = ?").bind(project.as_bytes().as_slice());
        purge.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Removes a task for good, as a job does long after it was deleted.
pub(crate) async fn purge_task(database: &TestDatabase, task: &str) {
    let task = Uuid::parse_str(task).unwrap();
    if database.is_postgres() {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let purge = sqlx::query("DELETE FROM tasks WHERE id = $1").bind(task);
        purge.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        let purge = sqlx::query("DELETE FROM tasks WHERE id = ?").bind(task.as_bytes().as_slice());
        purge.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
