//! Looks names up, and refuses those that lead to where nothing may be sent.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Allowances;

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// The addresses, in the order in which they are to be tried.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As many names are looked up at once. Each takes a thread of those that check passwords too, and takes it until the
/// machine gives up on the name, long after we have.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

/// Asks as all programs of this machine do.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let name = name.to_owned();
        one_of(&LOOKUPS, move || Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())).await
    }
}

/// Does what blocks a thread when a permit is free, and keeps the permit until the thread is free: whoever has stopped
/// waiting has freed nothing.
async fn one_of<T: Send + 'static>(
    permits: &'static Semaphore,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = permits.acquire().await.map_err(io::Error::other)?;
    spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await?
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test]
    async fn whoever_stops_waiting_for_a_name_leaves_its_place_taken_until_the_thread_is_free() {
        static PERMITS: Semaphore = Semaphore::const_new(1);
        let (release, held) = mpsc::channel::<()>();
        let slow = one_of(&PERMITS, move || held.recv().map_err(io::Error::other));
        assert!(timeout(Duration::from_millis(50), slow).await.is_err(), "it takes its time");
        assert_eq!(PERMITS.available_permits(), 0);
        let next = one_of(&PERMITS, || Ok(7));
        assert!(timeout(Duration::from_millis(50), next).await.is_err(), "there is no place");
        release.send(()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while PERMITS.available_permits() == 0 {
            assert!(Instant::now() < deadline, "the place is not given back");
            tokio::task::yield_now().await;
        }
        assert_eq!(one_of(&PERMITS, || Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn names_of_this_machine_are_known() {
        let found = SystemLookup.addresses("localhost").await.unwrap();
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
    }
}
