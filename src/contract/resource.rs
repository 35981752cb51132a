//! Versioned resources, and the 412 responses that contain the current version.

use poem_openapi::Object;
use poem_openapi::types::ToJSON;
use serde::Serialize;
use uuid::Uuid;

use super::account::user::User;
use super::error::ErrorCode;
use super::project::Project;
use super::task::Task;
use super::task::comment::Comment;
use super::webhook::Webhook;

/// Resource with a version number.
pub trait Resource: ToJSON {
    /// Returns the id, which is unique across all resource types.
    fn uuid(&self) -> Uuid;

    /// Returns the version number, starting at 1.
    fn version(&self) -> i64;

    /// Returns the representation.
    fn json(&self) -> String;
}

macro_rules! resources {
    ($($(#[$doc:meta])* $resource:ident, $stale:ident, $json:expr;)*) => {
        /// Current version of a resource, for a client that updated an older one.
        #[derive(Debug, Clone)]
        pub enum CurrentResource {
            $(
                #[doc = concat!(stringify!($resource), " resource.")]
                $resource(Box<$resource>),
            )*
        }

        impl CurrentResource {
            /// Renders the error body.
            #[must_use]
            pub fn into_failure(self, error: ErrorCode, message: String, request_id: String) -> String {
                match self {
                    $(Self::$resource(current) => {
                        $stale { error, message, request_id, current: *current }.to_json_string()
                    })*
                }
            }
        }

        $(
            impl Resource for $resource {
                fn uuid(&self) -> Uuid {
                    self.id.0
                }

                fn version(&self) -> i64 {
                    self.version
                }

                fn json(&self) -> String {
                    $json(self)
                }
            }

            impl From<$resource> for CurrentResource {
                fn from(resource: $resource) -> Self {
                    Self::$resource(Box::new(resource))
                }
            }

            $(#[$doc])*
            #[derive(Debug, Clone, Object)]
            pub struct $stale {
                /// Machine-readable error code: `PRECONDITION_FAILED`.
                pub error: ErrorCode,
                /// Human-readable explanation. The wording may change.
                pub message: String,
                /// `X-Request-Id` of this response. Include it when you report a problem.
                pub request_id: String,
                /// Current version of the resource. Merge your changes into it and retry with its `ETag`.
                pub current: $resource,
            }
        )*
    };
}

/// Writes a representation without the `Value` in between, which costs more than the rest of it.
#[must_use]
pub fn written(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

resources! {
    /// Error with the current version of the account, which changed in the meantime.
    User, StaleUser, ToJSON::to_json_string;
    /// Error with the current version of the project, which changed in the meantime.
    Project, StaleProject, ToJSON::to_json_string;
    /// Error with the current version of the task, which changed in the meantime.
    Task, StaleTask, written;
    /// Error with the current version of the comment, which changed in the meantime.
    Comment, StaleComment, ToJSON::to_json_string;
    /// Error with the current version of the webhook, which changed in the meantime.
    Webhook, StaleWebhook, ToJSON::to_json_string;
}
