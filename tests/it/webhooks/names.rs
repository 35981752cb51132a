//! Names that resolve to forbidden addresses, immediately or on a later lookup.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use pocket_tasks::webhooks::{Client, ClientOptions, EgressPolicy, Resolver};

use super::{NOT_PUBLIC, Names, SHORT_TIMEOUT, allowing, client_with, prepared};
use crate::support::Receiver;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_name_with_one_forbidden_address_is_rejected() {
    let receiver = Receiver::saying(OK);
    let url = format!("http://hooks.example:{}/", receiver.address.port());
    for answer in [
        &["127.0.0.2"][..],
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "93.184.216.34", "10.0.0.1"],
        &["127.0.0.1", "::1"],
        &["127.0.0.1", "::ffff:127.0.0.2"],
        &["127.0.0.1", "::ffff:169.254.169.254"],
        &["127.0.0.1", "64:ff9b::7f00:1"],
        &["127.0.0.1", "0.0.0.0"],
        &["::"],
        &["fe80::1"],
        &["169.254.169.254"],
    ] {
        let names = Names::new(move |_, _| Ok(addresses(answer)));
        let outcome = client_with(allowing(&["127.0.0.1"]), &names).post(&url, &[], String::new()).await;
        assert_eq!(outcome.error.as_deref(), Some(NOT_PUBLIC), "{answer:?}");
        assert_eq!((outcome.status_code, names.asked().len()), (None, 1), "{answer:?}");
    }
    assert!(receiver.messages().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn dns_rebinding_gains_nothing() {
    let receiver = Receiver::saying(OK);
    let url = format!("http://rebinding.example:{}/", receiver.address.port());
    // The permitted address stands for a public one; the next lookup returns a private one.
    let names = Names::new(|_, before| Ok(addresses(if before == 0 { &["127.0.0.1"] } else { &["127.0.0.2"] })));
    let client = client_with(allowing(&["127.0.0.1"]), &names);
    assert_eq!(client.check(&url), Ok(()));
    assert_eq!(names.asked(), [""; 0], "the check asks nobody");
    let first = client.post(&url, &[], String::new()).await;
    assert_eq!(first.status_code, Some(200), "{first:?}");
    // The checked address is the one connected to: there is no second lookup.
    assert_eq!(names.asked(), ["rebinding.example"]);
    let second = client.post(&url, &[], String::new()).await;
    assert_eq!(second.error.as_deref(), Some(NOT_PUBLIC));
    assert_eq!((names.asked().len(), receiver.messages().len()), (2, 1));
}

#[tokio::test]
async fn names_of_the_local_host_are_rejected_by_the_check_and_by_the_resolver() {
    let receiver = Receiver::saying(OK);
    let plain = Client::new(allowing(&[]));
    for name in ["localhost", "localhost.", "LOCALHOST", "a.localhost", "localhost.."] {
        let url = format!("http://{name}:{}/", receiver.address.port());
        assert!(plain.check(&url).is_err(), "{name}");
        assert!(plain.post(&url, &[], String::new()).await.error.is_some(), "{name}");
    }
    // With any loopback address permitted the check passes, and the resolver of this machine decides.
    let client = Client::new(allowing(&["127.0.0.9"]));
    for name in ["localhost", "localhost."] {
        let url = format!("http://{name}:{}/", receiver.address.port());
        let outcome = client.post(&url, &[], String::new()).await;
        assert_eq!(outcome.error.as_deref(), Some(NOT_PUBLIC), "{name}");
    }
    assert!(receiver.messages().is_empty(), "nothing was sent");
    let client = Client::new(allowing(&["127.0.0.0/8", "::1"]));
    let url = format!("http://localhost:{}/", receiver.address.port());
    let outcome = client.post(&url, &[], String::new()).await;
    assert_eq!(outcome.status_code, Some(200), "{outcome:?}");
}

#[tokio::test]
async fn every_address_of_a_name_is_tried_until_one_answers() {
    let receiver = Receiver::saying(OK);
    let url = format!("http://hooks.example:{}/", receiver.address.port());
    let names = Names::new(|_, _| Ok(addresses(&["127.0.0.2", "127.0.0.3", "127.0.0.1"])));
    let outcome = client_with(allowing(&["127.0.0.0/8"]), &names).post(&url, &[], String::new()).await;
    assert_eq!((outcome.status_code, receiver.messages().len()), (Some(200), 1), "{outcome:?}");
}

#[tokio::test]
async fn metadata_addresses_are_unreachable_by_any_name_with_every_network_allowed() {
    for answer in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"] {
        let names = Names::new(move |_, _| Ok(addresses(&[answer])));
        let client = client_with(allowing(&["0.0.0.0/0", "::/0", answer]), &names);
        let outcome = client.post("http://metadata.google.internal/computeMetadata/v1/", &[], String::new()).await;
        assert_eq!(outcome.error.as_deref(), Some(NOT_PUBLIC), "{answer}");
    }
}

/// Resolver without a response.
struct Silence;

#[async_trait]
impl Resolver for Silence {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn an_unknown_name_is_reported_like_one_that_is_not_public() {
    for failing in [true, false] {
        let names =
            Names::new(
                move |_, _| {
                    if failing { Err(io::Error::other("server 10.0.0.53 said no")) } else { Ok(Vec::new()) }
                },
            );
        let outcome = client_with(allowing(&[]), &names).post("http://nowhere.example/", &[], String::new()).await;
        assert_eq!(outcome.error.as_deref(), Some(NOT_PUBLIC));
    }
    let means = ClientOptions { timeout: SHORT_TIMEOUT, resolver: Arc::new(Silence), ..ClientOptions::default() };
    let client = prepared(Client::with_options(EgressPolicy::default(), means));
    let outcome = client.post("https://slow.example/", &[], String::new()).await;
    assert!(outcome.error.unwrap().ends_with("timed out."));
    assert!(outcome.duration < super::TIMEOUT);
}

/// Never resolves names that begin with "slow", and counts its pending lookups.
#[derive(Default)]
struct SlowResolver {
    pending: Arc<()>,
    started: AtomicUsize,
}

#[async_trait]
impl Resolver for SlowResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if name.starts_with("slow") {
            let _pending = Arc::clone(&self.pending);
            self.started.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        Ok(addresses(&["127.0.0.1"]))
    }
}

#[tokio::test]
async fn a_slow_name_delays_no_other_name_and_its_lookup_ends_with_the_request() {
    const SLOW: usize = 300;
    let receiver = Receiver::saying(OK);
    let slow = Arc::new(SlowResolver::default());
    let resolver = Arc::clone(&slow) as Arc<dyn Resolver>;
    let options = ClientOptions { timeout: SHORT_TIMEOUT, resolver, ..ClientOptions::default() };
    let client = prepared(Client::with_options(allowing(&["127.0.0.1"]), options));
    let post = async |name: String| {
        let url = format!("http://{name}.example:{}/", receiver.address.port());
        client.post(&url, &[], String::new()).await
    };
    let slow_requests = join_all((0..SLOW).map(|number| post(format!("slow{number}"))));
    let quick_request = async {
        while slow.started.load(Ordering::SeqCst) < SLOW {
            tokio::task::yield_now().await;
        }
        post("quick".to_owned()).await
    };
    let (outcomes, outcome) = tokio::join!(slow_requests, quick_request);
    assert_eq!(outcome.status_code, Some(200), "{outcome:?}");
    for outcome in outcomes {
        assert!(outcome.error.unwrap().ends_with("timed out."));
    }
    assert_eq!(Arc::strong_count(&slow.pending), 1, "a lookup goes on");
}
