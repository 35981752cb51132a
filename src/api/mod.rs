//! HTTP: everything between a request and a service call.
//!
//! A request passes `front` (request id, log, CORS, compression), then `gate`, which decides in the published order:
//! route, rate limit, authentication, media type and syntax, validation. Only what passes reaches a handler in
//! `handlers`, which makes one service call. `published` makes the document that is published; `validation` compiles
//! that very document and checks requests against it.

mod deprecation;
mod docs;
mod errors;
mod front;
mod gate;
mod handlers;
mod mail_pages;
mod pages;
mod payload;
pub mod published;
mod rate_limits;
pub mod validation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use poem::{Endpoint, EndpointExt as _};
use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

use crate::services::Services;
pub use front::CorsPolicy;
pub use rate_limits::RateLimitSettings;

/// What an operator decides about the HTTP side.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Which origins may call from a browser.
    pub cors: CorsPolicy,
    /// How many proxies stand in front and add to `X-Forwarded-For`.
    pub trusted_proxy_hops: usize,
    /// How many requests are allowed.
    pub rate_limits: RateLimitSettings,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How many bytes a body may have.
    pub body_limit: usize,
}

/// Tells the readiness check that the server is about to stop.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on the server is not ready.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The document as one server publishes it, and its compiled form, against which requests are validated.
#[derive(Clone)]
pub struct PublishedDocument {
    document: Arc<Value>,
    contract: Arc<validation::Contract>,
}

impl PublishedDocument {
    /// Generates and compiles the document of a server. `public_url` is where clients reach it, without a slash at the
    /// end.
    pub fn compile(public_url: &str) -> anyhow::Result<Self> {
        let document = published::with_server(&document()?, public_url);
        let contract = validation::Contract::compile(&document).context("the published document")?;
        Ok(Self { document: Arc::new(document), contract: Arc::new(contract) })
    }
}

/// Builds the whole API as one endpoint.
pub fn endpoint(
    published: PublishedDocument,
    services: Services,
    settings: ApiSettings,
    draining: Draining,
) -> impl Endpoint<Output = poem::Response> + 'static {
    let PublishedDocument { document, contract } = published;
    let handlers = service().data(Arc::new(services.clone())).data(draining).boxed();
    let gate = gate::Gate::new(Arc::clone(&contract), handlers, services, &settings);
    front::Front::new(gate, docs::Docs::new(document), contract, settings)
}

/// The document that is published, with the address of a development server.
pub fn document() -> anyhow::Result<Value> {
    let mut generated: Value = serde_json::from_str(&service().spec()).context("the generated document")?;
    if let Some(schemas) = generated.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in handlers::messages() {
            schemas.entry(name).or_insert(serde_json::to_value(schema).context("the schemas of messages")?);
        }
    }
    Ok(published::with_server(&published::finish(generated), "http://127.0.0.1:3000"))
}

fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    OpenApiService::new(handlers::all(), "Pocket Tasks", env!("CARGO_PKG_VERSION"))
        .summary("A task and project API that any front end can build on.")
        .description(include_str!("description.md"))
        .contact(ContactObject::new().name("Pocket Tasks").email("support@pocket-tasks.example"))
        .license(LicenseObject::new("MIT").identifier("MIT"))
}
