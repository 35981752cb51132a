//! What can be said of a URL without asking anybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::Allowances;

/// How long a URL may be, in characters.
const LENGTH: usize = 2_048;

/// Why a URL is refused. None of the sentences repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is too long.
    #[error("The URL must be at most {LENGTH} characters long.")]
    TooLong,
    /// It is not an absolute URL with a host, or has characters in it that not all programs read alike.
    #[error("The URL must be absolute, such as https://example.com/hooks, without spaces and backslashes.")]
    NotAbsolute,
    /// It does not begin with `https://`.
    #[error("The URL must begin with https://.")]
    NotHttps,
    /// It does not begin with `https://`, and not with `http://` either, which the operator allows.
    #[error("The URL must begin with https:// or http://.")]
    NotHttp,
    /// It has a user or a password in it.
    #[error("The URL must not have a user or a password in it.")]
    Credentials,
    /// It has a fragment, which no server would be told.
    #[error("The URL must not have a fragment (#).")]
    Fragment,
    /// The port is 0.
    #[error("The port must not be 0.")]
    Port,
    /// It names this machine, or an address in it is not public.
    #[error("The address is not public.")]
    Address,
}

/// Reads a URL that may be asked, as far as that is known before its name is looked up.
pub(super) fn read(text: &str, allowances: &Allowances) -> Result<Url, Forbidden> {
    if text.chars().nth(LENGTH).is_some() {
        return Err(Forbidden::TooLong);
    }
    // The parser would drop or replace these; who else reads the URL may not.
    if text.chars().any(|character| character.is_whitespace() || character.is_control() || character == '\\') {
        return Err(Forbidden::NotAbsolute);
    }
    let (scheme, rest) = text.split_once("://").ok_or(Forbidden::NotAbsolute)?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" => {}
        "http" if allowances.http => {}
        _ if allowances.http => return Err(Forbidden::NotHttp),
        _ => return Err(Forbidden::NotHttps),
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Forbidden::Credentials);
    }
    if authority.is_empty() {
        return Err(Forbidden::NotAbsolute);
    }
    let url = Url::parse(text).map_err(|_| Forbidden::NotAbsolute)?;
    if url.fragment().is_some() {
        return Err(Forbidden::Fragment);
    }
    if url.port() == Some(0) {
        return Err(Forbidden::Port);
    }
    let permitted = match url.host().ok_or(Forbidden::NotAbsolute)? {
        Host::Ipv4(address) => allowances.permit(IpAddr::V4(address)),
        Host::Ipv6(address) => allowances.permit(IpAddr::V6(address)),
        Host::Domain(name) => !is_localhost(name) || allows_this_machine(allowances),
    };
    if permitted { Ok(url) } else { Err(Forbidden::Address) }
}

/// Whether the name is this machine's, which RFC 6761 has for all that ends in `localhost`.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

fn allows_this_machine(allowances: &Allowances) -> bool {
    allowances.permit(Ipv4Addr::LOCALHOST.into()) || allowances.permit(Ipv6Addr::LOCALHOST.into())
}
