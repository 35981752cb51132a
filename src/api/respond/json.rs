//! JSON responses, one type for each status of a success.

use std::marker::PhantomData;

use poem::http::{StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::ToJSON;

use super::headers::{set, set_etag};
use crate::api::media_types::JSON;
use crate::contract::resource::Resource;
use crate::services::{Answer, EntityTag};

/// Body and metadata of a response.
#[derive(Default)]
struct Content {
    body: Option<String>,
    location: Option<String>,
    etag: Option<String>,
}

impl Content {
    fn json(body: &impl ToJSON) -> Self {
        Self { body: Some(body.to_json_string()), ..Self::default() }
    }
}

impl<T> From<Answer<T>> for Content {
    fn from(answer: Answer<T>) -> Self {
        Self { body: answer.body, location: answer.location, etag: answer.etag }
    }
}

macro_rules! json_responses {
    ($($(#[$doc:meta])* $name:ident: $status:ident;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name<T = NoBody>(Content, PhantomData<fn() -> T>);

        impl<T> From<Answer<T>> for $name<T> {
            fn from(answer: Answer<T>) -> Self {
                Self(answer.into(), PhantomData)
            }
        }

        impl<T> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                response(StatusCode::$status, self.0)
            }
        }

        impl<T: ToJSON> ApiResponse for $name<T> {
            fn meta() -> MetaResponses {
                meta(StatusCode::$status, Some(T::schema_ref()))
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }
    )*};
}

json_responses! {
    /// 200 with a JSON body.
    OkJson: OK;
    /// 201 with a JSON body and a `Location`.
    Created: CREATED;
    /// 202: the work continues after the response.
    Accepted: ACCEPTED;
}

/// Marks a response without a body.
pub(in crate::api) struct NoBody;

/// 204.
pub(in crate::api) struct NoContent;

impl<T: ToJSON> OkJson<T> {
    pub(in crate::api) fn new(body: &T) -> Self {
        Self(Content::json(body), PhantomData)
    }
}

impl<T: Resource> OkJson<T> {
    pub(in crate::api) fn with_etag(resource: &T) -> Self {
        let json = resource.to_json_string();
        let etag = Some(EntityTag::new(resource, &json).to_string());
        Self(Content { body: Some(json), location: None, etag }, PhantomData)
    }
}

impl<T: ToJSON> Created<T> {
    pub(in crate::api) fn at(location: &str, body: &T) -> Self {
        Self(Content { location: Some(location.to_owned()), ..Content::json(body) }, PhantomData)
    }
}

impl Accepted {
    pub(in crate::api) fn empty() -> Self {
        Self(Content::default(), PhantomData)
    }
}

impl ApiResponse for Accepted {
    fn meta() -> MetaResponses {
        meta(StatusCode::ACCEPTED, None)
    }

    fn register(_registry: &mut Registry) {}
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        meta(StatusCode::NO_CONTENT, None)
    }

    fn register(_registry: &mut Registry) {}
}

/// Returns the stored response to the first request with an idempotency key.
pub(in crate::api) fn replay(answer: Answer<()>) -> Response {
    response(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer.into())
}

fn response(status: StatusCode, content: Content) -> Response {
    let mut response = match content.body {
        Some(body) => Response::builder()
            .status(status)
            .content_type(JSON)
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body(Body::from_string(body)),
        None => status.into_response(),
    };
    if let Some(location) = content.location {
        set(&mut response, header::LOCATION, &location);
    }
    if let Some(tag) = content.etag {
        set_etag(&mut response, &tag);
    }
    response
}

/// Describes a response; `openapi::responses` writes its description.
fn meta(status: StatusCode, schema: Option<MetaSchemaRef>) -> MetaResponses {
    let content = schema.map(|schema| MetaMediaType { content_type: JSON, schema }).into_iter().collect();
    let status = Some(status.as_u16());
    MetaResponses {
        responses: vec![MetaResponse { description: "", status, status_range: None, content, headers: vec![] }],
    }
}
