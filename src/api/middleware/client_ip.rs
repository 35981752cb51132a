//! The IP address of the client.

use std::net::{IpAddr, Ipv4Addr};

use poem::Request;

/// Returns the address of the socket or, behind `trusted_proxy_hops` proxies, the address that the outermost of them
/// appended to `X-Forwarded-For`. Addresses to the left of it can be forged.
pub(super) fn client_ip(request: &Request, trusted_proxy_hops: usize) -> IpAddr {
    let socket =
        request.remote_addr().as_socket_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip);
    if trusted_proxy_hops == 0 {
        return socket;
    }
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        // Split as bytes, so that an invalid part does not invalidate those after it.
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|part| std::str::from_utf8(part).unwrap_or_default().trim())
        .collect();
    let position = forwarded.len().checked_sub(trusted_proxy_hops);
    position.and_then(|position| parse(forwarded[position])).unwrap_or(socket)
}

/// Parses an address; some proxies append the port.
fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(header: &'static str, value: &str) -> Request {
        Request::builder().header(header, value).finish()
    }

    #[test]
    fn only_addresses_appended_by_proxies_are_trusted() {
        let forwarded = request("x-forwarded-for", "6.6.6.6, 192.0.2.7, 198.51.100.1");
        let socket = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        for (hops, expected) in
            [(0, socket), (1, "198.51.100.1".parse().unwrap()), (2, "192.0.2.7".parse().unwrap()), (4, socket)]
        {
            assert_eq!(client_ip(&forwarded, hops), expected, "{hops}");
        }
        assert_eq!(
            client_ip(&request("x-forwarded-for", "[2001:db8::1]:443"), 1),
            "2001:db8::1".parse::<IpAddr>().unwrap()
        );
        assert_eq!(client_ip(&request("x-forwarded-for", "nonsense"), 1), socket);
    }
}
