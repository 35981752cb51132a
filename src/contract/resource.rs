//! What all versioned resources have in common, and how each looks to who comes too late to change it.

use poem_openapi::Object;
use poem_openapi::types::ToJSON;
use uuid::Uuid;

use super::account::user::User;
use super::error::ErrorCode;
use super::project::Project;
use super::task::Task;
use super::task::comment::Comment;
use super::webhook::Webhook;

/// A resource that counts its changes.
pub trait Resource: ToJSON {
    /// Tells it from all other resources, of whatever kind.
    fn uuid(&self) -> Uuid;

    /// How often its own fields were changed, from 1.
    fn version(&self) -> i64;

    /// Where it is found: the path of its GET.
    fn location(&self) -> String;
}

impl Resource for User {
    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn location(&self) -> String {
        "/v1/me".to_owned()
    }
}

impl Resource for Project {
    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn location(&self) -> String {
        format!("/v1/projects/{}", self.id)
    }
}

impl Resource for Task {
    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn location(&self) -> String {
        format!("/v1/tasks/{}", self.id)
    }
}

impl Resource for Comment {
    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn location(&self) -> String {
        format!("/v1/comments/{}", self.id)
    }
}

impl Resource for Webhook {
    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn location(&self) -> String {
        format!("/v1/webhooks/{}", self.id)
    }
}

macro_rules! stale_types {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($resource:ident);)*) => {
        /// The resource as it is now, for who wanted to change an older version of it.
        #[derive(Debug, Clone)]
        pub enum CurrentResource {
            $(
                #[doc = concat!("A ", stringify!($resource), ".")]
                $variant(Box<$resource>),
            )*
        }

        impl CurrentResource {
            /// The body of the failure.
            #[must_use]
            pub fn into_failure(self, error: ErrorCode, message: String, request_id: String) -> String {
                match self {
                    $(Self::$variant(current) => {
                        $name { error, message, request_id, current: *current }.to_json_string()
                    })*
                }
            }
        }

        $(
            impl From<$resource> for CurrentResource {
                fn from(resource: $resource) -> Self {
                    Self::$variant(Box::new(resource))
                }
            }

            $(#[$doc])*
            #[derive(Debug, Clone, Object)]
            pub struct $name {
                /// What went wrong, as a stable word for programs: `PRECONDITION_FAILED`.
                pub error: ErrorCode,
                /// What went wrong, as a sentence a person can act on; its wording may change.
                pub message: String,
                /// The `X-Request-Id` of this response, to quote when you report a problem.
                pub request_id: String,
                /// The resource as it is now: merge your change with it, and send that with the new version's tag.
                pub current: $resource,
            }
        )*
    };
}

stale_types! {
    /// Says that the account was changed meanwhile, and shows it as it is now.
    StaleUser: User(User);
    /// Says that the project was changed meanwhile, and shows it as it is now.
    StaleProject: Project(Project);
    /// Says that the task was changed meanwhile, and shows it as it is now.
    StaleTask: Task(Task);
    /// Says that the comment was changed meanwhile, and shows it as it is now.
    StaleComment: Comment(Comment);
    /// Says that the webhook was changed meanwhile, and shows it as it is now.
    StaleWebhook: Webhook(Webhook);
}
