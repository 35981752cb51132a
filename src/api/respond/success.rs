//! What handlers give when it worked.

use std::marker::PhantomData;

use poem::http::{HeaderName, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::ToJSON;

use crate::api::media_types::JSON;
use crate::services::{Answer, ETagCondition};

/// 200 with a body.
pub(in crate::api) struct Found<T>(pub(in crate::api) T);

/// 201 with a body, and where it can be had again.
pub(in crate::api) struct Created<T> {
    pub(in crate::api) location: String,
    pub(in crate::api) body: T,
}

/// 200 with one resource and its tag, or 304 for who has it already.
pub(in crate::api) struct Fresh<T> {
    pub(in crate::api) answer: Answer<T>,
    pub(in crate::api) known: Option<ETagCondition>,
}

/// 204 without a body.
pub(in crate::api) struct Done;

/// 202 without a body.
pub(in crate::api) struct Accepted;

/// How a description begins: the document completes it with what the schema of the body says of itself.
const RESULT: &str = ":";
const CREATED: &str = "Created, with its address in `Location`:";

/// A tag as this program writes them.
pub(in crate::api) const ETAG_EXAMPLE: &str = "\"Yl3k9Zr0Qm2a.h7TqPw1xVb8N\"";

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    Response::builder().status(status).content_type(JSON).header(header::X_CONTENT_TYPE_OPTIONS, "nosniff").body(body)
}

/// The response that an answer is.
pub(in crate::api) fn respond<T>(answer: Answer<T>) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match answer.body {
        Some(body) => json(status, body),
        None => status.into_response(),
    };
    if let Some(location) = answer.location {
        set(&mut response, header::LOCATION, &location);
    }
    if let Some(tag) = answer.etag {
        tag_with(&mut response, &tag);
    }
    response
}

/// Caches may keep what has a tag, for the caller alone, if they ask each time whether it is still good.
fn tag_with(response: &mut Response, tag: &str) {
    set(response, header::ETAG, tag);
    set(response, header::CACHE_CONTROL, "private, no-cache");
}

impl<T: Send> IntoResponse for Fresh<T> {
    fn into_response(self) -> Response {
        let known = self.answer.etag.as_ref().zip(self.known.as_ref()).and_then(|(tag, known)| known.matching_tag(tag));
        let Some(tag) = known else { return respond(self.answer) };
        // As the client has it, so that its cache knows which of its copies is still good.
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        tag_with(&mut response, tag);
        response
    }
}

impl<T: ToJSON> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, self.0.to_json_string())
    }
}

impl<T: ToJSON> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = json(StatusCode::CREATED, self.body.to_json_string());
        set(&mut response, header::LOCATION, &self.location);
        response
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
}

/// Sets a header to a text that is known to be fit for one.
pub(in crate::api) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

fn one(
    status: u16,
    description: &'static str,
    schema: Option<MetaSchemaRef>,
    headers: Vec<MetaHeader>,
) -> MetaResponse {
    let content = schema.map(|schema| MetaMediaType { content_type: JSON, schema }).into_iter().collect();
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}

fn success(status: u16, description: &'static str, schema: Option<MetaSchemaRef>) -> MetaResponses {
    MetaResponses { responses: vec![one(status, description, schema, vec![])] }
}

fn tagged<T: ToJSON>(status: u16, what: &'static str) -> MetaResponse {
    one(status, what, Some(T::schema_ref()), vec![etag()])
}

pub(super) fn etag() -> MetaHeader {
    MetaHeader {
        name: header::ETAG.as_str().replace("etag", "ETag"),
        description: Some("Stands for the version and the representation of the resource; opaque.".to_owned()),
        required: true,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
            example: Some(ETAG_EXAMPLE.into()),
            ..MetaSchema::new("string")
        })),
    }
}

impl<T: ToJSON> ApiResponse for Found<T> {
    fn meta() -> MetaResponses {
        success(200, RESULT, Some(T::schema_ref()))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        success(201, CREATED, Some(T::schema_ref()))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> ApiResponse for Fresh<T> {
    fn meta() -> MetaResponses {
        let known = one(304, "It still is as `If-None-Match` has it; there is no body.", None, vec![etag()]);
        MetaResponses { responses: vec![tagged::<T>(200, RESULT), known] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $response:expr;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name<T>(pub(in crate::api) Answer<T>);

        impl<T: Send> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                respond(self.0)
            }
        }

        impl<T: ToJSON> ApiResponse for $name<T> {
            fn meta() -> MetaResponses {
                MetaResponses { responses: vec![$response] }
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }
    )*};
}

answers! {
    /// 200 with one resource and its tag.
    Tagged: tagged::<T>(200, RESULT);
    /// 201 with one resource, its tag, and where it can be had again.
    Made: tagged::<T>(201, CREATED);
    /// 201 with what is no resource, and where it can be removed.
    Issued: one(201, CREATED, Some(T::schema_ref()), vec![]);
    /// 201 with one resource, its tag, and what is shown only now.
    MadeOnce: tagged::<T>(201, CREATED);
    /// 200 with one resource, its tag, and what is shown only now.
    ShownOnce: tagged::<T>(200, RESULT);
    /// 200 with the result of a keyed operation that is no resource.
    Performed: one(200, RESULT, Some(T::schema_ref()), vec![]);
}

/// What an operation gives, as its own example shows it.
pub(in crate::api) trait Shown<T> {
    fn shown() -> T;
}

/// 202 with what will tell of what was asked for; `E` shows one.
pub(in crate::api) struct Promised<T, E>(Answer<T>, PhantomData<E>);

impl<T, E> From<Answer<T>> for Promised<T, E> {
    fn from(answer: Answer<T>) -> Self {
        Self(answer, PhantomData)
    }
}

impl<T: Send, E: Send> IntoResponse for Promised<T, E> {
    fn into_response(self) -> Response {
        respond(self.0)
    }
}

impl<T: ToJSON, E: Shown<T>> ApiResponse for Promised<T, E> {
    fn meta() -> MetaResponses {
        let example = MetaSchema { example: E::shown().to_json(), ..MetaSchema::ANY };
        let schema = T::schema_ref().merge(example);
        success(202, "Accepted, and what was asked for happens after this answer:", Some(schema))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl ApiResponse for Accepted {
    fn meta() -> MetaResponses {
        success(202, "Accepted: what was asked for happens after this answer, which has no body.", None)
    }

    fn register(_registry: &mut Registry) {}
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        success(204, "Done; there is no body.", None)
    }

    fn register(_registry: &mut Registry) {}
}
