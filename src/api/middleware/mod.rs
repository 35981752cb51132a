//! Middleware around every request: request id, access log, CORS, compression, security headers, static assets.

mod access_log;
mod client_ip;
mod compression;
mod cors;
mod request_id;
mod security_headers;

use std::net::IpAddr;
use std::sync::Arc;

use poem::{Endpoint, Request, Response};
use tracing::Instrument as _;
use tracing::field::Empty;

use self::access_log::AccessLog;
use self::request_id::X_REQUEST_ID;
use super::assets::{self, Assets};
use super::errors::{self, ApiError};
use super::extract::{RequestId, accepts_gzip};
use super::pipeline::{Matched, OperationLabel, RequestPipeline};
use super::respond::set;
use super::settings::{ApiSettings, Overloaded};
use crate::telemetry::ActiveRequest;

/// Names in metrics of requests that reach no operation: static pages, CORS preflights, and all others.
const ASSET: &str = "asset";
const PREFLIGHT: &str = "preflight";
const UNKNOWN: &str = "unknown";

/// The API as one endpoint.
pub(super) struct Edge {
    pipeline: RequestPipeline,
    assets: Assets,
    settings: ApiSettings,
    access_log: Arc<AccessLog>,
}

impl Edge {
    pub(super) fn new(pipeline: RequestPipeline, assets: Assets, settings: ApiSettings) -> Self {
        Self { pipeline, assets, settings, access_log: Arc::default() }
    }

    async fn respond(&self, request: Request, matched: Matched<'_>, client: IpAddr, request_id: &str) -> Response {
        if request.extensions().get::<Overloaded>().is_some() && !matched.is_probe() {
            return errors::into_response(ApiError::overloaded().into(), request_id);
        }
        if cors::is_preflight(&request) {
            return labelled(cors::preflight(&request), PREFLIGHT);
        }
        match self.assets.lookup(request.uri().path()) {
            Some(route) => labelled(assets::serve(&route, &request, request_id), ASSET),
            None => self.pipeline.handle(request, matched, client, request_id).await,
        }
    }
}

fn labelled(mut response: Response, label: &'static str) -> Response {
    response.extensions_mut().insert(OperationLabel(label));
    response
}

impl Endpoint for Edge {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let request_id = request_id::from_request(&request);
        request.extensions_mut().insert(RequestId(request_id.clone()));
        let client = client_ip::client_ip(&request, self.settings.trusted_proxy_hops);
        let cors = self.settings.cors.for_path(request.uri().path());
        let origin = cors.allowed(&request);
        let accepts_gzip = accepts_gzip(&request);

        let matched = self.pipeline.find(&request);
        let active = ActiveRequest::begin();
        // An error span, because a filter such as `warn` disables lower spans and would lose the request id.
        let span = tracing::error_span!(
            "request",
            request.id = request_id,
            api.operation = matched.operation(),
            user.id = Empty,
            trace.id = Empty
        );
        let entry = self.access_log.begin(&request, client, span.clone());
        let mut response = self.respond(request, matched, client, &request_id).instrument(span).await;

        cors.apply(origin, &mut response);
        set(&mut response, X_REQUEST_ID, &request_id);
        security_headers::apply(&mut response, self.settings.is_https);
        let response = compression::apply(accepts_gzip, response).await;
        let operation = response.extensions().get::<OperationLabel>().map_or(UNKNOWN, |label| label.0);
        active.complete(operation, response.status().as_u16());
        Ok(entry.complete(response).await)
    }
}
