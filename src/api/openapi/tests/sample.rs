//! A small API in the conventions of the real one, to get documents as poem-openapi really writes them.

#![expect(dead_code, clippy::unused_async, reason = "only the declarations matter, the API is never called")]

use std::marker::PhantomData;

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, Enum, ExtractParamOptions, Object, OpenApi, OpenApiService, Union,
    param::Path,
    payload::Json,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{Example, MaybeUndefined, Password, Type},
};
use serde_json::Value;

use crate::api::openapi::add_schemas;
use crate::api::operations::{OperationPolicy, feed_messages, probe, public, read, write};
use crate::contract::error::{ErrorBody, ErrorCode};

pub(super) fn raw() -> Value {
    let service = OpenApiService::new((Api, Health), "Sample", "1.0").server("http://localhost:3000");
    let mut raw = serde_json::from_str(&service.spec()).unwrap();
    let mut registry = Registry::new();
    Stale::register(&mut registry);
    ErrorBody::register(&mut registry);
    add_schemas(&mut raw, registry.schemas).unwrap();
    raw
}

/// The policies of the sample.
pub(super) const POLICIES: &[OperationPolicy] = &[
    read("listTasks").errors(&[ErrorCode::Forbidden, ErrorCode::ProjectArchived, ErrorCode::NotFound]),
    read("getTask").cacheable().errors(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    write("deleteTask").if_match::<Stale>().errors(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    write("updateTask").errors(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    write("createTask").idempotent().etag().errors(&[ErrorCode::Forbidden, ErrorCode::NotFound]),
    write("batchTasks").messages(feed_messages).errors(&[ErrorCode::InvalidCursor]),
    public("login").errors(&[ErrorCode::InvalidCredentials]),
    probe("live"),
];

/// Priority of a task.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum Priority {
    Low,
    High,
}

/// Sort field.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum Sort {
    CreatedAt,
    Title,
}

/// A task.
#[derive(Object)]
pub(super) struct Task {
    id: String,
    #[oai(validator(minimum(value = "1")))]
    version: u64,
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    completion: i32,
    #[oai(validator(minimum(value = "0", exclusive = true)))]
    weight: f64,
    /// Due time.
    due_at: Option<String>,
    /// Time of deletion; null unless the task is in the trash.
    deleted_at: Option<String>,
    /// Priority of this task.
    priority: Option<Priority>,
    labels: Vec<String>,
}

/// A new task.
#[derive(Object)]
#[oai(example)]
pub(super) struct CreateTask {
    title: String,
    description: Option<String>,
    secret: Password,
}

impl Example for CreateTask {
    fn example() -> Self {
        Self { title: "name".to_owned(), description: None, secret: Password("12345678".to_owned()) }
    }
}

/// A change of a task.
#[derive(Object)]
pub(super) struct TaskPatch {
    title: Option<String>,
    #[oai(nullable)]
    description: MaybeUndefined<String>,
    /// The new priority.
    #[oai(nullable)]
    priority: MaybeUndefined<Priority>,
}

#[derive(Object)]
pub(super) struct Removal {
    task_id: String,
}

#[derive(Union)]
#[oai(one_of = true, discriminator_name = "op", rename_all = "snake_case")]
pub(super) enum Operation {
    Update(TaskPatch),
    Delete(Removal),
}

#[derive(Object)]
pub(super) struct Batch {
    operations: Vec<Operation>,
}

#[derive(Object)]
pub(super) struct Filter {
    /// Maximum number of items.
    #[oai(default = "twenty", validator(minimum(value = "1"), maximum(value = "100")))]
    limit: u32,
    /// Any of these.
    priority: Option<Vec<Priority>>,
    /// The order.
    sort: Option<Sort>,
    /// Words to look for.
    q: String,
}

fn twenty() -> u32 {
    20
}

pub(super) struct QueryObject<T>(PhantomData<T>);

impl<'a, T: Type> ApiExtractor<'a> for QueryObject<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let media = MetaMediaType { content_type: "application/x-query-parameters", schema: T::schema_ref() };
        Some(MetaRequest { description: None, content: vec![media], required: true })
    }

    async fn from_request(_: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        Ok(Self(PhantomData))
    }
}

#[derive(ApiResponse)]
pub(super) enum Found {
    /// The task.
    #[oai(status = 200)]
    Found(Json<Task>),
}

#[derive(ApiResponse)]
pub(super) enum Created {
    #[oai(status = 201)]
    Created(Json<Task>),
}

#[derive(ApiResponse)]
pub(super) enum Gone {
    #[oai(status = 204)]
    Gone,
}

/// The error envelope, and the task as it is now.
#[derive(Object)]
pub(super) struct Stale {
    error: String,
    message: String,
    request_id: String,
    current: Task,
}

pub(super) struct Api;

#[OpenApi]
impl Api {
    /// List tasks
    #[oai(path = "/v1/tasks", method = "get", operation_id = "listTasks")]
    async fn list(&self, _query: QueryObject<Filter>) -> Result<Json<Vec<Task>>> {
        unreachable!()
    }

    /// Get a task
    #[oai(path = "/v1/tasks/:task_id", method = "get", operation_id = "getTask")]
    async fn get(&self, #[oai(name = "task_id")] _task_id: Path<String>) -> Result<Found> {
        unreachable!()
    }

    /// Delete a task
    #[oai(path = "/v1/tasks/:task_id", method = "delete", operation_id = "deleteTask")]
    async fn delete(&self, #[oai(name = "task_id")] _task_id: Path<String>) -> Result<Gone> {
        unreachable!()
    }

    /// Change a task
    #[oai(path = "/v1/tasks/:task_id", method = "patch", operation_id = "updateTask")]
    async fn update(&self, #[oai(name = "task_id")] _task_id: Path<String>, _body: Json<TaskPatch>) -> Result<Found> {
        unreachable!()
    }

    /// Create a task
    #[oai(path = "/v1/tasks", method = "post", operation_id = "createTask")]
    async fn create(&self, _body: Json<CreateTask>) -> Result<Created> {
        unreachable!()
    }

    /// Change many tasks
    #[oai(path = "/v1/tasks/batch", method = "post", operation_id = "batchTasks")]
    async fn batch(&self, _body: Json<Batch>) -> Result<Gone> {
        unreachable!()
    }

    /// Log in
    #[oai(path = "/v1/auth/login", method = "post", operation_id = "login")]
    async fn login(&self, _body: Json<Removal>) -> Result<Gone> {
        unreachable!()
    }
}

pub(super) struct Health;

#[OpenApi]
impl Health {
    /// Is it alive?
    #[oai(path = "/health/live", method = "get", operation_id = "live")]
    async fn live(&self) -> Gone {
        unreachable!()
    }
}
