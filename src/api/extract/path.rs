//! Path parameters.

use std::sync::Arc;

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef, Registry};
use poem_openapi::types::ParseFromParameter;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::api::errors::ApiError;
use crate::api::validation::percent_decode;

/// The path template of the operation, such as `/v1/tasks/{task_id}`.
#[derive(Debug, Clone)]
pub(in crate::api) struct PathTemplate(pub(in crate::api) Arc<str>);

impl PathTemplate {
    /// Returns the segment of `path` at the position of the parameter.
    fn segment<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        let mut segments = self.0.split('/').zip(path.split('/'));
        let is_parameter =
            |template: &str| template.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name);
        segments.find(|(template, _)| is_parameter(template)).map(|(_, segment)| segment)
    }
}

/// A path parameter.
pub(in crate::api) struct PathParam<T>(pub(in crate::api) T);

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for PathParam<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Path)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let template = request.extensions().get::<PathTemplate>();
        let segment = template.and_then(|template| template.segment(options.name, request.uri().path()));
        // An id that is not valid UTF-8 parses like any other malformed id: nothing has it.
        let text = segment.and_then(percent_decode).unwrap_or_default();
        T::parse_from_parameter(&text).map(Self).map_err(|_| {
            ApiError::internal(anyhow::anyhow!("the path parameter {} did not parse", options.name)).into()
        })
    }
}
