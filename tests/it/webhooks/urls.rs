//! URLs with forbidden targets, and valid URLs.

use std::io;
use std::net::IpAddr;

use pocket_tasks::webhooks::{EgressPolicy, UrlError};

use super::{NOT_PUBLIC, Names, allowing, client_with};

/// Rejected without a lookup.
const HOSTILE: [(&str, UrlError); 94] = [
    // This machine, in all notations of the address.
    ("https://127.0.0.1/", UrlError::Address),
    ("https://127.0.0.1:8443/hook?x=1", UrlError::Address),
    ("https://127.0.0.1./", UrlError::Address),
    ("https://127.1/", UrlError::Address),
    ("https://127.0.1/", UrlError::Address),
    ("https://2130706433/", UrlError::Address),
    ("https://0x7f000001/", UrlError::Address),
    ("https://0X7F000001/", UrlError::Address),
    ("https://017700000001/", UrlError::Address),
    ("https://0x7f.0.0.1/", UrlError::Address),
    ("https://0177.0.0.1/", UrlError::Address),
    ("https://0x7f.1/", UrlError::Address),
    ("https://0177.0x0.00.1/", UrlError::Address),
    ("https://127.00000.0.01/", UrlError::Address),
    ("https://127.65535/", UrlError::Address),
    ("https://127.255.255.255/", UrlError::Address),
    ("https://%31%32%37.0.0.1/", UrlError::Address),
    ("https://127%2e0%2e0%2e1/", UrlError::Address),
    ("https://①②⑦.⓪.⓪.①/", UrlError::Address),
    ("https://127。0。0。1/", UrlError::Address),
    ("https://１２７.０.０.１/", UrlError::Address),
    ("https://127.0.0.1\u{ad}/", UrlError::Address),
    ("https://0/", UrlError::Address),
    ("https://0.0.0.0/", UrlError::Address),
    ("https://0x0/", UrlError::Address),
    ("https://localhost/", UrlError::Address),
    ("https://LocalHost:8443/", UrlError::Address),
    ("https://localhost./", UrlError::Address),
    ("https://hooks.localhost/", UrlError::Address),
    ("https://hooks.localhost./", UrlError::Address),
    ("https://ｌｏｃａｌｈｏｓｔ/", UrlError::Address),
    ("https://loc%61lhost/", UrlError::Address),
    ("https://[::1]/", UrlError::Address),
    ("https://[::]/", UrlError::Address),
    ("https://[0:0:0:0:0:0:0:1]:443/", UrlError::Address),
    ("https://[::ffff:127.0.0.1]/", UrlError::Address),
    ("https://[::ffff:7f00:1]/", UrlError::Address),
    ("https://[0:0:0:0:0:ffff:7f00:0001]/", UrlError::Address),
    ("https://[::127.0.0.1]/", UrlError::Address),
    ("https://[::ffff:0:7f00:1]/", UrlError::Address),
    ("https://[64:ff9b::127.0.0.1]/", UrlError::Address),
    ("https://[64:ff9b:1::127.0.0.1]/", UrlError::Address),
    ("https://[2002:7f00:1::]/", UrlError::Address),
    ("https://[2001:0:7f00:1::]/", UrlError::Address),
    // Adjacent private networks.
    ("https://10.0.0.1/", UrlError::Address),
    ("https://10.1/", UrlError::Address),
    ("https://012.0.0.1/", UrlError::Address),
    ("https://172.16.0.1/", UrlError::Address),
    ("https://172.31.255.255/", UrlError::Address),
    ("https://192.168.0.1/", UrlError::Address),
    ("https://3232235521/", UrlError::Address),
    ("https://100.64.0.1/", UrlError::Address),
    ("https://198.18.0.1/", UrlError::Address),
    ("https://224.0.0.1/", UrlError::Address),
    ("https://255.255.255.255/", UrlError::Address),
    ("https://0xffffffff/", UrlError::Address),
    ("https://[fc00::1]/", UrlError::Address),
    ("https://[fd12:3456::1]/", UrlError::Address),
    ("https://[fe80::1]/", UrlError::Address),
    ("https://[fec0::1]/", UrlError::Address),
    ("https://[ff02::1]/", UrlError::Address),
    ("https://[2001:db8::1]/", UrlError::Address),
    // Credential endpoints of clouds.
    ("https://169.254.169.254/latest/meta-data/", UrlError::Address),
    ("https://2852039166/", UrlError::Address),
    ("https://0xA9FEA9FE/", UrlError::Address),
    ("https://169.254.43518/", UrlError::Address),
    ("https://0251.0376.0251.0376/", UrlError::Address),
    ("https://[::ffff:a9fe:a9fe]/", UrlError::Address),
    ("https://[fd00:ec2::254]/", UrlError::Address),
    ("https://168.63.129.16/", UrlError::Address),
    // Other hosts in disguise.
    ("https://example.com@127.0.0.1/", UrlError::Credentials),
    ("https://ada:hunter2@example.com/", UrlError::Credentials),
    ("https://@example.com/", UrlError::Credentials),
    ("https://:@example.com/", UrlError::Credentials),
    ("https://127.0.0.1#@example.com/", UrlError::Fragment),
    ("https://example.com/#", UrlError::Fragment),
    ("https://example.com\\@127.0.0.1/", UrlError::NotAbsolute),
    ("https://exam\tple.com/", UrlError::NotAbsolute),
    ("https://example.com/\r\nX-Injected:%20yes", UrlError::NotAbsolute),
    (" https://example.com/", UrlError::NotAbsolute),
    ("https:///127.0.0.1/", UrlError::NotAbsolute),
    ("https:127.0.0.1", UrlError::NotAbsolute),
    ("//127.0.0.1/", UrlError::NotAbsolute),
    ("https://[fe80::1%25eth0]/", UrlError::NotAbsolute),
    ("https://1.2.3.4.5/", UrlError::NotAbsolute),
    // Other schemes.
    ("http://example.com/", UrlError::NotHttps),
    ("file:///etc/passwd", UrlError::NotHttps),
    ("gopher://127.0.0.1:6379/_INFO", UrlError::NotHttps),
    // Ports of other services.
    ("https://example.com:0/", UrlError::Port),
    ("https://example.com:22/", UrlError::Port),
    ("https://example.com:25/", UrlError::Port),
    ("https://example.com:80/", UrlError::Port),
    ("https://postgres:5432/", UrlError::Port),
    ("https://example.com:65535/", UrlError::Port),
];

