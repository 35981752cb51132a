//! Content negotiation, and the syntax of the body.

use poem::Request;
use poem::error::ReadBodyError;
use poem::http::header;
use serde_json::Value;
use tokio::time::Instant;

use super::large_bodies::LargeBodies;
use crate::api::errors::{self, ApiError, not_acceptable};
use crate::api::operations::{Cost, OperationPolicy};
use crate::api::validation::{self, Operation};
use crate::contract::error::ErrorCode;

/// Maximum size of the body of a request that is not a batch, in bytes.
const MAX_SIZE: usize = 64 * 1_024;

/// Rejects a request whose `Accept` excludes the media type of the response (RFC 9110, section 12.5.1).
pub(super) fn negotiate(request: &Request, media_type: &str) -> Result<(), ApiError> {
    let mut headers = request.headers().get_all(header::ACCEPT).iter().peekable();
    if headers.peek().is_none() {
        return Ok(());
    }
    // The most precise matching range decides.
    let mut best: Option<(u8, bool)> = None;
    for range in headers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let precision = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            range if range == media_type => 3,
            "*/*" | "" => 1,
            range if range.strip_suffix('*').is_some_and(|kind| media_type.starts_with(kind)) => 2,
            _ => continue,
        };
        let zero = |part: &str| {
            part.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
            })
        };
        let wanted = !parts.any(zero);
        if best.is_none_or(|(known, _)| precision >= known) {
            best = Some((precision, wanted));
        }
    }
    if best.is_some_and(|(_, wanted)| wanted) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::NotAcceptable).with_message(not_acceptable(media_type)))
}

/// A body, and its size in bytes.
pub(super) struct ParsedBody {
    pub(super) value: Value,
    pub(super) size: usize,
}

/// Returns the maximum size of a body, in bytes; `batch_limit` is that of batches.
pub(super) fn limit(policy: &OperationPolicy, batch_limit: usize) -> usize {
    if policy.cost == Cost::Batch { batch_limit } else { batch_limit.min(MAX_SIZE) }
}

/// Reads and parses the body, if there is one.
///
/// The deadline is earlier than that of the whole request, so that a slow client gets 408 instead of 504.
pub(super) async fn read_json(
    request: &mut Request,
    operation: &Operation,
    limit: usize,
    deadline: Instant,
    large_bodies: &LargeBodies,
) -> Result<Option<ParsedBody>, ApiError> {
    let content_type = request.header(header::CONTENT_TYPE).map(str::to_owned);
    let known = content_type.as_deref().map(|text| accepts_content_type(text, &operation.media_types));
    let encoding = request.header(header::CONTENT_ENCODING).unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        let message = "The request body must be sent without a Content-Encoding.";
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType).with_message(message));
    }
    if known == Some(false) {
        return Err(unsupported_media_type(operation));
    }
    let announced = request.header(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let bytes = match tokio::time::timeout_at(deadline, request.take_body().into_bytes_limit(limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(too_large(limit)),
        Ok(Err(ReadBodyError::Io(error))) if is_timeout(&error) => {
            return Err(ApiError::new(ErrorCode::RequestTimeout));
        }
        // The client disconnected.
        Ok(Err(_)) => return Err(ApiError::new(ErrorCode::MalformedJson).with_message("The body ended too early.")),
        Err(_) => return Err(ApiError::new(ErrorCode::RequestTimeout)),
    };
    // Clients send the media type also where they send nothing.
    if bytes.is_empty() && (content_type.is_none() || !operation.is_body_required) {
        return Ok(None);
    }
    if content_type.is_none() {
        return Err(unsupported_media_type(operation));
    }
    let size = bytes.len();
    let parsed = large_bodies.run(size, move || validation::parse_json(&bytes)).await?;
    parsed
        .map(|value| Some(ParsedBody { value, size }))
        .map_err(|error| ApiError::new(ErrorCode::MalformedJson).with_message(error.to_string()))
}

/// Returns whether the header is one of the media types, with no charset other than UTF-8.
fn accepts_content_type(content_type: &str, media_types: &[String]) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    media_types.iter().any(|known| known.eq_ignore_ascii_case(essence))
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || is_utf_8(value.trim().trim_matches('"'))
        })
}

/// Returns whether a charset is UTF-8, by any of its labels in the Encoding standard.
fn is_utf_8(charset: &str) -> bool {
    let labels = ["utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"];
    labels.iter().any(|label| label.eq_ignore_ascii_case(charset))
}

fn unsupported_media_type(operation: &Operation) -> ApiError {
    let media_types: Vec<&str> = operation.media_types.iter().map(String::as_str).collect();
    ApiError::new(ErrorCode::UnsupportedMediaType).with_message(errors::unsupported_media_type(&media_types))
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge).with_message(errors::payload_too_large(limit))
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::media_types::JSON;

    #[test]
    fn the_most_precise_range_of_accept_decides() {
        for (accept, acceptable) in [
            ("application/json", true),
            ("APPLICATION/JSON", true),
            ("*/*", true),
            ("text/html, */*;q=0.1", true),
            ("application/*", true),
            ("application/json; charset=utf-8", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("application/json;q=0, */*", false),
            ("*/*;q=0", false),
            ("*/*;q=0, application/json", true),
        ] {
            let request = Request::builder().header(header::ACCEPT, accept).finish();
            assert_eq!(negotiate(&request, JSON).is_ok(), acceptable, "{accept}");
        }
        assert!(negotiate(&Request::default(), JSON).is_ok());
    }

    #[test]
    fn only_json_in_utf_8_is_accepted() {
        let accepted = [JSON.to_owned()];
        for (content_type, good) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/json;charset=utf8", true),
            ("application/json; charset=latin1", false),
            ("application/problem+json", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(accepts_content_type(content_type, &accepted), good, "{content_type}");
        }
    }
}
