//! What handlers give when it worked.

use poem::http::{HeaderName, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::ToJSON;

use super::JSON;

/// 200 with a body.
pub(in crate::api) struct Found<T>(pub(in crate::api) T);

/// 201 with a body, and where it can be had again.
pub(in crate::api) struct Created<T> {
    pub(in crate::api) location: String,
    pub(in crate::api) body: T,
}

/// 204 without a body.
pub(in crate::api) struct Done;

fn json<T: ToJSON>(status: StatusCode, body: &T) -> Response {
    Response::builder()
        .status(status)
        .content_type(JSON)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(body.to_json_string())
}

impl<T: ToJSON> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

impl<T: ToJSON> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = json(StatusCode::CREATED, &self.body);
        set(&mut response, header::LOCATION, &self.location);
        response
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Sets a header to a text that is known to be fit for one.
pub(in crate::api) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

fn success(status: u16, description: &'static str, schema: Option<MetaSchemaRef>) -> MetaResponses {
    let content = schema.map(|schema| MetaMediaType { content_type: JSON, schema }).into_iter().collect();
    let response = MetaResponse { description, status: Some(status), status_range: None, content, headers: vec![] };
    MetaResponses { responses: vec![response] }
}

/// Lives as long as the program, as the document does; made once for each operation.
fn described(what: &str, schema: &str) -> &'static str {
    String::leak(format!("{what}{schema}."))
}

impl<T: ToJSON> ApiResponse for Found<T> {
    fn meta() -> MetaResponses {
        success(200, described("The result: ", &T::name()), Some(T::schema_ref()))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        success(201, described("Created, with its address in `Location`: ", &T::name()), Some(T::schema_ref()))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        success(204, "Done; there is no body.", None)
    }

    fn register(_registry: &mut Registry) {}
}
