//! Why no answer came, in words for whom the webhook belongs to.
//!
//! The libraries' own words name addresses of this network and change with their versions.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

use super::resolver::NoWay;

/// What is said of a failure that has no sentence of its own.
const UNKNOWN: &str = "No answer came.";

/// The sentence for a failed request.
pub(super) fn sentence(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = cause {
        // The deepest cause that is known says most.
        found = known(error).or(found);
        cause = inner(error);
    }
    let slow = (error.is_connect() && error.is_timeout()).then(|| "No connection could be made in time.".to_owned());
    found.or(slow).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// What caused the error. Errors of input and output leave out the one that they wrap when they are asked.
fn inner<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<NoWay>() {
        return Some(error.to_string());
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(insecure(error).to_owned());
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return unreadable(error).map(str::to_owned);
    }
    unconnected(error.downcast_ref::<io::Error>()?).map(str::to_owned)
}

fn insecure(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return "No secure connection could be made.";
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "The certificate is not valid: it has expired."
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "The certificate is not valid yet."
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "The certificate is not valid: it is for another name."
        }
        // The signature is bad if the issuer only has the name of one that is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "The certificate is not valid: no authority that is trusted issued it."
        }
        CertificateError::Revoked => "The certificate is not valid: it was revoked.",
        _ => "The certificate is not valid.",
    }
}

fn unreadable(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse_too_large() {
        Some("The head of the answer is too large.")
    } else if error.is_parse() {
        Some("The answer is not HTTP.")
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some("The connection was closed before an answer came.")
    } else {
        None
    }
}

fn unconnected(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some("The connection was refused."),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => Some("The connection was closed before an answer came."),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
            Some("The host cannot be reached.")
        }
        ErrorKind::TimedOut => Some("No connection could be made in time."),
        _ => None,
    }
}
