//! Compression of JSON responses by gzip.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, Response};

use crate::api::respond::set;
use crate::services::EntityTag;

/// Minimum size of a compressed body, in bytes; shorter ones fit into a packet.
const MIN_COMPRESSED_SIZE: usize = 1_024;

pub(super) async fn apply(accepts_gzip: bool, mut response: Response) -> Response {
    let content_type = response.header(header::CONTENT_TYPE).unwrap_or_default();
    // The 304 stands for a JSON response.
    let is_json = content_type.contains("json") || response.status() == StatusCode::NOT_MODIFIED;
    if !is_json || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    // Static assets have the header already.
    if response.headers().get_all(header::VARY).iter().all(|value| value != "Accept-Encoding") {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if !accepts_gzip || response.status() == StatusCode::NOT_MODIFIED {
        return response;
    }
    let Ok(plain) = response.take_body().into_bytes().await else { return response };
    match (plain.len() >= MIN_COMPRESSED_SIZE).then(|| gzip(&plain)).and_then(Result::ok) {
        Some(compressed) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            // Another representation has another tag (RFC 9110, section 8.8.3.3).
            if let Some(tag) = response.header(header::ETAG).and_then(EntityTag::compressed) {
                set(&mut response, header::ETAG, &tag);
            }
            response.set_body(Body::from_vec(compressed));
        }
        None => response.set_body(Body::from_bytes(plain)),
    }
    response
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}
