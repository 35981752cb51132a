//! The product as a library: a store in this process, and threads to use it on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::project::{Project, TaskCounts};
use pocket_tasks::contract::strings::{Email, PersonName, ProjectName, TimeZone};
use pocket_tasks::contract::{ProjectId, Timestamp, UserId};
use pocket_tasks::database::{SeaStore, Settings};
use pocket_tasks::repositories::Store as _;
use tokio::runtime::Runtime;

use crate::data::Databases;

/// Rows per transaction outside of measurements.
pub(crate) const INSERT_BATCH_SIZE: usize = 500;

/// Runtime with threads like the product's; the benchmark itself has one thread. Dropping it does not wait.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens a new database and runs work on it, on threads like the product's.
pub(crate) async fn on_threads<W>(
    databases: &Databases,
    engine: &str,
    work: impl FnOnce(String, Arc<SeaStore>) -> W + Send + 'static,
) -> Result<()>
where
    W: Future<Output = Result<()>> + Send,
{
    databases.create().await?;
    let settings = Settings {
        url: databases.original.clone().into(),
        max_connections: 10,
        migrate: true,
        statement_timeout: Duration::from_secs(30),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = engine.to_owned();
    let work = runtime.spawn(async move {
        let store = Arc::new(SeaStore::open(&settings).await?);
        work(engine, Arc::clone(&store)).await?;
        store.close().await;
        anyhow::Ok(())
    });
    let _threads = Threads(Some(runtime));
    work.await?
}

/// Creates this many projects with some completed tasks.
pub(crate) async fn fill(store: &SeaStore, count: usize) -> Result<Vec<ProjectId>> {
    let now = Timestamp::now();
    let owner = UserId::generate();
    let user = User {
        id: owner,
        email: Email::new_unchecked("ada@example.com"),
        name: PersonName::new_unchecked("Ada"),
        timezone: TimeZone::new_unchecked("UTC"),
        weekly_digest: true,
        email_verified: true,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let transaction = store.begin().await?;
    transaction.users().add(&user, "a hash").await?;
    transaction.commit().await?;
    let ids: Vec<_> = std::iter::repeat_with(ProjectId::generate).take(count).collect();
    for ids in ids.chunks(INSERT_BATCH_SIZE) {
        let transaction = store.begin().await?;
        for id in ids {
            let project = Project {
                id: *id,
                name: ProjectName::new_unchecked("Benchmark"),
                description: None,
                color: None,
                archived: false,
                owner_id: owner,
                role: None,
                deleted_at: None,
                task_counts: TaskCounts { total: 0, done: 0 },
                completion_percentage: 0,
                version: 1,
                created_at: now,
                updated_at: now,
            };
            transaction.projects().add(&project).await?;
            transaction.projects().adjust_task_counts(*id, 8, 3, None).await?;
        }
        transaction.commit().await?;
    }
    Ok(ids)
}

/// Changes one row. The value must differ, because SQLite does not write unchanged rows.
pub(crate) async fn transact(store: &SeaStore, project: ProjectId) -> Result<()> {
    let transaction = store.begin().await?;
    transaction.projects().adjust_task_counts(project, 1, 0, None).await?;
    Ok(transaction.commit().await?)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
