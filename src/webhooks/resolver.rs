//! DNS resolution for outgoing requests, with the SSRF guard that rejects addresses inside this network.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ServerOrderingStrategy};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{self, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::egress_policy::EgressPolicy;
use super::url_policy::NOT_PUBLIC;

/// DNS resolver of a client.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// Returns the addresses of a host name, in the order in which to try them.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Resolves names like other programs of this machine: `/etc/hosts` first, then the servers of `/etc/resolv.conf`.
///
/// Nothing is cached, and changes of the two files apply to the next lookup.
#[derive(Default)]
pub struct SystemResolver(Mutex<Option<Arc<SystemConfig>>>);

struct SystemConfig {
    modified: [Option<SystemTime>; 2],
    hosts: Hosts,
    dns: Option<TokioResolver>,
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let config = self.config();
        let name = rr::Name::from_ascii(name).map_err(io::Error::other)?;
        let known = config.in_hosts(&name);
        if !known.is_empty() {
            return Ok(known);
        }
        let dns = config.dns.as_ref().ok_or_else(|| io::Error::other("no name servers"))?;
        Ok(dns.lookup_ip(name).await.map_err(io::Error::other)?.iter().collect())
    }
}

impl SystemResolver {
    fn config(&self) -> Arc<SystemConfig> {
        let modified = ["/etc/hosts", "/etc/resolv.conf"].map(|path| fs::metadata(path).ok()?.modified().ok());
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some(config) if config.modified == modified => Arc::clone(config),
            _ => Arc::clone(loaded.insert(Arc::new(SystemConfig::load(modified)))),
        }
    }
}

impl SystemConfig {
    fn load(modified: [Option<SystemTime>; 2]) -> Self {
        let hosts = Hosts::from_system().unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to read the hosts file");
            Hosts::default()
        });
        let dns = dns().inspect_err(|error| tracing::warn!(%error, "failed to read the DNS configuration")).ok();
        Self { modified, hosts, dns }
    }

    fn in_hosts(&self, name: &rr::Name) -> Vec<IpAddr> {
        let records = [RecordType::A, RecordType::AAAA].into_iter();
        let found = records.filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
        found
            .flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
            .collect()
    }
}

/// Creates a resolver that asks the configured servers one after the other, as the C library does.
fn dns() -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.num_concurrent_reqs = 1;
    options.cache_size = 0;
    builder.build()
}

/// A host name is unknown or has an address that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{NOT_PUBLIC}")]
pub(super) struct ResolveError;

/// SSRF guard: resolves a name and rejects it unless the policy allows all its addresses.
///
/// The HTTP client connects only to the returned addresses. A name that resolves differently the next time (DNS
/// rebinding) is checked again.
pub(super) struct GuardedResolver {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: Arc<EgressPolicy>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, policy) = (Arc::clone(&self.resolver), Arc::clone(&self.policy));
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await.map_err(|_| ResolveError)?;
            // A legitimate name never has both public and internal addresses.
            if addresses.is_empty() || !addresses.iter().all(|address| policy.allows(*address)) {
                return Err(ResolveError.into());
            }
            // Port 0 stands for the port of the URL.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_of_this_machine_resolve_to_loopback_addresses() {
        let resolver = SystemResolver::default();
        for name in ["localhost", "localhost.", "LOCALHOST", "a.localhost"] {
            let found = resolver.resolve(name).await.unwrap();
            assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{name}: {found:?}");
        }
    }

    #[tokio::test]
    async fn an_unchanged_configuration_is_read_once() {
        let resolver = SystemResolver::default();
        assert!(Arc::ptr_eq(&resolver.config(), &resolver.config()));
        let stale = SystemConfig { modified: [Some(SystemTime::UNIX_EPOCH); 2], hosts: Hosts::default(), dns: None };
        *resolver.0.lock().unwrap() = Some(Arc::new(stale));
        assert!(resolver.resolve("localhost").await.is_ok(), "a changed file is read again");
    }
}
