//! The API in process, with its own database.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pocket_tasks::api::{Draining, PublishedDocument};
use pocket_tasks::app;
use pocket_tasks::config::{Config, LogFormat};
use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::jobs::Runner;
use pocket_tasks::repositories::{Queue, Store};
use pocket_tasks::services::Services;
use pocket_tasks::webhooks::{self, ClientOptions, Resolver};
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt as _, Response};
use serde_json::json;

use tempfile::TempDir;

use super::{Client, Mail, TestClock, TestDatabase};

const PUBLIC_URL: &str = "http://127.0.0.1:3000";

/// Compiled once per process, because that takes half a second.
static PUBLISHED: LazyLock<PublishedDocument> = LazyLock::new(|| PublishedDocument::compile(Some(PUBLIC_URL)).unwrap());

/// Deviations from the default setup.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) auth_per_minute: u32,
    pub(crate) refresh_per_minute: u32,
    pub(crate) api_per_minute: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    /// Timeout of webhook requests and of their excerpts, if not the default.
    pub(crate) webhook_timeout: Option<Duration>,
    /// Resolver of the names of receivers, if not that of the operating system.
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auth_per_minute: 0,
            refresh_per_minute: 0,
            api_per_minute: 0,
            request_timeout: Duration::from_secs(30),
            variables: Vec::new(),
            webhook_timeout: None,
            resolver: None,
        }
    }
}

#[derive(Clone)]
pub(crate) struct TestApp {
    pub(crate) endpoint: Arc<BoxEndpoint<'static, Response>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) services: Services,
    pub(crate) clock: TestClock,
    pub(crate) draining: Draining,
    pub(crate) runner: Runner,
    mail: Arc<TempDir>,
}

impl TestApp {
    pub(crate) async fn new(database: &TestDatabase, options: Options) -> Self {
        Self::over(database.store().await, options, TestClock::default())
    }

    /// Creates the API over a given store.
    pub(crate) fn over(store: Arc<dyn Store>, options: Options, clock: TestClock) -> Self {
        if let Ok(filter) = std::env::var("RUST_LOG") {
            pocket_tasks::telemetry::init(LogFormat::Pretty, &filter, None);
        }
        let variables = [
            ("JWT_SECRET", "only for tests: 32 bytes and more"),
            ("ENCRYPTION_KEY", "b25seSBmb3IgdGVzdHM6IDMyIGJ5dGVzIGV4YWN0bHk="),
            ("BCRYPT_COST", "4"),
            ("PUBLIC_URL", PUBLIC_URL),
            ("MAIL_PER_RECIPIENT_PER_HOUR", "0"),
            ("MAIL_PER_RECIPIENT_PER_DAY", "0"),
            ("INVITATIONS_PER_USER_PER_DAY", "0"),
            ("LOGIN_FAILURES_PER_MINUTE", "0"),
            ("LOGIN_FAILURES_PER_HOUR", "0"),
        ];
        let mut config = Config::from_variables(variables.into_iter().chain(options.variables)).unwrap();
        config.rate_limits.auth_per_minute = options.auth_per_minute;
        config.rate_limits.refresh_per_minute = options.refresh_per_minute;
        config.rate_limits.api_per_minute = options.api_per_minute;
        config.request_timeout = options.request_timeout;
        let mail = Arc::new(tempfile::tempdir().unwrap());
        mail.path().clone_into(&mut config.mail.directory);
        let mut means = ClientOptions::default();
        if let Some(timeout) = options.webhook_timeout {
            (means.timeout, means.excerpt_timeout) = (timeout, timeout);
        }
        if let Some(resolver) = options.resolver {
            means.resolver = resolver;
        }
        let client = webhooks::Client::with_options(config.webhooks.clone(), means);
        let services = app::services(&config, Arc::clone(&store), clock.clock(), client).unwrap();
        let runner = app::runner(&config, Arc::clone(&store), services.clone(), clock.clock(), PUBLIC_URL).unwrap();
        let draining = Draining::default();
        let endpoint = app::endpoint(&config, PUBLISHED.clone(), services.clone(), draining.clone()).boxed();
        Self { endpoint: Arc::new(endpoint), store, services, clock, draining, runner, mail }
    }

    /// Runs all due jobs, and those that they enqueue.
    pub(crate) async fn work(&self) {
        while self.runner.run_due(Queue::ALL).await.unwrap() > 0 {}
    }

    /// Sent e-mails, in the order of their jobs.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let mut files: Vec<_> = std::fs::read_dir(self.mail.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| Mail::read(&std::fs::read_to_string(file).unwrap())).collect()
    }

    /// E-mails to an address.
    pub(crate) fn mails_to(&self, email: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to.contains(email)).collect()
    }

    /// Client without a token.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.clone(), None)
    }

    /// Client with an arbitrary token.
    pub(crate) fn with_token(&self, token: &str) -> Client {
        Client::new(self.clone(), Some(token.to_owned()))
    }

    /// Registers a new user.
    pub(crate) async fn user(&self) -> Client {
        let number = new_uuid().simple();
        let email = format!("user.{number}@example.com");
        let body = json!({"email": email, "name": format!("User {number}"), "password": "correct horse"});
        let session = self.anonymous().post("/v1/auth/register", body).await.created();
        let mut client = self.with_token(session["access_token"].as_str().unwrap());
        client.session = session;
        client
    }
}
