//! The address at which clients reach the server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Returns an address at which clients reach a listener: `0.0.0.0` and `::` listen everywhere, but are no destination.
#[must_use]
pub fn reachable(listening: SocketAddr) -> SocketAddr {
    if !listening.ip().is_unspecified() {
        return listening;
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let addresses = interfaces.iter().map(if_addrs::Interface::ip);
    SocketAddr::new(first_usable(addresses), listening.port())
}

fn first_usable(mut addresses: impl Iterator<Item = IpAddr>) -> IpAddr {
    // IPv6 addresses may be temporary, or valid on one link only.
    let usable = addresses.find(|ip| matches!(ip, IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local()));
    usable.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_never_a_destination() {
        for listening in ["0.0.0.0:3000", "[::]:3000"] {
            let reached = reachable(listening.parse().unwrap());
            assert!(!reached.ip().is_unspecified(), "{reached}");
            assert_eq!(reached.port(), 3000);
        }
        assert_eq!(reachable("127.0.0.1:80".parse().unwrap()).to_string(), "127.0.0.1:80");
    }

    #[test]
    fn the_first_address_beyond_this_machine_is_usable() {
        let addresses = ["127.0.0.1", "::1", "fe80::1", "169.254.1.1", "192.168.1.20", "10.0.0.1"];
        let parsed = |count: usize| addresses.iter().take(count).map(|text| text.parse().unwrap());
        assert_eq!(first_usable(parsed(6)).to_string(), "192.168.1.20");
        assert_eq!(first_usable(parsed(4)).to_string(), "127.0.0.1");
    }
}
