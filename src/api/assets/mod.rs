//! Static assets: the documentation, its guides, and the pages that links in mails lead to.
//!
//! A landing page does nothing until its button is pressed, because mail scanners open every link. The token stays in
//! the fragment of the address, which is neither sent to the server nor as a referrer.

mod guides;
mod static_asset;
mod swagger_ui;

use std::sync::{Arc, OnceLock};

use poem::http::{HeaderName, Method, StatusCode, header};
use poem::{Request, Response};
use serde_json::Value;

use self::guides::GUIDES;
use self::static_asset::StaticAsset;
use super::errors::{self, ApiError};
use super::openapi;
use super::respond::no_content;
use crate::contract::error::ErrorCode;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Methods of every asset.
pub(super) const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Swagger UI creates styles and images itself.
const DOCS_HEADERS: &[(HeaderName, &str)] = &[(
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)];

const GUIDE_HEADERS: &[(HeaderName, &str)] = &[(
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
)];

const LANDING_PAGE_HEADERS: &[(HeaderName, &str)] = &[
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

macro_rules! landing_page {
    ($file:literal) => {
        |_| StaticAsset::new(HTML, include_bytes!(concat!("landing_pages/", $file))).with_headers(LANDING_PAGE_HEADERS)
    };
}

macro_rules! file {
    ($content_type:expr, $file:literal) => {
        |_| StaticAsset::new($content_type, include_bytes!($file))
    };
}

/// Builds an asset of the server with this URL.
type Build = fn(&str) -> StaticAsset;

/// All assets by path, each built on its first request.
const ASSETS: [(&str, Build); 16] = [
    ("/docs", |_| StaticAsset::new(HTML, include_bytes!("swagger_ui/index.html")).with_headers(DOCS_HEADERS)),
    ("/docs/docs.css", file!(CSS, "swagger_ui/docs.css")),
    ("/docs/start.js", file!(SCRIPT, "swagger_ui/start.js")),
    ("/docs/swagger-ui.css", |_| swagger_ui::asset(CSS, "swagger-ui.css")),
    ("/docs/swagger-ui-bundle.js", |_| swagger_ui::asset(SCRIPT, "swagger-ui-bundle.js")),
    ("/openapi.yaml", |url| StaticAsset::new("application/yaml", openapi::to_yaml(&document(url)).as_bytes())),
    ("/openapi.json", |url| json(&document(url))),
    ("/openapi-3.0.json", |url| json(&openapi::downgrade(&document(url)))),
    ("/guides/style.css", file!(CSS, "guides/style.css")),
    ("/verify-email", landing_page!("verify-email.html")),
    ("/reset-password", landing_page!("reset-password.html")),
    ("/disown-account", landing_page!("disown-account.html")),
    ("/invitation", landing_page!("invitation.html")),
    ("/mail-pages/invitation.js", file!(SCRIPT, "landing_pages/invitation.js")),
    ("/mail-pages/start.js", file!(SCRIPT, "landing_pages/start.js")),
    ("/mail-pages/style.css", file!(CSS, "landing_pages/style.css")),
];

/// Generates the document again, which succeeded at the start of the server.
fn document(server_url: &str) -> Value {
    super::document_of(server_url).unwrap_or_else(|error| {
        tracing::error!(%error, "failed to generate the document");
        Value::Null
    })
}

fn json(document: &Value) -> StaticAsset {
    StaticAsset::new("application/json", document.to_string().as_bytes())
}

/// The static assets of a server.
pub(super) struct Assets {
    server_url: Arc<str>,
    files: [OnceLock<StaticAsset>; ASSETS.len()],
    guides: [OnceLock<StaticAsset>; GUIDES.len()],
}

/// The target of a path.
pub(super) enum AssetRoute<'a> {
    Asset(&'a StaticAsset),
    Redirect(&'static str),
}

impl Assets {
    pub(super) fn new(server_url: Arc<str>) -> Self {
        let files = [const { OnceLock::new() }; ASSETS.len()];
        Self { server_url, files, guides: [const { OnceLock::new() }; GUIDES.len()] }
    }

    pub(super) fn lookup(&self, path: &str) -> Option<AssetRoute<'_>> {
        match path {
            "/" | "/docs/" => return Some(AssetRoute::Redirect("/docs")),
            "/guides" | "/guides/" => return GUIDES.first().map(|(first, _)| AssetRoute::Redirect(first)),
            _ => {}
        }
        if let Some((_, page)) = GUIDES.iter().zip(&self.guides).find(|((known, _), _)| *known == path) {
            let build = || StaticAsset::new(HTML, guides::render(path).as_bytes()).with_headers(GUIDE_HEADERS);
            return Some(AssetRoute::Asset(page.get_or_init(build)));
        }
        let mut assets = ASSETS.iter().zip(&self.files);
        let ((_, build), asset) = assets.find(|((known, _), _)| *known == path)?;
        Some(AssetRoute::Asset(asset.get_or_init(|| build(&self.server_url))))
    }
}

/// Responds to a request for an asset.
pub(super) fn serve(route: &AssetRoute<'_>, request: &Request, request_id: &str) -> Response {
    match (request.method(), route) {
        (&Method::GET | &Method::HEAD, AssetRoute::Asset(asset)) => asset.serve(request),
        (&Method::GET | &Method::HEAD, AssetRoute::Redirect(path)) => {
            Response::builder().status(StatusCode::FOUND).header(header::LOCATION, *path).finish()
        }
        (&Method::OPTIONS, _) => no_content(ALLOW),
        _ => {
            let error = ApiError::new(ErrorCode::MethodNotAllowed).with_header(header::ALLOW, ALLOW);
            errors::into_response(error.into(), request_id)
        }
    }
}
