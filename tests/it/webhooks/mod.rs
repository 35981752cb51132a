//! Requests to addresses that users name: where they may go, what may come back, and who may read them.

mod addresses;
mod answers;
mod bodies;
mod certificates;
mod names;
mod receiver;
mod urls;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pocket_tasks::webhooks::{Allowances, Client, Lookup, Means, Turn};

/// Long enough for everything that is meant to happen; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// Short, for what is meant not to happen.
const IMPATIENCE: Duration = Duration::from_millis(600);

/// What tests allow: these networks, and `http://`.
fn allowing(networks: &[&str]) -> Allowances {
    Allowances { networks: networks.iter().map(|network| network.parse().unwrap()).collect(), http: true }
}

/// A client that reaches what listens on this machine.
fn local_client(timeout: Duration) -> Client {
    prepared(Client::with_timeout(allowing(&["127.0.0.0/8"]), timeout))
}

/// Loads the certificates of this machine now, rather than in the time of the first request.
fn prepared(client: Client) -> Client {
    client.prepare().unwrap();
    client
}

type Answer = dyn Fn(&str, usize) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Answers by a function, and remembers what it was asked.
struct Names {
    asked: Mutex<Vec<String>>,
    answer: Box<Answer>,
}

impl Names {
    /// `answer` is told the name, and how often something was asked before.
    fn new(answer: impl Fn(&str, usize) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { asked: Mutex::default(), answer: Box::new(answer) })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str, _: Turn) -> io::Result<Vec<IpAddr>> {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(name.to_owned());
            asked.len() - 1
        };
        (self.answer)(name, before)
    }
}

/// A client that believes these names.
fn client_with(allowances: Allowances, names: &Arc<Names>) -> Client {
    let lookup = Arc::clone(names) as Arc<dyn Lookup>;
    Client::with_means(allowances, Means { timeout: PATIENCE, lookup, ..Means::default() })
}
