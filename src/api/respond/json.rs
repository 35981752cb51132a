//! JSON responses, one type for each status of a success.

use std::marker::PhantomData;

use poem::http::{StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::ToJSON;
use serde::Serialize;

use super::headers::{IDEMPOTENCY_REPLAYED, set, set_etag};
use crate::api::media_types::JSON;
use crate::contract::resource::{Resource, written};
use crate::services::{Effect, EntityTag, ResourceRef, StoredOutcome, WriteOutcome};

/// Body and metadata of a response.
#[derive(Default)]
struct Content {
    body: Option<String>,
    location: Option<String>,
    etag: Option<String>,
    is_replayed: bool,
}

impl Content {
    fn json(body: &impl ToJSON) -> Self {
        Self { body: Some(body.to_json_string()), ..Self::default() }
    }
}

impl<T> From<WriteOutcome<T>> for Content {
    fn from(outcome: WriteOutcome<T>) -> Self {
        let location = match outcome.effect {
            Effect::Created(reference) => Some(location(reference)),
            Effect::Completed | Effect::Accepted | Effect::Done => None,
        };
        Self { body: outcome.body, location, etag: outcome.etag, is_replayed: outcome.is_replayed }
    }
}

/// Returns the path of an object, for the `Location` header.
pub(in crate::api) fn location(reference: ResourceRef) -> String {
    match reference {
        ResourceRef::Project(id) => format!("/v1/projects/{id}"),
        ResourceRef::Invitation(project, id) => format!("/v1/projects/{project}/invitations/{id}"),
        ResourceRef::Task(id) => format!("/v1/tasks/{id}"),
        ResourceRef::Comment(id) => format!("/v1/comments/{id}"),
        ResourceRef::ApiToken(id) => format!("/v1/me/api-tokens/{id}"),
        ResourceRef::Webhook(id) => format!("/v1/webhooks/{id}"),
    }
}

macro_rules! json_responses {
    ($($(#[$doc:meta])* $name:ident: $status:ident;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name<T = NoBody>(Content, PhantomData<fn() -> T>);

        impl<T> From<WriteOutcome<T>> for $name<T> {
            fn from(outcome: WriteOutcome<T>) -> Self {
                Self(outcome.into(), PhantomData)
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
#[derive(Default)]
pub(in crate::api) struct NoContent(Content);

impl From<WriteOutcome<()>> for NoContent {
    fn from(outcome: WriteOutcome<()>) -> Self {
        Self(outcome.into())
    }
}

impl<T: ToJSON> OkJson<T> {
    pub(in crate::api) fn new(body: &T) -> Self {
        Self(Content::json(body), PhantomData)
    }
}

impl<T: Serialize> OkJson<T> {
    /// Returns a large body, such as a page of tasks.
    pub(in crate::api) fn written(body: &T) -> Self {
        Self(Content { body: Some(written(body)), ..Content::default() }, PhantomData)
    }
}

impl<T: Resource> OkJson<T> {
    pub(in crate::api) fn with_etag(resource: &T) -> Self {
        let json = resource.json();
        let etag = Some(EntityTag::new(resource, &json).to_string());
        Self(Content { body: Some(json), etag, ..Content::default() }, PhantomData)
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
        response(StatusCode::NO_CONTENT, self.0)
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        meta(StatusCode::NO_CONTENT, None)
    }

    fn register(_registry: &mut Registry) {}
}

/// Returns the response to the first request with an idempotency key.
pub(in crate::api) fn replay(outcome: StoredOutcome) -> Response {
    let status = match outcome.effect {
        Effect::Created(_) => StatusCode::CREATED,
        Effect::Completed => StatusCode::OK,
        Effect::Accepted => StatusCode::ACCEPTED,
        Effect::Done => StatusCode::NO_CONTENT,
    };
    response(status, WriteOutcome::<()>::from(outcome).into())
}

fn response(status: StatusCode, content: Content) -> Response {
    let mut response = match content.body {
        Some(body) => Response::builder().status(status).content_type(JSON).body(Body::from_string(body)),
        None => status.into_response(),
    };
    if let Some(location) = content.location {
        set(&mut response, header::LOCATION, &location);
    }
    if let Some(tag) = content.etag {
        set_etag(&mut response, &tag);
    }
    if content.is_replayed {
        set(&mut response, IDEMPOTENCY_REPLAYED, "true");
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
