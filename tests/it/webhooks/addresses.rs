//! Addresses that webhooks may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pocket_tasks::webhooks::EgressPolicy;

use super::allowing;

/// Forbidden networks with their first and last address. The addresses beside them are public unless stated otherwise.
/// Written by hand, independently of the table in the code.
const FORBIDDEN: [(&str, &str, &str); 19] = [
    ("this network", "0.0.0.0", "0.255.255.255"),
    ("private", "10.0.0.0", "10.255.255.255"),
    ("CGNAT", "100.64.0.0", "100.127.255.255"),
    ("this machine", "127.0.0.0", "127.255.255.255"),
    ("Azure", "168.63.129.16", "168.63.129.16"),
    ("link-local", "169.254.0.0", "169.254.255.255"),
    ("private", "172.16.0.0", "172.31.255.255"),
    ("protocols", "192.0.0.0", "192.0.0.255"),
    ("documentation", "192.0.2.0", "192.0.2.255"),
    ("relays of 6to4", "192.88.99.0", "192.88.99.255"),
    ("private", "192.168.0.0", "192.168.255.255"),
    ("benchmarks", "198.18.0.0", "198.19.255.255"),
    ("documentation", "198.51.100.0", "198.51.100.255"),
    ("documentation", "203.0.113.0", "203.0.113.255"),
    ("multicast to broadcast", "224.0.0.0", "255.255.255.255"),
    ("below what is given out", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("documentation", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("6to4", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("above what is given out", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Address at this distance, if there is one.
fn beside(address: IpAddr, places: i8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add_signed(places.into()).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_add_signed(places.into()).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

#[test]
fn non_public_networks_are_forbidden_up_to_their_bounds() {
    let plain = EgressPolicy::default();
    for (what, first, last) in FORBIDDEN {
        let (first, last) = (address(first), address(last));
        for inside in [first, last] {
            assert!(!plain.allows(inside), "{what}: {inside}");
        }
        for outside in [beside(first, -1), beside(last, 1)].into_iter().flatten() {
            assert!(plain.allows(outside), "beside {what}: {outside}");
        }
    }
    // These networks are adjacent to other forbidden ones.
    for (what, first, last, before, after) in [
        ("protocols", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
        ("documentation", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
        ("discard", "100::", "100::ffff:ffff:ffff:ffff", false, false),
        ("NAT64", "64:ff9b::", "64:ff9b::ffff:ffff", false, false),
        ("NAT64 of one's own", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false, false),
        ("Teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", true, false),
        ("unique local", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
        ("link-local", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
        ("site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
        ("multicast", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
        ("SRv6", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ] {
        let (first, last) = (address(first), address(last));
        assert!(!plain.allows(first) && !plain.allows(last), "{what}");
        assert_eq!(beside(first, -1).is_some_and(|address| plain.allows(address)), before, "before {what}");
        assert_eq!(beside(last, 1).is_some_and(|address| plain.allows(address)), after, "after {what}");
    }
}

#[test]
fn embedded_addresses_are_judged_by_the_inner_address() {
    let plain = EgressPolicy::default();
    for (text, permitted) in [
        ("::ffff:93.184.216.34", true),
        ("::ffff:127.0.0.1", false),
        ("::ffff:10.0.0.1", false),
        ("::ffff:169.254.169.254", false),
        // The unpacking host is unknown, so even public addresses in them are forbidden.
        ("::93.184.216.34", false),
        ("::ffff:0:93.184.216.34", false),
        ("64:ff9b::93.184.216.34", false),
        ("64:ff9b:1::93.184.216.34", false),
        ("2002:5db8:d822::1", false),
        ("2001:0:5db8:d822::a247:27dd", false),
    ] {
        assert_eq!(plain.allows(address(text)), permitted, "{text}");
    }
}

#[test]
fn an_allowed_network_permits_nothing_else() {
    for (network, open, closed) in [
        (
            "10.1.0.0/16",
            &["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3"][..],
            &["10.0.255.255", "10.2.0.0", "127.0.0.1"][..],
        ),
        ("127.0.0.1", &["127.0.0.1", "::ffff:127.0.0.1"], &["127.0.0.2", "::1", "::127.0.0.1", "64:ff9b::127.0.0.1"]),
        ("::1", &["::1"], &["127.0.0.1", "::2", "::"]),
        ("::ffff:10.1.0.0/112", &["10.1.2.3", "::ffff:10.1.2.3"], &["10.2.0.0"]),
        ("fd00:1::/32", &["fd00:1::1"], &["fd00:2::1", "fe80::1"]),
        // Through a translator, only addresses that are permitted directly.
        (
            "64:ff9b::/96",
            &["64:ff9b::93.184.216.34"],
            &["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::93.184.216.34"],
        ),
        ("2002::/16", &["2002:5db8:d822::1"], &["2002:0a00:0001::1", "2002:7f00:0001::1"]),
        (
            "2001::/32",
            &["2001:0:5db8:d822::a247:27dd"],
            &["2001:0:0a00:0001::a247:27dd", "2001:0:5db8:d822::80ff:fffe"],
        ),
    ] {
        let policy = allowing(&[network]);
        for text in open {
            assert!(policy.allows(address(text)), "{network}: {text}");
        }
        for text in closed {
            assert!(!policy.allows(address(text)), "{network}: {text}");
        }
    }
}

/// Metadata addresses of less known clouds.
const OF_LESS_KNOWN_CLOUDS: [&str; 5] =
    ["fd00:42::42", "fd00:a9fe:a9fe::1", "fd00:c1::a9fe:a9fe", "fd00:100::100:200", "169.254.10.10"];

#[test]
fn an_allowed_network_excludes_metadata_addresses() {
    for text in OF_LESS_KNOWN_CLOUDS {
        let metadata = address(text);
        for network in ["fd00::/8", "169.254.0.0/16", text] {
            assert!(!allowing(&[network]).allows(metadata), "{text} by {network}");
        }
        let policy = allowing(&["fd00::/8", "169.254.0.0/16"]);
        for beside in [beside(metadata, -1), beside(metadata, 1)].into_iter().flatten() {
            assert!(policy.allows(beside) && !EgressPolicy::default().allows(beside), "{beside} beside {text}");
        }
    }
}

#[test]
fn credential_endpoints_are_always_forbidden() {
    let never_v4 = [
        [169, 254, 169, 254],
        [169, 254, 170, 2],
        [169, 254, 170, 23],
        [169, 254, 0, 23],
        [169, 254, 10, 10],
        [169, 254, 42, 42],
        [100, 100, 100, 200],
        [192, 0, 0, 192],
        [168, 63, 129, 16],
        [0, 0, 0, 0],
    ];
    let mut never: Vec<IpAddr> =
        ["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe", "::"].map(address).to_vec();
    never.extend(OF_LESS_KNOWN_CLOUDS.map(address));
    for octets in never_v4 {
        let v4 = Ipv4Addr::from(octets);
        let [high, low] = [v4.to_bits() >> 16, v4.to_bits() & 0xffff];
        never.push(v4.into());
        never.push(v4.to_ipv6_mapped().into());
        never.push(address(&format!("64:ff9b::{v4}")));
        never.push(address(&format!("64:ff9b:1::{v4}")));
        never.push(address(&format!("::ffff:0:{v4}")));
        never.push(address(&format!("2002:{high:x}:{low:x}::1")));
        never.push(address(&format!("2001:0:{high:x}:{low:x}::a247:27dd")));
        never.push(address(&format!("2001:0:5db8:d822::{:x}:{:x}", !high & 0xffff, !low & 0xffff)));
        never.push(address(&format!("::{v4}")));
    }
    let all = allowing(&["0.0.0.0/0", "::/0"]);
    let each: Vec<String> = never.iter().map(ToString::to_string).collect();
    let by_name = allowing(&each.iter().map(String::as_str).collect::<Vec<_>>());
    for address in never {
        assert!(!all.allows(address) && !by_name.allows(address), "{address}");
    }
    for address in ["10.0.0.1", "127.0.0.1", "169.254.169.253", "::1", "fd00:ec2::253", "64:ff9b::10.0.0.1"] {
        assert!(all.allows(address.parse().unwrap()), "{address}");
    }
}
