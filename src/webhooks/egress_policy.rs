//! The addresses to which connections are allowed (SSRF protection).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Destinations that the operator allows in addition to public addresses over `https://`.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Networks that are allowed although they are not public.
    pub allowed_networks: Vec<Network>,
    /// Networks that are not allowed, although they are public or allowed.
    pub denied_networks: Vec<Network>,
    /// Ports that are allowed.
    pub allowed_ports: AllowedPorts,
    /// True if `http://` is allowed.
    pub allow_http: bool,
}

/// Ports to which connections are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedPorts {
    /// The usual ports of web servers, and these.
    Also(Vec<u16>),
    /// All ports.
    All,
}

impl Default for AllowedPorts {
    fn default() -> Self {
        Self::Also(Vec::new())
    }
}

/// Usual ports of web servers, with TLS and without.
const TLS_PORTS: [u16; 2] = [443, 8443];
const HTTP_PORTS: [u16; 2] = [80, 8080];

/// A network, such as `10.1.0.0/16`, or a single address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(IpNet);

/// Error for a text that is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a network like 10.1.0.0/16 or an address")]
pub struct InvalidNetwork;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let network = match text.parse::<IpNet>() {
            Ok(network) => network.trunc(),
            Err(_) => text.parse::<IpAddr>().map_err(|_| InvalidNetwork)?.into(),
        };
        // Like addresses, networks of IPv4-mapped addresses are compared as IPv4.
        let IpNet::V6(v6) = network else { return Ok(Self(network)) };
        let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
        let v4 = v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
        Ok(Self(v4.map_or(network, IpNet::V4)))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl EgressPolicy {
    /// Returns whether connections to an address are allowed.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.0.contains(&address));
        if is_metadata_or_unspecified(address) || is_in(&self.denied_networks) {
            return false;
        }
        if is_in(&self.allowed_networks) {
            // An allowed translator (such as NAT64) does not open the private IPv4 addresses behind it.
            return embedded_ipv4(address).into_iter().all(|address| self.allows(IpAddr::V4(address)));
        }
        let is_public = match address {
            IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address)),
            IpAddr::V6(address) => !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address)),
        };
        is_public && !is_own(address, if_addrs::get_if_addrs().as_deref())
    }

    /// Returns whether connections to a port are allowed.
    #[must_use]
    pub fn allows_port(&self, port: u16) -> bool {
        match &self.allowed_ports {
            AllowedPorts::All => port != 0,
            AllowedPorts::Also(others) => {
                TLS_PORTS.contains(&port) || (self.allow_http && HTTP_PORTS.contains(&port)) || others.contains(&port)
            }
        }
    }
}

/// Returns whether an address is one of this machine. If its interfaces cannot be listed, every address might be.
fn is_own(address: IpAddr, interfaces: Result<&[if_addrs::Interface], &std::io::Error>) -> bool {
    match interfaces {
        Ok(interfaces) => interfaces.iter().any(|interface| interface.ip().to_canonical() == address),
        Err(error) => {
            tracing::error!(%error, "failed to list the addresses of this machine; webhooks are not delivered");
            true
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// Special-purpose addresses that are not globally reachable (RFC 6890).
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // carrier-grade NAT
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // Azure platform services
    v4(169, 254, 0, 0, 16),   // link-local
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // IETF protocols
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 88, 99, 0, 24),   // 6to4 relays
    v4(192, 168, 0, 0, 16),   // private
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 3),      // multicast, reserved, broadcast
];

/// IPv6 addresses that are not globally reachable. Only `2000::/3` is assigned to public use.
const NOT_PUBLIC_V6: [Ipv6Net; 7] = [
    v6(0x0000, 0, 3),       // loopback, IPv4-mapped, NAT64, discard
    v6(0x2001, 0, 23),      // IETF protocols, including Teredo
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x2002, 0, 16),      // 6to4
    v6(0x3fff, 0, 20),      // documentation
    v6(0x4000, 0, 2),       // unassigned
    v6(0x8000, 0, 1),       // unique local, link-local, site-local, multicast, unassigned
];

