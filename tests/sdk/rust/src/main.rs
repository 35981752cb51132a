//! Uses the client of openapi-generator (rust) against the server at SDK_URL.

use std::fmt::Debug;

use pocket_tasks_client::apis::configuration::Configuration;
use pocket_tasks_client::apis::{Error, ResponseContent, auth_api, events_api, projects_api, tasks_api, webhooks_api};
use pocket_tasks_client::models::{
    self, ApiError, BatchCreate, BatchDelete, BatchOperation, BatchUpdate, CreateProject, CreateTask, CreateWebhook, Event,
    Login, Register, RotateSecret, StaleTask, Task, TaskBatch, TaskStatus, UpdateTask, WebhookEventName,
};
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery staple";

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn done(step: &str) {
    println!("  ok  {step}");
}

fn account(name: &str) -> Register {
    let email = format!("{}-{}@example.com", name.to_lowercase(), Uuid::new_v4());
    Register::new(email, name.to_owned(), PASSWORD.to_owned())
}

fn connect(token: Option<String>) -> Configuration {
    let base_path = std::env::var("SDK_URL").expect("SDK_URL is set");
    Configuration { base_path, bearer_access_token: token, ..Configuration::new() }
}

/// The error response that a request must have failed with.
fn failure<T: Debug, E: Debug>(result: Result<T, Error<E>>, status: u16) -> ResponseContent<E> {
    match result {
        Err(Error::ResponseError(response)) => {
            assert_eq!(response.status.as_u16(), status, "{}", response.content);
            response
        }
        other => panic!("the request did not fail as expected: {other:?}"),
    }
}

/// Handles each event by its type.
fn describe(event: Event) -> String {
    match event {
        Event::TaskCreated(event) => format!("created {}", event.data.title),
        Event::TaskUpdated(event) => format!("updated {}", event.data.title),
        Event::TaskDeleted(event) => format!("deleted {}", event.data.title),
        other => panic!("unexpected {other:?}"),
    }
}

