//! Webhook requests: permitted targets, accepted responses and authentication of receivers.

mod addresses;
mod answers;
mod bodies;
mod certificates;
mod names;
mod urls;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pocket_tasks::webhooks::{AllowedPorts, Client, ClientOptions, EgressPolicy, Resolver};

/// Generous timeout of expected events.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Short timeout of events that must not occur.
const SHORT_TIMEOUT: Duration = Duration::from_millis(600);

/// Message about a host name that is unknown or not public.
const NOT_PUBLIC: &str = "The host is unknown or its address is not public.";

/// Policy that permits these networks, all ports and `http://`.
fn allowing(networks: &[&str]) -> EgressPolicy {
    EgressPolicy {
        allowed_networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        allowed_ports: AllowedPorts::All,
        allow_http: true,
        ..EgressPolicy::default()
    }
}

/// Client that reaches servers on this machine.
fn local_client(timeout: Duration) -> Client {
    prepared(Client::with_timeout(allowing(&["127.0.0.0/8"]), timeout))
}

/// Loads the root certificates now, rather than during the first request.
fn prepared(client: Client) -> Client {
    client.ensure_ready().unwrap();
    client
}

type Answer = dyn Fn(&str, usize) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Resolver that answers by a function and records its calls.
struct Names {
    asked: Mutex<Vec<String>>,
    answer: Box<Answer>,
}

impl Names {
    /// `answer` receives the name and the number of earlier calls.
    fn new(answer: impl Fn(&str, usize) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { asked: Mutex::default(), answer: Box::new(answer) })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(name.to_owned());
            asked.len() - 1
        };
        (self.answer)(name, before)
    }
}

/// Client with this resolver.
fn client_with(policy: EgressPolicy, names: &Arc<Names>) -> Client {
    let resolver = Arc::clone(names) as Arc<dyn Resolver>;
    Client::with_options(policy, ClientOptions { timeout: TIMEOUT, resolver, ..ClientOptions::default() })
}
