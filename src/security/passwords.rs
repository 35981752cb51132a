//! Password hashing with bcrypt, outside the threads that serve requests.
//!
//! Concurrency is limited to the number of cores, and the queue is bounded: a burst of logins slows down only logins.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Passwords that may wait to be processed.
const QUEUE_CAPACITY: usize = 128;

/// Salt and hash that match no password. Verifying against it takes as long as against a real hash.
const DUMMY_HASH: &str = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: u32,
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// Reason why a password was not processed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The queue is full.
    #[error("too many passwords are waiting to be processed")]
    Overloaded,
    /// bcrypt failed or panicked.
    #[error("the password could not be processed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Passwords {
    /// Creates a hasher. `cost` is the binary logarithm of the bcrypt rounds, 4 to 31.
    #[must_use]
    pub fn new(cost: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cost, running: Arc::new(Semaphore::new(cores)), queue: Arc::new(Semaphore::new(cores + QUEUE_CAPACITY)) }
    }

    /// Hashes a password of at most 72 bytes, which is the maximum for bcrypt.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let cost = self.cost;
        self.run(move || bcrypt::hash(password, cost)).await
    }

    /// Verifies a password. Without a hash the result is false after the same time.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordError> {
        let dummy = || format!("$2b${:02}${DUMMY_HASH}", self.cost);
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(dummy);
        Ok(self.run(move || bcrypt::verify(password, &hash)).await? && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, bcrypt::BcryptError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| PasswordError::Overloaded)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(failed)?;
        // The thread keeps the permits, because it continues when the caller is cancelled.
        tokio::task::spawn_blocking(move || {
            let _held = (place, permit);
            work()
        })
        .await
        .map_err(failed)?
        .map_err(failed)
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> PasswordError {
    PasswordError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_72_bytes_of_a_password_count() {
        let passwords = Passwords::new(4);
        let password = "ä".repeat(36);
        let hash = passwords.hash(password.clone()).await.unwrap();
        assert!(passwords.verify(password.clone(), Some(hash.clone())).await.unwrap());
        let mut other = password;
        other.pop();
        assert!(!passwords.verify(other + "a", Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_missing_hash_never_verifies() {
        let passwords = Passwords::new(4);
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_rejects_further_passwords() {
        let passwords = Passwords::new(4);
        let all = passwords.queue.available_permits();
        let held = Arc::clone(&passwords.queue).acquire_many_owned(u32::try_from(all).unwrap()).await.unwrap();
        assert!(matches!(passwords.hash("password".into()).await, Err(PasswordError::Overloaded)));
        drop(held);
        assert!(passwords.hash("password".into()).await.is_ok());
    }
}