async fn page(
    configuration: &Configuration,
    project: &str,
    limit: Option<i32>,
    cursor: Option<&str>,
    status: Option<Vec<TaskStatus>>,
) -> Result<models::TaskCursorPage, Error<tasks_api::ListProjectTasksV2Error>> {
    tasks_api::list_project_tasks_v2(
        configuration, project, limit, cursor, None, None, status, None, None, None, None, None, None, None, None, None,
    )
    .await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let anonymous = connect(None);
    let ada = account("Ada");
    auth_api::register(&anonymous, ada.clone()).await?;
    let grace = auth_api::register(&anonymous, account("Grace")).await?;
    done("register");

    let session = auth_api::login(&anonymous, Login::new(ada.email.clone(), PASSWORD.to_owned())).await?;
    assert_eq!(session.user.email, ada.email);
    let token = session.access_token;
    let client = connect(Some(token.clone()));
    done("log in");

    let project = projects_api::create_project(&client, CreateProject::new("Renovation".to_owned()), None).await?;
    let project = project.id.to_string();
    let start = page(&client, &project, None, None, None).await?.meta.sync_cursor;
    done("create a project");

    let key = Uuid::new_v4().to_string();
    let tiles =
        CreateTask { description: Some(Some("Matte".to_owned())), ..CreateTask::new("Choose the tiles".to_owned()) };
    let task = tasks_api::create_task(&client, &project, tiles.clone(), Some(&key)).await?;
    let again = tasks_api::create_task(&client, &project, tiles, Some(&key)).await?;
    assert_eq!(again, task);
    let id = task.id.to_string();
    done("create a task and retry it with the same key");

    let create = async |title: &str, status: TaskStatus| {
        let body = CreateTask { status: Some(status), ..CreateTask::new(title.to_owned()) };
        tasks_api::create_task(&client, &project, body, None).await
    };
    let second = create("Paint", TaskStatus::InProgress).await?;
    let finished = create("Measure", TaskStatus::Done).await?;
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None);
    while pages == 0 || cursor.is_some() {
        let status = vec![TaskStatus::Todo, TaskStatus::InProgress];
        let page = page(&client, &project, Some(1), cursor.as_deref(), Some(status)).await?;
        found.extend(page.data.into_iter().map(|task| task.id));
        cursor = page.meta.next_cursor;
        pages += 1;
    }
    assert_eq!((found, pages), (vec![second.id, task.id], 2));
    done("page by cursor with a filter of two values");

    // The generated functions return no headers: read the `ETag` with the HTTP client below them.
    let request = client.client.get(format!("{}/v1/tasks/{id}", client.base_path)).bearer_auth(&token);
    let etag = request.send().await?.headers()["etag"].to_str()?.to_owned();

    let change = UpdateTask { description: Some(None), ..UpdateTask::new() };
    let cleared = tasks_api::update_task(&client, &id, change, None, None).await?;
    assert_eq!((cleared.description, cleared.title), (None, task.title));
    done("clear a field with null");

    let change = UpdateTask { title: Some("Choose other tiles".to_owned()), ..UpdateTask::new() };
    let stale = failure(tasks_api::update_task(&client, &id, change, None, Some(&etag)).await, 412);
    // `entity` is the first type that fits, not that of the status: read the content as the type of the status.
    let current: Task = *serde_json::from_str::<StaleTask>(&stale.content)?.current;
    assert_eq!((current.id, current.description), (task.id, None));
    done("receive the current task with a 412");

    let stranger = connect(Some(grace.access_token));
    let forbidden = failure(tasks_api::get_task(&stranger, &id, None).await, 403);
    assert_eq!(serde_json::from_str::<ApiError>(&forbidden.content)?.error, "FORBIDDEN");
    done("receive a 403");

    let alan = Register { timezone: Some("Mars/Olympus".to_owned()), ..account("Alan") };
    let invalid = failure(auth_api::register(&anonymous, alan).await, 400);
    let details = serde_json::from_str::<ApiError>(&invalid.content)?.details.expect("details");
    assert_eq!(details[0].r#in, models::ErrorLocation::Body);
    assert_eq!((details[0].field.as_str(), details[0].code.as_str()), ("timezone", "format"));
    done("receive typed details of a 400");

    let create = BatchCreate::new(models::batch_create::Op::Create, "Order the tiles".to_owned());
    let mut update = BatchUpdate::new(models::batch_update::Op::Update, second.id);
    update.title = Some("Paint the ceiling".to_owned());
    let delete = BatchDelete::new(models::batch_delete::Op::Delete, finished.id);
    let operations = vec![
        BatchOperation::Create(Box::new(create)),
        BatchOperation::Update(Box::new(update)),
        BatchOperation::Delete(Box::new(delete)),
    ];
    let batch = tasks_api::batch_tasks(&client, &project, TaskBatch::new(operations), None).await?;
    let titles: Vec<_> = batch.results.into_iter().map(|task| task.map(|task| task.title)).collect();
    assert_eq!(titles, [Some("Order the tiles".to_owned()), Some("Paint the ceiling".to_owned()), None]);
    done("run a batch");

    let feed = events_api::list_events(&client, None, Some(&start), None, Some(&project), None).await?;
    assert_eq!(
        feed.data.into_iter().map(describe).collect::<Vec<_>>(),
        [
            "created Choose the tiles",
            "created Paint",
            "created Measure",
            "updated Choose the tiles",
            "created Order the tiles",
            "updated Paint the ceiling",
            "deleted Measure",
        ]
    );
    done("read events by their type");

    tasks_api::delete_task(&client, &id, None, None).await?;
    let missing = failure(tasks_api::get_task(&client, &id, None).await, 404);
    assert_eq!(serde_json::from_str::<ApiError>(&missing.content)?.error, "NOT_FOUND");
    done("delete a task");

    let body = CreateWebhook::new("https://hooks.example.com/tasks".to_owned(), vec![WebhookEventName::TaskCreated]);
    let webhook = webhooks_api::create_webhook(&client, body, None).await?;
    let rotation = RotateSecret { overlap_seconds: Some(60) };
    let rotated =
        webhooks_api::rotate_webhook_secret(&client, &webhook.id.to_string(), None, Some(rotation)).await?;
    assert!(webhook.secret.starts_with("whsec_") && rotated.secret.starts_with("whsec_"));
    assert_ne!(rotated.secret, webhook.secret);
    done("create a webhook and rotate its secret");
    Ok(())
}
