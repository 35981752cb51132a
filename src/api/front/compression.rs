//! Compression of responses by gzip, for clients that take it and bodies that are worth it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, Request, Response};

use crate::api::payload::set;
use crate::services::EntityTag;

/// Bodies shorter than this fit into a packet anyway.
const LEAST: usize = 1_024;

/// Whether the client takes gzip (RFC 9110, section 12.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Wanted(pub(in crate::api) bool);

impl Wanted {
    pub(in crate::api) fn by(request: &Request) -> Self {
        let mut by_name = None;
        let mut by_star = None;
        let values = request.headers().get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = parameters.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.strip_prefix('='));
            let quality = quality.map_or(Ok(1.0), str::parse::<f32>);
            let wanted = quality.is_ok_and(|quality| quality > 0.0);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => by_name = Some(wanted),
                "*" => by_star = Some(wanted),
                _ => {}
            }
        }
        Self(by_name.or(by_star).unwrap_or(false))
    }

    pub(super) async fn apply(self, mut response: Response) -> Response {
        let content_type = response.header(header::CONTENT_TYPE).unwrap_or_default();
        // What is not modified would be JSON if it were.
        let is_json = content_type.contains("json") || response.status() == StatusCode::NOT_MODIFIED;
        if !is_json || response.headers().contains_key(header::CONTENT_ENCODING) {
            return response;
        }
        // The pages of the documentation say so themselves.
        if response.headers().get_all(header::VARY).iter().all(|value| value != "Accept-Encoding") {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if !self.0 || response.status() == StatusCode::NOT_MODIFIED {
            return response;
        }
        let Ok(plain) = response.take_body().into_bytes().await else { return response };
        match (plain.len() >= LEAST).then(|| gzip(&plain)).and_then(Result::ok) {
            Some(compressed) => {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                // Another representation needs another tag (RFC 9110, section 8.8.3.3).
                if let Some(tag) = response.header(header::ETAG).and_then(EntityTag::compressed) {
                    set(&mut response, header::ETAG, &tag);
                }
                response.set_body(Body::from_vec(compressed));
            }
            None => response.set_body(Body::from_bytes(plain)),
        }
        response
    }
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_wanted() {
        for (accepted, wanted) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("br", false),
            ("", false),
        ] {
            let request = Request::builder().header(header::ACCEPT_ENCODING, accepted).finish();
            assert_eq!(Wanted::by(&request).0, wanted, "{accepted}");
        }
        assert!(!Wanted::by(&Request::default()).0);
    }
}
