//! Messages about failed requests for the owner of a webhook.
//!
//! Messages of libraries are not shown: they name internal addresses and change between versions.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

use super::resolver::ResolveError;

/// Message for a failure of unknown cause.
const UNKNOWN: &str = "No response was received.";

/// Describes a failed request.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = cause {
        // The deepest known cause is the most specific.
        found = known(error).or(found);
        cause = inner(error);
    }
    let slow = (error.is_connect() && error.is_timeout()).then(|| "The connection timed out.".to_owned());
    found.or(slow).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Returns the cause of an error. `io::Error::source` skips the wrapped error.
fn inner<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<ResolveError>() {
        return Some(error.to_string());
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_message(error).to_owned());
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return http_message(error).map(str::to_owned);
    }
    connection_message(error.downcast_ref::<io::Error>()?).map(str::to_owned)
}

fn tls_message(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return "The TLS handshake failed.";
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
        // An issuer with the name of a trusted authority but another key fails the signature check.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "The certificate is not valid: its issuer is not trusted."
        }
        CertificateError::Revoked => "The certificate is not valid: it was revoked.",
        _ => "The certificate is not valid.",
    }
}

fn http_message(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse_too_large() {
        Some("The response headers are too large.")
    } else if error.is_parse() {
        Some("The response is not HTTP.")
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some("The connection was closed before a response was received.")
    } else {
        None
    }
}

fn connection_message(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some("The connection was refused."),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => Some("The connection was closed before a response was received."),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
            Some("The host cannot be reached.")
        }
        ErrorKind::TimedOut => Some("The connection timed out."),
        _ => None,
    }
}
