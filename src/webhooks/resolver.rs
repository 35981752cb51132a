//! Looks names up, and refuses those that lead to where nothing may be sent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Allowances;

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// The addresses, in the order in which they are to be tried.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks as all programs of this machine do.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoWay {
    #[error("The name of the host is not known.")]
    Unknown,
    #[error("The address is not public.")]
    NotPublic,
}

/// Gives out only addresses that may be connected to. Connections are made to what it gives out and to nothing else, so
/// that a name that leads elsewhere the next time it is looked up gains nothing.
pub(super) struct Guard {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) allowances: Arc<Allowances>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allowances) = (Arc::clone(&self.lookup), Arc::clone(&self.allowances));
        Box::pin(async move {
            let addresses = lookup.addresses(name.as_str()).await.map_err(|_| NoWay::Unknown)?;
            if addresses.is_empty() {
                return Err(NoWay::Unknown.into());
            }
            // One that is forbidden spoils them all: no honest name leads both outside and inside.
            if !addresses.iter().all(|address| allowances.permit(*address)) {
                return Err(NoWay::NotPublic.into());
            }
            // Port 0 stands for that of the URL.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
