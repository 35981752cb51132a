//! The documentation pages: Swagger UI over the published document, which is served as YAML and JSON too.
//!
//! Nothing comes from the network. The files of Swagger UI lie in the binary as they were packed, and leave it like
//! that: the compressed data of a ZIP archive is what gzip needs, with another head and tail. The document is
//! rendered and compressed once.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::http::{Method, StatusCode, header};
use poem::{Body, Request, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::errors::{self, ApiError};
use super::front::{Wanted, cors};
use super::payload::set;
use super::published;
use crate::contract::error::ErrorCode;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What can be done with a page.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Only what this server serves may run or be loaded; styles and pictures that Swagger UI makes itself may too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src *; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The pages.
pub(super) struct Docs {
    document: Arc<Value>,
    page: OnceLock<Page>,
    start: OnceLock<Page>,
    yaml: OnceLock<Page>,
    json: OnceLock<Page>,
    style: OnceLock<Page>,
    bundle: OnceLock<Page>,
}

/// A page, compressed.
struct Page {
    content_type: &'static str,
    gzip: Bytes,
    /// Made when the first client comes that takes no gzip, and kept: it must not cost each of them a copy.
    plain: OnceLock<Bytes>,
    etag: String,
}

impl Docs {
    pub(super) fn new(document: &Value) -> Self {
        Self {
            document: Arc::new(document.clone()),
            page: OnceLock::new(),
            start: OnceLock::new(),
            yaml: OnceLock::new(),
            json: OnceLock::new(),
            style: OnceLock::new(),
            bundle: OnceLock::new(),
        }
    }

    /// Answers a request for one of the pages.
    pub(super) fn answer(&self, request: &Request, request_id: &str) -> Option<Response> {
        let path = request.uri().path();
        let page = match path {
            "/" => None,
            "/docs" => Some(self.page.get_or_init(|| Page::new(HTML, include_bytes!("docs/index.html")))),
            "/docs/start.js" => Some(self.start.get_or_init(|| Page::new(SCRIPT, include_bytes!("docs/start.js")))),
            "/docs/swagger-ui.css" => Some(self.style.get_or_init(|| Page::vendored(CSS, "swagger-ui.css"))),
            "/docs/swagger-ui-bundle.js" => {
                Some(self.bundle.get_or_init(|| Page::vendored(SCRIPT, "swagger-ui-bundle.js")))
            }
            "/openapi.yaml" => Some(
                self.yaml.get_or_init(|| Page::new("application/yaml", published::to_yaml(&self.document).as_bytes())),
            ),
            "/openapi.json" => {
                Some(self.json.get_or_init(|| Page::new("application/json", self.document.to_string().as_bytes())))
            }
            _ => return None,
        };
        match *request.method() {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS if cors::is_preflight(request) => return Some(cors::preflight(ALLOW)),
            Method::OPTIONS => {
                return Some(Response::builder().status(StatusCode::NO_CONTENT).header(header::ALLOW, ALLOW).finish());
            }
            _ => {
                let error = ApiError::new(ErrorCode::MethodNotAllowed).with_header(header::ALLOW, ALLOW);
                return Some(errors::respond(error.into(), request_id));
            }
        }
        Some(page.map_or_else(
            || Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/docs").finish(),
            |page| page.answer(request),
        ))
    }
}

impl Page {
    fn new(content_type: &'static str, plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        Self::compressed(content_type, gzip)
    }

    /// A file of Swagger UI.
    fn vendored(content_type: &'static str, name: &str) -> Self {
        let gzip = vendored_gzip(name).unwrap_or_else(|error| {
            tracing::error!(%error, file = name, "a file of Swagger UI cannot be read");
            Vec::new()
        });
        Self::compressed(content_type, gzip)
    }

    fn compressed(content_type: &'static str, gzip: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&gzip)[..12]));
        Self { content_type, gzip: gzip.into(), plain: OnceLock::new(), etag }
    }

    fn answer(&self, request: &Request) -> Response {
        let known =
            request.header(header::IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*" || tags.contains(&self.etag));
        let mut response =
            Response::builder().status(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }).finish();
        set(&mut response, header::ETAG, &self.etag);
        set(&mut response, header::CACHE_CONTROL, "no-cache");
        set(&mut response, header::VARY, "Accept-Encoding");
        if known {
            return response;
        }
        set(&mut response, header::CONTENT_TYPE, self.content_type);
        set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if self.content_type == HTML {
            set(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
        }
        if Wanted::by(request).0 {
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

/// A file of the vendored archive as a gzip stream (RFC 1952): a fixed head, the deflated data as it lies there, the
/// checksum and the length.
fn vendored_gzip(name: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(SWAGGER_UI_VENDORED))?;
    let index = archive
        .file_names()
        .position(|path| path.is_ok_and(|path| path.ends_with(&format!("/dist/{name}"))))
        .ok_or_else(|| anyhow::anyhow!("it is not in the archive"))?;
    let mut file = archive.by_index_raw(index)?;
    anyhow::ensure!(file.compression() == zip::CompressionMethod::DEFLATE, "it is not deflated");
    let (checksum, length) = (file.crc32(), u32::try_from(file.size())?);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    file.read_to_end(&mut gzip)?;
    gzip.extend(checksum.to_le_bytes());
    gzip.extend(length.to_le_bytes());
    Ok(gzip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_swagger_ui_are_in_the_binary() {
        for (name, least) in [("swagger-ui.css", 100_000), ("swagger-ui-bundle.js", 1_000_000)] {
            let mut plain = Vec::new();
            GzDecoder::new(vendored_gzip(name).unwrap().as_slice()).read_to_end(&mut plain).unwrap();
            assert!(plain.len() > least, "{name} has {} bytes", plain.len());
        }
    }
}
