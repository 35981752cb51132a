//! HTTP: everything between a request and a service call.
//!
//! A request passes `middleware` and then `pipeline`, which checks it in the published order and calls a handler.
//! `operations` is the policy of every operation; `openapi` generates the document; `validation` compiles that document
//! and checks requests against it.

mod assets;
mod errors;
mod extract;
mod handlers;
mod media_types;
mod middleware;
pub mod openapi;
pub mod operations;
mod pipeline;
mod respond;
mod settings;
pub mod validation;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use anyhow::Context as _;
use poem::Endpoint;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::types::Type as _;
use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

use crate::contract::error::ErrorBody;
use crate::contract::webhook::test_event::WebhookMessage;
use crate::services::Services;
pub use errors::reject;
use operations::OPERATIONS;
pub use settings::{ApiSettings, CorsPolicy, Draining, Overloaded, RateLimitSettings, StreamLimits};

/// The document of a server, as the validator compiled from it. It takes much less memory than the document, which is
/// generated again for the few requests that read it.
#[derive(Clone)]
pub struct PublishedDocument {
    server_url: Arc<str>,
    validator: Arc<validation::OpenApiValidator>,
}

impl PublishedDocument {
    /// Generates and compiles the document of a server. `public_url` is its address, without a trailing slash. Without
    /// one it is relative, so it is the address from which the document was loaded.
    pub fn compile(public_url: Option<&str>) -> anyhow::Result<Self> {
        let validator = validation::OpenApiValidator::compile(&document()?).context("the published document")?;
        Ok(Self { server_url: public_url.unwrap_or("/").into(), validator: Arc::new(validator) })
    }
}

/// Builds the whole API as one endpoint.
pub fn endpoint(
    published: PublishedDocument,
    services: Services,
    settings: ApiSettings,
    draining: Draining,
) -> impl Endpoint<Output = poem::Response> + 'static {
    let PublishedDocument { server_url, validator } = published;
    let handlers = handlers::new(services.clone(), draining);
    let pipeline = pipeline::RequestPipeline::new(validator, handlers, services, &settings);
    middleware::Edge::new(pipeline, assets::Assets::new(server_url), settings)
}

/// Generates the document, with the address of a development server.
pub fn document() -> anyhow::Result<Value> {
    document_of("http://127.0.0.1:3000")
}

/// Generates the document of the server with this URL.
fn document_of(server_url: &str) -> anyhow::Result<Value> {
    let service =
        OpenApiService::new(Documented::<handlers::Handlers>(PhantomData), "Pocket Tasks", env!("CARGO_PKG_VERSION"))
            .summary("A task and project API that any front end can build on.")
            .description(include_str!("openapi/guides/description.md"))
            .contact(ContactObject::new().name("Pocket Tasks").email("support@pocket-tasks.example"))
            .license(LicenseObject::new("MIT").identifier("MIT"));
    let mut generated: Value = serde_json::from_str(&service.spec()).context("the generated document")?;
    // No operation refers to these schemas by itself.
    let mut registry = Registry::new();
    ErrorBody::register(&mut registry);
    WebhookMessage::register(&mut registry);
    OPERATIONS.iter().filter_map(|policy| policy.stale).for_each(|register| drop(register(&mut registry)));
    openapi::add_schemas(&mut generated, registry.schemas).context("the additional schemas")?;
    Ok(openapi::with_server(openapi::postprocess(generated, OPERATIONS, &openapi::STORY), server_url))
}

/// The documentation of handlers, without their state.
struct Documented<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Documented<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}
