//! A static asset: compressed once, with an entity tag.

use std::io::{Read as _, Write as _};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::http::{HeaderName, StatusCode, header};
use poem::{Body, Request, Response};
use sha2::{Digest as _, Sha256};

use crate::api::extract::accepts_gzip;
use crate::api::respond::set;

/// A static asset.
pub(in crate::api) struct StaticAsset {
    content_type: &'static str,
    headers: &'static [(HeaderName, &'static str)],
    gzip: Bytes,
    /// Decompressed for the first client that does not accept gzip, and shared by all of them.
    plain: OnceLock<Bytes>,
    etag: String,
}

impl StaticAsset {
    pub(super) fn new(content_type: &'static str, plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        Self::from_gzip(content_type, gzip)
    }

    pub(super) fn from_gzip(content_type: &'static str, gzip: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&gzip)[..12]));
        Self { content_type, headers: &[], gzip: gzip.into(), plain: OnceLock::new(), etag }
    }

    pub(super) const fn with_headers(mut self, headers: &'static [(HeaderName, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    pub(super) fn serve(&self, request: &Request) -> Response {
        let is_known =
            request.header(header::IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*" || tags.contains(&self.etag));
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut response = Response::builder().status(status).finish();
        set(&mut response, header::ETAG, &self.etag);
        set(&mut response, header::CACHE_CONTROL, "no-cache");
        set(&mut response, header::VARY, "Accept-Encoding");
        for (name, value) in self.headers {
            set(&mut response, name.clone(), value);
        }
        if is_known {
            return response;
        }
        set(&mut response, header::CONTENT_TYPE, self.content_type);
        if accepts_gzip(request) {
            set(&mut response, header::CONTENT_ENCODING, "gzip");
            response.set_body(Body::from_bytes(self.gzip.clone()));
        } else {
            response.set_body(Body::from_bytes(self.plain.get_or_init(|| self.decompress()).clone()));
        }
        response
    }

    fn decompress(&self) -> Bytes {
        let mut plain = Vec::new();
        // The data is our own gzip stream, so decompression does not fail.
        let _ = GzDecoder::new(&*self.gzip).read_to_end(&mut plain);
        plain.into()
    }
}
