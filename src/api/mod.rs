//! HTTP: everything between a request and a service call.
//!
//! A request passes `middleware` (request id, log, CORS, compression), then `pipeline`, which decides in the published
//! order: route, rate limit, authentication, media type and syntax, validation. Only what passes reaches a handler in
//! `handlers`, which makes one service call. `openapi` makes the document that is published; `validation` compiles
//! that very document and checks requests against it.

mod assets;
mod deprecation;
mod errors;
mod extract;
mod handlers;
mod media_types;
mod middleware;
pub mod openapi;
mod pipeline;
mod respond;
mod settings;
pub mod validation;

use std::sync::Arc;

use anyhow::Context as _;
use poem::{Endpoint, EndpointExt as _};
use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

use crate::services::Services;
pub use middleware::CorsPolicy;
pub use pipeline::RateLimitSettings;
pub use settings::{ApiSettings, Draining};

/// The document as one server publishes it, and its compiled form, against which requests are validated.
#[derive(Clone)]
pub struct PublishedDocument {
    document: Arc<Value>,
    validator: Arc<validation::OpenApiValidator>,
}

impl PublishedDocument {
    /// Generates and compiles the document of a server. `public_url` is where clients reach it, without a slash at the
    /// end.
    pub fn compile(public_url: &str) -> anyhow::Result<Self> {
        let document = openapi::with_server(&document()?, public_url);
        let validator = validation::OpenApiValidator::compile(&document).context("the published document")?;
        Ok(Self { document: Arc::new(document), validator: Arc::new(validator) })
    }
}

/// Builds the whole API as one endpoint.
pub fn endpoint(
    published: PublishedDocument,
    services: Services,
    settings: ApiSettings,
    draining: Draining,
) -> impl Endpoint<Output = poem::Response> + 'static {
    let PublishedDocument { document, validator } = published;
    let handlers = service().data(Arc::new(services.clone())).data(draining).boxed();
    let pipeline = pipeline::RequestPipeline::new(Arc::clone(&validator), handlers, services, &settings);
    middleware::Edge::new(pipeline, assets::Docs::new(document), validator, settings)
}

/// The document that is published, with the address of a development server.
pub fn document() -> anyhow::Result<Value> {
    let mut generated: Value = serde_json::from_str(&service().spec()).context("the generated document")?;
    if let Some(schemas) = generated.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in handlers::webhook_schemas() {
            schemas.entry(name).or_insert(serde_json::to_value(schema).context("the schemas of messages")?);
        }
    }
    Ok(openapi::with_server(&openapi::postprocess(generated), "http://127.0.0.1:3000"))
}

fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    OpenApiService::new(handlers::all(), "Pocket Tasks", env!("CARGO_PKG_VERSION"))
        .summary("A task and project API that any front end can build on.")
        .description(include_str!("openapi/guides/description.md"))
        .contact(ContactObject::new().name("Pocket Tasks").email("support@pocket-tasks.example"))
        .license(LicenseObject::new("MIT").identifier("MIT"))
}
