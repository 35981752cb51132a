//! Pages and what belongs to them, as they leave this server: compressed once, known again by a tag, and only read.

mod docs;
mod landing_pages;

use std::io::{Read as _, Write as _};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::http::{HeaderName, Method, StatusCode, header};
use poem::{Body, Request, Response};
use sha2::{Digest as _, Sha256};

use super::errors::{self, ApiError};
use super::extract::AcceptEncoding;
use super::middleware::cors;
use super::respond::set;
use crate::contract::error::ErrorCode;
pub(super) use docs::Docs;
pub(super) use landing_pages::LandingPages;

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What can be done with a page.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// A page, compressed.
pub(super) struct StaticAsset {
    content_type: &'static str,
    headers: &'static [(HeaderName, &'static str)],
    gzip: Bytes,
    /// Made when the first client comes that takes no gzip, and kept: it must not cost each of them a copy.
    plain: OnceLock<Bytes>,
    etag: String,
}

impl StaticAsset {
    pub(super) fn new(content_type: &'static str, plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        Self::compressed(content_type, gzip)
    }

    /// A page that is compressed already.
    pub(super) fn compressed(content_type: &'static str, gzip: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&gzip)[..12]));
        Self { content_type, headers: &[], gzip: gzip.into(), plain: OnceLock::new(), etag }
    }

    /// The same page with headers of its own.
    pub(super) const fn with_headers(mut self, headers: &'static [(HeaderName, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    fn serve(&self, request: &Request) -> Response {
        let known =
            request.header(header::IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*" || tags.contains(&self.etag));
        let mut response =
            Response::builder().status(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }).finish();
        set(&mut response, header::ETAG, &self.etag);
        set(&mut response, header::CACHE_CONTROL, "no-cache");
        set(&mut response, header::VARY, "Accept-Encoding");
        for (name, value) in self.headers {
            set(&mut response, name.clone(), value);
        }
        if known {
            return response;
        }
        set(&mut response, header::CONTENT_TYPE, self.content_type);
        set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if AcceptEncoding::from_request(request).0 {
            set(&mut response, header::CONTENT_ENCODING, "gzip");
            response.set_body(Body::from_bytes(self.gzip.clone()));
        } else {
            let plain = self.plain.get_or_init(|| {
                let mut plain = Vec::new();
                // What this program compressed it can decompress.
                let _ = GzDecoder::new(&*self.gzip).read_to_end(&mut plain);
                plain.into()
            });
            response.set_body(Body::from_bytes(plain.clone()));
        }
        response
    }
}

/// What there is at an address.
pub(super) enum AssetRoute<'a> {
    /// A page.
    Asset(&'a StaticAsset),
    /// A sign to another address.
    Redirect(&'static str),
}

/// Answers a request for an address at which there is something to read.
pub(in crate::api) fn serve(route: &AssetRoute<'_>, request: &Request, request_id: &str) -> Response {
    match (request.method(), route) {
        (&Method::GET | &Method::HEAD, AssetRoute::Asset(asset)) => asset.serve(request),
        (&Method::GET | &Method::HEAD, AssetRoute::Redirect(address)) => {
            Response::builder().status(StatusCode::FOUND).header(header::LOCATION, *address).finish()
        }
        (&Method::OPTIONS, _) if cors::is_preflight(request) => cors::preflight(ALLOW),
        (&Method::OPTIONS, _) => {
            Response::builder().status(StatusCode::NO_CONTENT).header(header::ALLOW, ALLOW).finish()
        }
        _ => {
            let error = ApiError::new(ErrorCode::MethodNotAllowed).with_header(header::ALLOW, ALLOW);
            errors::into_response(error.into(), request_id)
        }
    }
}
