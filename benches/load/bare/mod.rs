//! Baseline of the comparison: a handler that only does the work.
//!
//! It sends the same SQL in the same round trips through pools with the same settings, returns the same JSON, and uses the
//! same accept loop. It omits everything else: authentication, validation, limits, request ids, logs and error details.

mod database;
mod task;

use std::env;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use pocket_tasks::server::{self, Limits};
use poem::error::{InternalServerError, NotFoundError};
use poem::http::StatusCode;
use poem::web::{Data, Json, Path, Query};
use poem::{EndpointExt as _, IntoResponse, Response, Route, handler};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::processes::{DATABASE_URL, PORT, USER};
use database::Database;
use task::{NewTask, Task};

/// Shared state of the handlers.
struct State {
    database: Database,
    user: Uuid,
}

/// Serves until the process is killed.
pub(crate) fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let variable = |name| env::var(name).with_context(|| format!("{name} is missing"));
        let user = variable(USER)?.parse()?;
        let database = Database::connect(&variable(DATABASE_URL)?).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, variable(PORT)?.parse()?)).await?;
        let routes = Route::new()
            .at("/health/ready", poem::get(ready))
            .at("/v1/tasks/:id", poem::get(get))
            .at("/v1/projects/:id/tasks", poem::get(list).post(create))
            .data(Arc::new(State { database, user }));
        Ok(server::serve(listener, routes, Limits::default(), CancellationToken::new()).await?)
    })
}

#[derive(Deserialize)]
struct Paging {
    limit: u32,
}

#[derive(Serialize)]
struct TaskList {
    data: Vec<Task>,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    total: i64,
    page: u32,
    limit: u32,
    has_more: bool,
}

#[handler]
fn ready() -> &'static str {
    "ready"
}

#[handler]
async fn get(state: Data<&Arc<State>>, id: Path<Uuid>) -> poem::Result<Json<Task>> {
    let found = state.database.task(id.0, state.user).await.map_err(InternalServerError)?;
    let (task, place) = found.ok_or(NotFoundError)?;
    place.require_member()?;
    Ok(Json(task))
}

#[handler]
async fn list(state: Data<&Arc<State>>, project: Path<Uuid>, paging: Query<Paging>) -> poem::Result<Json<TaskList>> {
    let head = state.database.head(project.0, state.user).await.map_err(InternalServerError)?;
    let (place, total) = head.ok_or(NotFoundError)?;
    place.require_member()?;
    let data = state.database.tasks(project.0, paging.limit).await.map_err(InternalServerError)?;
    let meta = Meta { total, page: 1, limit: paging.limit, has_more: i64::from(paging.limit) < total };
    Ok(Json(TaskList { data, meta }))
}

#[handler]
async fn create(state: Data<&Arc<State>>, project: Path<Uuid>, new: Json<NewTask>) -> poem::Result<Response> {
    let task =
        state.database.add(project.0, state.user, new.0).await.map_err(InternalServerError)?.ok_or(NotFoundError)?;
    Ok(Json(task).with_status(StatusCode::CREATED).into_response())
}