/// Rejected when the name resolves to these addresses.
const HOSTILE_NAMES: [(&str, &str); 12] = [
    ("https://metadata.google.internal/computeMetadata/v1/", "169.254.169.254"),
    ("https://metadata/", "169.254.169.254"),
    ("https://instance-data.ec2.internal/", "169.254.169.254"),
    ("https://kubernetes.default.svc/api", "10.96.0.1"),
    ("https://localtest.me/", "127.0.0.1"),
    ("https://localtest.me./", "::1"),
    ("https://localhost.localdomain/", "127.0.0.1"),
    ("https://127.0.0.1.nip.io/", "127.0.0.1"),
    ("https://router.local/", "192.168.0.1"),
    ("https://ip6-localhost/", "::1"),
    ("https://postgres/", "172.18.0.2"),
    ("https://mapped.example/", "::ffff:10.0.0.1"),
];

/// Valid URLs, with the name that is looked up.
const HONEST: [(&str, &str); 15] = [
    ("https://example.com", "example.com"),
    ("https://example.com/", "example.com"),
    ("HTTPS://EXAMPLE.COM/Hooks", "example.com"),
    ("https://example.com./", "example.com."),
    ("https://example.com:8443/hooks?token=abc&x=%20", "example.com"),
    ("https://example.com:443/", "example.com"),
    ("https://bücher.example/häkchen", "xn--bcher-kva.example"),
    ("https://例え.テスト/", "xn--r8jz45g.xn--zckzah"),
    ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
    ("https://example.com/a@b/c:d", "example.com"),
    ("https://notlocalhost/", "notlocalhost"),
    ("https://localhost.example/", "localhost.example"),
    ("https://under_score.example/", "under_score.example"),
    ("https://1.2.3.example/", "1.2.3.example"),
    ("https://a.b.c.d.e.f.example/", "a.b.c.d.e.f.example"),
];

