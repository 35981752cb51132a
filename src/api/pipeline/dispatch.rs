//! Policy and handler of each operation.

use std::collections::HashMap;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint as _, Request, Response};
use poem_openapi::OpenApi;

use crate::api::extract::PathTemplate;
use crate::api::operations::{OPERATIONS, OperationPolicy};
use crate::api::validation::OpenApiValidator;

/// The target of a route.
pub(super) struct Target {
    pub(super) policy: &'static OperationPolicy,
    template: PathTemplate,
    handler: BoxEndpoint<'static>,
}

impl Target {
    /// Calls the handler. HEAD is served by GET without its body.
    pub(super) async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let is_head = request.method() == Method::HEAD;
        request.extensions_mut().insert(self.template.clone());
        let mut response = self.handler.call(request).await?;
        if is_head {
            response.set_body(());
        }
        Ok(response)
    }
}

/// Takes the endpoint of each documented operation out of the routes that poem-openapi generates.
pub(super) fn targets(handlers: impl OpenApi, validator: &OpenApiValidator) -> HashMap<String, Target> {
    let mut routes = HashMap::new();
    handlers.add_routes(&mut routes);
    let targets = validator.operations().filter_map(|operation| {
        let handler = routes.get_mut(&poem_path(&operation.path))?.remove(&operation.method)?;
        let policy = OPERATIONS.iter().find(|policy| policy.id == operation.id)?;
        let template = PathTemplate(Arc::from(operation.path.as_str()));
        Some((operation.id.clone(), Target { policy, template, handler }))
    });
    targets.collect()
}

/// The key of a path in the generated routes, which name parameters by their position.
fn poem_path(template: &str) -> String {
    let mut parameters = 0;
    let segments = template.split('/').map(|segment| {
        if segment.starts_with('{') {
            parameters += 1;
            format!(":param{}", parameters - 1)
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}
