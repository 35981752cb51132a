//! What surrounds every request, also those that name nothing: the request id, the access log, CORS, compression, and
//! the pages for people.

mod access_log;
mod compression;
pub(super) mod cors;
mod request_id;

use std::sync::Arc;
use std::time::Instant;

use poem::http::{HeaderName, Method};
use poem::{Endpoint, Request, Response};

use super::ApiSettings;
use super::docs::Docs;
use super::gate::{self, Gate};
use super::mail_pages::MailPages;
use super::pages;
use super::payload::{RequestId, set};
use super::validation::{Contract, Route};
pub(super) use compression::Wanted;
pub use cors::CorsPolicy;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole API.
pub(super) struct Front {
    gate: Gate,
    docs: Docs,
    mail_pages: MailPages,
    contract: Arc<Contract>,
    cors: CorsPolicy,
    trusted_proxy_hops: usize,
}

impl Front {
    pub(super) fn new(gate: Gate, docs: Docs, contract: Arc<Contract>, settings: ApiSettings) -> Self {
        Self {
            gate,
            docs,
            mail_pages: MailPages::default(),
            contract,
            cors: settings.cors,
            trusted_proxy_hops: settings.trusted_proxy_hops,
        }
    }

    async fn answer(&self, request: Request, client: std::net::IpAddr, request_id: &str) -> Response {
        if cors::is_preflight(&request) {
            // OPTIONS is no operation, so on a path that is there the route says which methods are.
            if let Route::WrongMethod { allow } = self.contract.route(&Method::OPTIONS, request.uri().path()) {
                return cors::preflight(allow);
            }
        }
        let path = request.uri().path();
        match self.docs.at(path).or_else(|| self.mail_pages.at(path)) {
            Some(place) => pages::answer(&place, &request, request_id),
            None => self.gate.answer(request, client, request_id).await,
        }
    }
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let request_id = request_id::of(&request);
        request.extensions_mut().insert(RequestId(request_id.clone()));
        let client = gate::client_address(&request, self.trusted_proxy_hops);
        let entry = access_log::Entry::new(&request, client);
        let origin = self.cors.allowed(&request);
        let encoding = compression::Wanted::by(&request);

        let mut response = self.answer(request, client, &request_id).await;

        self.cors.apply(origin, &mut response);
        set(&mut response, X_REQUEST_ID, &request_id);
        let response = encoding.apply(response).await;
        entry.write(&response, &request_id, started.elapsed());
        Ok(response)
    }
}
