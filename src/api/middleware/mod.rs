//! What surrounds every request, also those that name nothing: the request id, the access log, CORS, compression, and
//! the pages for people.

mod access_log;
mod client_ip;
mod compression;
pub(super) mod cors;
mod request_id;

use std::sync::Arc;
use std::time::Instant;

use poem::http::{HeaderName, Method};
use poem::{Endpoint, Request, Response};

use super::assets::{self, Docs, LandingPages};
use super::extract::{AcceptEncoding, RequestId};
use super::pipeline::RequestPipeline;
use super::respond::set;
use super::settings::ApiSettings;
use super::validation::{OpenApiValidator, Route};
pub use cors::CorsPolicy;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole API.
pub(super) struct Edge {
    pipeline: RequestPipeline,
    docs: Docs,
    landing_pages: LandingPages,
    validator: Arc<OpenApiValidator>,
    cors: CorsPolicy,
    trusted_proxy_hops: usize,
}

impl Edge {
    pub(super) fn new(
        pipeline: RequestPipeline,
        docs: Docs,
        validator: Arc<OpenApiValidator>,
        settings: ApiSettings,
    ) -> Self {
        Self {
            pipeline,
            docs,
            landing_pages: LandingPages::default(),
            validator,
            cors: settings.cors,
            trusted_proxy_hops: settings.trusted_proxy_hops,
        }
    }

    async fn answer(&self, request: Request, client: std::net::IpAddr, request_id: &str) -> Response {
        if cors::is_preflight(&request) {
            // OPTIONS is no operation, so on a path that is there the route says which methods are.
            if let Route::WrongMethod { allow } = self.validator.route(&Method::OPTIONS, request.uri().path()) {
                return cors::preflight(allow);
            }
        }
        let path = request.uri().path();
        match self.docs.lookup(path).or_else(|| self.landing_pages.lookup(path)) {
            Some(route) => assets::serve(&route, &request, request_id),
            None => self.pipeline.answer(request, client, request_id).await,
        }
    }
}

impl Endpoint for Edge {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let request_id = request_id::from_request(&request);
        request.extensions_mut().insert(RequestId(request_id.clone()));
        let client = client_ip::client_ip(&request, self.trusted_proxy_hops);
        let entry = access_log::AccessLogEntry::new(&request, client);
        let origin = self.cors.allowed(&request);
        let encoding = AcceptEncoding::from_request(&request);

        let mut response = self.answer(request, client, &request_id).await;

        self.cors.apply(origin, &mut response);
        set(&mut response, X_REQUEST_ID, &request_id);
        let response = compression::apply(encoding, response).await;
        entry.write(&response, &request_id, started.elapsed());
        Ok(response)
    }
}
