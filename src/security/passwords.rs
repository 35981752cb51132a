//! Passwords, hashed and compared by bcrypt, off the threads that serve requests.
//!
//! As many run at once as there are cores, a bounded number waits, and more are turned away: a storm of logins can
//! slow down logins, and nothing else.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// How many may wait for their turn.
const QUEUE: usize = 128;

/// The salt and the hash of no password: comparing with it takes as long as with a real one, and fails.
const NOBODY: &str = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: u32,
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting.
    #[error("too many passwords are waiting to be checked")]
    Overloaded,
    /// bcrypt failed, or its thread did.
    #[error("the password could not be processed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Passwords {
    /// `cost` is the logarithm of the rounds of bcrypt, 4 to 31.
    #[must_use]
    pub fn new(cost: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cost, running: Arc::new(Semaphore::new(cores)), queue: Arc::new(Semaphore::new(cores + QUEUE)) }
    }

    /// Hashes a password of at most 72 bytes, which is all that bcrypt reads.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let cost = self.cost;
        self.run(move || bcrypt::hash(password, cost)).await
    }

    /// Compares a password with a hash. Without a hash the answer is no, and takes as long.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordError> {
        let nobody = || format!("$2b${:02}${NOBODY}", self.cost);
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(nobody);
        Ok(self.run(move || bcrypt::verify(password, &hash)).await? && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, bcrypt::BcryptError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| PasswordError::Overloaded)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(failed)?;
        // The permits go along: when the caller gives up, the work goes on, and its place is taken until it ends.
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
    async fn nobody_has_no_password() {
        let passwords = Passwords::new(4);
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_storm_is_turned_away_instead_of_piling_up() {
        let passwords = Passwords::new(4);
        let all = passwords.queue.available_permits();
        let held = Arc::clone(&passwords.queue).acquire_many_owned(u32::try_from(all).unwrap()).await.unwrap();
        assert!(matches!(passwords.hash("password".into()).await, Err(PasswordError::Overloaded)));
        drop(held);
        assert!(passwords.hash("password".into()).await.is_ok());
    }
}
