//! Middleware around every request: request id, access log, CORS, compression, static assets.

mod client_ip;
mod compression;
mod cors;
mod request_id;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use poem::http::Method;
use poem::{Endpoint, Request, Response};
use tracing::Instrument as _;
use tracing::field::Empty;

use self::request_id::X_REQUEST_ID;
use super::assets::{self, Assets};
use super::extract::{RequestId, accepts_gzip};
use super::pipeline::RequestPipeline;
use super::respond::set;
use super::settings::ApiSettings;
use super::validation::{OpenApiValidator, Route};

/// The API as one endpoint.
pub(super) struct Edge {
    pipeline: RequestPipeline,
    assets: Assets,
    validator: Arc<OpenApiValidator>,
    settings: ApiSettings,
}

impl Edge {
    pub(super) const fn new(
        pipeline: RequestPipeline,
        assets: Assets,
        validator: Arc<OpenApiValidator>,
        settings: ApiSettings,
    ) -> Self {
        Self { pipeline, assets, validator, settings }
    }

    async fn respond(&self, request: Request, client: IpAddr, request_id: &str) -> Response {
        let path = request.uri().path();
        let asset = self.assets.lookup(path);
        if cors::is_preflight(&request) {
            let allow = match self.validator.route(&Method::OPTIONS, path) {
                // OPTIONS is not an operation, so this is every path of the document.
                Route::WrongMethod { allow } => Some(allow),
                _ => asset.as_ref().map(|_| assets::ALLOW),
            };
            if let Some(allow) = allow {
                return cors::preflight(allow);
            }
        }
        match asset {
            Some(route) => assets::serve(&route, &request, request_id),
            None => self.pipeline.handle(request, client, request_id).await,
        }
    }
}

impl Endpoint for Edge {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let request_id = request_id::from_request(&request);
        request.extensions_mut().insert(RequestId(request_id.clone()));
        let client = client_ip::client_ip(&request, self.settings.trusted_proxy_hops);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let origin = self.settings.cors.allowed(&request);
        let accepts_gzip = accepts_gzip(&request);

        // An error span, because a filter such as `warn` disables lower spans and would lose the request id.
        let span = tracing::error_span!("request", request.id = request_id, api.operation = Empty, user.id = Empty);
        let mut response = self.respond(request, client, &request_id).instrument(span.clone()).await;

        self.settings.cors.apply(origin, &mut response);
        set(&mut response, X_REQUEST_ID, &request_id);
        let response = compression::apply(accepts_gzip, response).await;
        // Within the span, because the JSON format lists the current spans only. Without the query, which may contain
        // secrets.
        span.in_scope(|| {
            tracing::info!(
                http.method = %method,
                http.path = path,
                http.status = response.status().as_u16(),
                duration_ms = started.elapsed().as_secs_f64() * 1000.0,
                client.address = %client,
                "request completed"
            );
        });
        Ok(response)
    }
}
