//! Members other than the owner. There is no operation that makes one yet, so they are written into the table.

use pocket_tasks::contract::Timestamp;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::support::{Client, TestApp, TestDatabase};

/// Makes the user a member of the project.
pub(super) async fn add_member(database: &TestDatabase, project: &str, user: &Client, role: &str) {
    let (project, user) = (Uuid::parse_str(project).unwrap(), Uuid::parse_str(user.user_id()).unwrap());
    let joined_at = Timestamp::now().0;
    if database.is_postgres() {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        sqlx::query("INSERT INTO members (project_id, user_id, role, joined_at) VALUES ($1, $2, $3, $4)")
            .bind(project)
            .bind(user)
            .bind(role)
            .bind(joined_at)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        sqlx::query("INSERT INTO members (project_id, user_id, role, joined_at) VALUES (?, ?, ?, ?)")
            .bind(project.as_bytes().as_slice())
            .bind(user.as_bytes().as_slice())
            .bind(role)
            .bind(joined_at)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

/// Takes the user out of the project.
pub(crate) async fn remove_member(database: &TestDatabase, project: &str, user: &Client) {
    let (project, user) = (Uuid::parse_str(project).unwrap(), Uuid::parse_str(user.user_id()).unwrap());
    if database.is_postgres() {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        sqlx::query("DELETE FROM members WHERE project_id = $1 AND user_id = $2")
            .bind(project)
            .bind(user)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        sqlx::query("DELETE FROM members WHERE project_id = ? AND user_id = ?")
            .bind(project.as_bytes().as_slice())
            .bind(user.as_bytes().as_slice())
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

/// A new user who is a member of the project.
pub(super) async fn member(app: &TestApp, database: &TestDatabase, project: &str, role: &str) -> Client {
    let user = app.user().await;
    add_member(database, project, &user, role).await;
    user
}

/// Removes a project for good, with all that is in it, which nothing in the program does yet.
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

/// Removes a task for good, which nothing in the program does yet.
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
