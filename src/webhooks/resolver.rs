//! Looks names up, and refuses those that lead to where nothing may be sent.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task::spawn_blocking;

use super::EgressPolicy;
use super::lookups::{Lookups, Turn};

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The addresses, in the order in which they are to be tried. The turn is kept until the lookup is over, whether
    /// somebody waits for it still or not.
    async fn resolve(&self, name: &str, turn: Turn) -> io::Result<Vec<IpAddr>>;
}

/// Asks as all programs of this machine do.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str, turn: Turn) -> io::Result<Vec<IpAddr>> {
        let name = name.to_owned();
        blocking(turn, move || Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())).await
    }
}

/// Does what blocks a thread, and keeps the turn until the thread is free: whoever has stopped waiting has freed nothing.
async fn blocking<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(move || {
        let _turn = turn;
        work()
    })
    .await?
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("The host name could not be resolved.")]
    Unknown,
    #[error("The address is not public.")]
    NotPublic,
}

/// Gives out only addresses that may be connected to. Connections are made to what it gives out and to nothing else, so
/// that a name that leads elsewhere the next time it is looked up gains nothing.
pub(super) struct GuardedResolver {
    pub(super) resolver: Arc<dyn Resolver>,
    /// What is looked up for no request in particular.
    pub(super) lookups: Lookups,
    pub(super) policy: Arc<EgressPolicy>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, policy) = (Arc::clone(&self.resolver), Arc::clone(&self.policy));
        let lookups = Lookups::current().unwrap_or_else(|| self.lookups.clone());
        Box::pin(async move {
            let turn = lookups.turn().await?;
            let addresses = resolver.resolve(name.as_str(), turn).await.map_err(|_| ResolveError::Unknown)?;
            if addresses.is_empty() {
                return Err(ResolveError::Unknown.into());
            }
            // One that is forbidden spoils them all: no honest name leads both outside and inside.
            if !addresses.iter().all(|address| policy.allows(*address)) {
                return Err(ResolveError::NotPublic.into());
            }
            // Port 0 stands for that of the URL.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn whoever_stops_waiting_for_a_name_leaves_its_turn_taken_until_the_thread_is_free() {
        let lookups = Lookups::of_all(1);
        let (release, held) = mpsc::channel::<()>();
        let slow = blocking(lookups.turn().await.unwrap(), move || held.recv().map_err(io::Error::other));
        assert!(timeout(Duration::from_millis(50), slow).await.is_err(), "it takes its time");
        let mut next = Box::pin(lookups.turn());
        assert!(timeout(Duration::from_millis(50), &mut next).await.is_err(), "there is no other");
        release.send(()).unwrap();
        let turn = timeout(Duration::from_secs(20), next).await.expect("it is not given back").unwrap();
        assert_eq!(blocking(turn, || Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn names_of_this_machine_are_known() {
        let found = SystemResolver.resolve("localhost", Lookups::of_all(1).turn().await.unwrap()).await.unwrap();
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
    }
}