/// Metadata services of cloud providers, which hand out credentials. No setting allows them.
const METADATA_V4: [Ipv4Addr; 9] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(169, 254, 10, 10),   // Tencent
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Google, Azure and most others
    Ipv4Addr::new(169, 254, 170, 2),   // AWS, containers
    Ipv4Addr::new(169, 254, 170, 23),  // AWS, pods
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
];

const METADATA_V6: [Ipv6Addr; 8] = [
    Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042), // Scaleway
    Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // Oracle
    Ipv6Addr::new(0xfd00, 0x0100, 0, 0, 0, 0, 0x0100, 0x0200), // Alibaba
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0x0001), // Akamai
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023), // AWS, pods
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254), // AWS
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254), // Google
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

fn is_metadata_or_unspecified(address: IpAddr) -> bool {
    match address {
        _ if address.is_unspecified() => true,
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => METADATA_V6.contains(&address),
    }
}

/// Returns the IPv4 addresses that a translator or tunnel on the way may deliver packets for this address to.
fn embedded_ipv4(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return Vec::new() };
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // IPv4-compatible and IPv4-translated, NAT64, local-use NAT64, 6to4.
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => vec![v4(high, low)],
        // Teredo: the server, and the client with inverted bits.
        [0x2001, 0, server_high, server_low, _, _, high, low] => vec![v4(server_high, server_low), v4(!high, !low)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(ip: Ipv4Addr) -> if_addrs::Interface {
        let addr = if_addrs::IfAddr::V4(if_addrs::Ifv4Addr {
            ip,
            netmask: Ipv4Addr::BROADCAST,
            prefixlen: 32,
            broadcast: None,
        });
        let mut interface = if_addrs::get_if_addrs().unwrap().remove(0);
        interface.addr = addr;
        interface
    }

    #[test]
    fn the_addresses_of_this_machine_are_its_own() {
        let public = Ipv4Addr::new(198, 200, 1, 1);
        let interfaces = [interface(public)];
        assert!(is_own(public.into(), Ok(&interfaces)));
        assert!(!is_own(Ipv4Addr::new(198, 200, 1, 2).into(), Ok(&interfaces)));
        let own = if_addrs::get_if_addrs().unwrap();
        assert!(is_own(Ipv4Addr::LOCALHOST.into(), Ok(&own)), "the interfaces of this machine are listed");
        assert!(is_own(Ipv4Addr::new(8, 8, 8, 8).into(), Err(&std::io::Error::other("no"))), "when in doubt");
    }

    #[test]
    fn a_denied_network_is_refused_even_if_it_is_allowed() {
        let networks = |text: &str| vec![text.parse().unwrap()];
        let policy = EgressPolicy {
            allowed_networks: networks("10.0.0.0/8"),
            denied_networks: vec!["10.1.0.0/16".parse().unwrap(), "9.9.9.0/24".parse().unwrap()],
            ..EgressPolicy::default()
        };
        for (address, expected) in
            [("10.2.0.1", true), ("10.1.0.1", false), ("9.9.9.9", false), ("::ffff:9.9.9.9", false), ("9.9.8.9", true)]
        {
            assert_eq!(policy.allows(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn only_the_usual_ports_and_listed_ones_are_allowed() {
        let policy = |allowed_ports, allow_http| EgressPolicy { allowed_ports, allow_http, ..EgressPolicy::default() };
        for (ports, allow_http, allowed, refused) in [
            (AllowedPorts::default(), false, vec![443, 8443], vec![0, 22, 80, 8080, 444]),
            (AllowedPorts::default(), true, vec![443, 8443, 80, 8080], vec![0, 22, 25, 444]),
            (AllowedPorts::Also(vec![9000]), false, vec![443, 8443, 9000], vec![0, 80, 9001]),
            (AllowedPorts::All, false, vec![1, 22, 443, 65_535], vec![0]),
        ] {
            let policy = policy(ports, allow_http);
            assert!(allowed.iter().all(|port| policy.allows_port(*port)), "{policy:?}");
            assert!(!refused.iter().any(|port| policy.allows_port(*port)), "{policy:?}");
        }
    }
}
