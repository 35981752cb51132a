//! Network of a client, which is what limits count: a household has one IPv4 address or one /64 of IPv6.

use std::net::IpAddr;

/// Network of a client: an IPv4 address, or a prefix of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork {
    address: IpAddr,
    /// Number of bits of the prefix; unused for IPv4.
    prefix: u8,
}

impl ClientNetwork {
    /// Returns the network of one household: the IPv4 address, or the /64 of the IPv6 address.
    #[must_use]
    pub fn household(address: IpAddr) -> Self {
        Self::with_prefix(address, 64)
    }

    /// Returns the network with a prefix of an IPv6 address. An IPv4 address stays as it is.
    #[must_use]
    pub fn with_prefix(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or_default();
                Self { address: IpAddr::V6((address.to_bits() & mask).into()), prefix }
            }
            address @ IpAddr::V4(_) => Self { address, prefix: 0 },
        }
    }

    /// Returns whether the network is an IPv6 prefix of this length.
    #[must_use]
    pub const fn is_prefix(&self, prefix: u8) -> bool {
        self.address.is_ipv6() && self.prefix == prefix
    }

    /// Returns whether the client has an IPv6 address.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }
}

impl std::fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn household(address: &str) -> ClientNetwork {
        ClientNetwork::household(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_a_household_are_one_network() {
        assert_eq!(household("2001:db8::1"), household("2001:db8::ffff:1"));
        assert_ne!(household("2001:db8::1"), household("2001:db8:0:1::1"));
        assert_eq!(household("::ffff:192.0.2.1"), household("192.0.2.1"));
        assert_ne!(household("192.0.2.1"), household("192.0.2.2"));
    }

    #[test]
    fn a_shorter_prefix_is_a_larger_network() {
        let network = |address: &str, prefix| ClientNetwork::with_prefix(address.parse().unwrap(), prefix);
        assert_eq!(network("2001:db8:0:ff::1", 56), network("2001:db8::1", 56));
        assert_ne!(network("2001:db8:0:100::1", 56), network("2001:db8::1", 56));
        assert_eq!(network("2001:db8:0:ffff::1", 48), network("2001:db8::1", 48));
        assert_ne!(network("2001:db8::1", 48), network("2001:db8::1", 56));
        assert_ne!(network("192.0.2.1", 48), network("192.0.2.2", 48));
        assert_eq!(network("2001:db8:0:ffff::1", 48).to_string(), "2001:db8::/48");
    }
}
