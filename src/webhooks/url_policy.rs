//! Checks of a webhook URL that need no DNS lookup.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::egress_policy::EgressPolicy;

/// Maximum length of a URL in characters.
const MAX_URL_LEN: usize = 2_048;

/// Message for a host that is unknown or not public. It is the same for both, so that it reveals no internal name.
pub(super) const NOT_PUBLIC: &str = "The host is unknown or its address is not public.";

/// Reason why a URL is rejected. The message never repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The URL is too long.
    #[error("The URL must be at most {MAX_URL_LEN} characters long.")]
    TooLong,
    /// The URL has no scheme or host, or contains whitespace, control characters or backslashes.
    #[error("The URL must be absolute, such as https://example.com/hooks, without spaces and backslashes.")]
    NotAbsolute,
    /// The scheme is not `https`.
    #[error("The URL must begin with https://.")]
    NotHttps,
    /// The scheme is neither `https` nor `http`, which the operator allows.
    #[error("The URL must begin with https:// or http://.")]
    NotHttp,
    /// The URL contains credentials.
    #[error("The URL must not contain a user or a password.")]
    Credentials,
    /// The URL has a fragment, which is never sent.
    #[error("The URL must not have a fragment (#).")]
    Fragment,
    /// The port is not one of those that the operator allows.
    #[error("The port is not allowed. Use 443, which is the default.")]
    Port,
    /// The host is localhost or an address that is not allowed.
    #[error("{NOT_PUBLIC}")]
    Address,
}

/// Parses a URL and checks it, except for the addresses of its host name.
pub(super) fn parse(text: &str, policy: &EgressPolicy) -> Result<Url, UrlError> {
    if text.chars().nth(MAX_URL_LEN).is_some() {
        return Err(UrlError::TooLong);
    }
    // URL parsers disagree about these characters.
    if text.chars().any(|character| character.is_whitespace() || character.is_control() || character == '\\') {
        return Err(UrlError::NotAbsolute);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::NotAbsolute)?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" => {}
        "http" if policy.allow_http => {}
        _ if policy.allow_http => return Err(UrlError::NotHttp),
        _ => return Err(UrlError::NotHttps),
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(UrlError::Credentials);
    }
    if authority.is_empty() {
        return Err(UrlError::NotAbsolute);
    }
    let url = Url::parse(text).map_err(|_| UrlError::NotAbsolute)?;
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    if !url.port_or_known_default().is_some_and(|port| policy.allows_port(port)) {
        return Err(UrlError::Port);
    }
    let permitted = match url.host().ok_or(UrlError::NotAbsolute)? {
        Host::Ipv4(address) => policy.allows(IpAddr::V4(address)),
        Host::Ipv6(address) => policy.allows(IpAddr::V6(address)),
        Host::Domain(name) => !is_localhost(name) || allows_loopback(policy),
    };
    if permitted { Ok(url) } else { Err(UrlError::Address) }
}

/// Returns whether a name is `localhost` or below it (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

fn allows_loopback(policy: &EgressPolicy) -> bool {
    policy.allows(Ipv4Addr::LOCALHOST.into()) || policy.allows(Ipv6Addr::LOCALHOST.into())
}
