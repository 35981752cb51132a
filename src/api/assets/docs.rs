//! The documentation pages: Swagger UI over the published document, which is served as YAML and JSON too.
//!
//! Nothing comes from the network. The files of Swagger UI lie in the binary as they were packed, and leave it like
//! that: the compressed data of a ZIP archive is what gzip needs, with another head and tail. The document is
//! rendered and compressed once.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use poem::http::{HeaderName, header};
use serde_json::Value;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::{AssetRoute, CSS, HTML, SCRIPT, StaticAsset};
use crate::api::openapi;

/// Only what this server serves may run or be loaded; styles and pictures that Swagger UI makes itself may too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src *; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: &[(HeaderName, &str)] = &[(header::CONTENT_SECURITY_POLICY, POLICY)];

/// The pages.
pub(in crate::api) struct Docs {
    document: Arc<Value>,
    page: OnceLock<StaticAsset>,
    start: OnceLock<StaticAsset>,
    yaml: OnceLock<StaticAsset>,
    json: OnceLock<StaticAsset>,
    style: OnceLock<StaticAsset>,
    bundle: OnceLock<StaticAsset>,
}

impl Docs {
    pub(in crate::api) const fn new(document: Arc<Value>) -> Self {
        Self {
            document,
            page: OnceLock::new(),
            start: OnceLock::new(),
            yaml: OnceLock::new(),
            json: OnceLock::new(),
            style: OnceLock::new(),
            bundle: OnceLock::new(),
        }
    }

    /// What there is at a path, if it is one of the documentation.
    pub(in crate::api) fn lookup(&self, path: &str) -> Option<AssetRoute<'_>> {
        let page = match path {
            "/" => return Some(AssetRoute::Redirect("/docs")),
            "/docs" => self
                .page
                .get_or_init(|| StaticAsset::new(HTML, include_bytes!("swagger_ui/index.html")).with_headers(HEADERS)),
            "/docs/start.js" => {
                self.start.get_or_init(|| StaticAsset::new(SCRIPT, include_bytes!("swagger_ui/start.js")))
            }
            "/docs/swagger-ui.css" => self.style.get_or_init(|| vendored(CSS, "swagger-ui.css")),
            "/docs/swagger-ui-bundle.js" => self.bundle.get_or_init(|| vendored(SCRIPT, "swagger-ui-bundle.js")),
            "/openapi.yaml" => self
                .yaml
                .get_or_init(|| StaticAsset::new("application/yaml", openapi::to_yaml(&self.document).as_bytes())),
            "/openapi.json" => {
                self.json.get_or_init(|| StaticAsset::new("application/json", self.document.to_string().as_bytes()))
            }
            _ => return None,
        };
        Some(AssetRoute::Asset(page))
    }
}

/// A file of Swagger UI.
fn vendored(content_type: &'static str, name: &str) -> StaticAsset {
    let gzip = vendored_gzip(name).unwrap_or_else(|error| {
        tracing::error!(%error, file = name, "a file of Swagger UI cannot be read");
        Vec::new()
    });
    StaticAsset::compressed(content_type, gzip)
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
    use flate2::read::GzDecoder;

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