#[tokio::test]
async fn urls_with_forbidden_hosts_are_rejected_without_a_lookup() {
    let names = Names::new(|_, _| panic!("a name was looked up"));
    let client = client_with(EgressPolicy::default(), &names);
    for (url, expected) in HOSTILE {
        assert_eq!(client.check(url), Err(expected.clone()), "{url}");
        // URLs that were stored by other means are rejected too.
        let outcome = client.post(url, &[], "{}".to_owned()).await;
        assert_eq!(outcome.error, Some(expected.to_string()), "{url}");
        assert_eq!((outcome.status_code, outcome.is_success()), (None, false), "{url}");
        assert!(!expected.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn names_with_forbidden_addresses_are_rejected_on_lookup() {
    for (url, address) in HOSTILE_NAMES {
        let names = Names::new(move |_, _| Ok(vec![address.parse().unwrap()]));
        let client = client_with(EgressPolicy::default(), &names);
        assert_eq!(client.check(url), Ok(()), "{url}");
        let outcome = client.post(url, &[], "{}".to_owned()).await;
        assert_eq!(outcome.error.as_deref(), Some(NOT_PUBLIC), "{url}");
        assert_eq!(names.asked().len(), 1, "{url}");
    }
}

#[tokio::test]
async fn valid_urls_are_accepted_and_their_names_looked_up_unchanged() {
    let names = Names::new(|_, _| Err(io::Error::other("nobody is really asked")));
    let client = client_with(EgressPolicy::default(), &names);
    for (url, name) in HONEST {
        assert_eq!(client.check(url), Ok(()), "{url}");
        let outcome = client.post(url, &[], "{}".to_owned()).await;
        assert_eq!(outcome.error.as_deref(), Some(NOT_PUBLIC), "{url}");
        assert_eq!(names.asked().last().map(String::as_str), Some(name), "{url}");
    }
    for url in
        ["https://93.184.216.34/", "https://1.1.1.1:8443/", "https://[2606:2800:220:1::1]/", "https://0x5db8d822/"]
    {
        assert_eq!(client.check(url), Ok(()), "{url}");
    }
}

#[test]
fn a_url_may_have_2048_characters_of_any_length() {
    let client = client_with(EgressPolicy::default(), &Names::new(|_, _| Ok(Vec::<IpAddr>::new())));
    for character in ["a", "ü", "😀"] {
        let longest = format!("https://example.com/{}", character.repeat(2_048 - 20));
        assert_eq!(client.check(&longest), Ok(()));
        assert_eq!(client.check(&format!("{longest}{character}")), Err(UrlError::TooLong));
    }
}

#[test]
fn http_requires_permission_and_other_schemes_are_rejected() {
    let names = Names::new(|_, _| Ok(Vec::<IpAddr>::new()));
    let client = client_with(allowing(&[]), &names);
    assert_eq!(client.check("http://example.com/"), Ok(()));
    assert_eq!(client.check("https://example.com/"), Ok(()));
    for url in
        ["ftp://example.com/", "file:///etc/passwd", "ws://example.com/", "unix://run/docker.sock", "h://x", "://x"]
    {
        assert_eq!(client.check(url), Err(UrlError::NotHttp), "{url}");
    }
    for url in
        ["", "example.com", "/hooks", "https:", "https://", "https://?x", "https:/example.com", "javascript:alert(1)"]
    {
        assert_eq!(client.check(url), Err(UrlError::NotAbsolute), "{url}");
    }
    assert_eq!(client.check("http://127.0.0.1/"), Err(UrlError::Address));
}
