//! Password hashing with bcrypt, outside the threads that serve requests.
//!
//! Every failed verification takes as long as one against the most expensive hash, so that its duration reveals
//! neither whether an account exists nor when its password was set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bcrypt::BcryptError;

use super::client_network::ClientNetwork;
use super::password_queue::{PasswordQueue, PasswordTurn, QueueFull};
use super::password_strength::{Weakness, assess};

/// Salt and hash that match no password.
const DUMMY_HASH: &str = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Expected duration of bcrypt with the cost 12, until it has been measured.
const DURATION_AT_COST_12: Duration = Duration::from_millis(250);

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: u32,
    /// Cost of the most expensive hash.
    max_cost: Arc<AtomicU32>,
    queue: Arc<PasswordQueue>,
}

/// Reason why a password was not processed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many passwords are waiting.
    #[error("too many passwords are waiting to be processed")]
    Overloaded {
        /// Time after which there may be room.
        retry_after: Duration,
    },
    /// bcrypt failed or panicked.
    #[error("the password could not be processed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A new password, with what a stranger knows of its user.
pub struct NewPassword {
    /// The password.
    pub password: String,
    /// Name and address of the user.
    pub personal: Vec<String>,
}

/// Result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right {
        /// New hash at the current cost, if the stored one has another cost.
        renewed_hash: Option<String>,
    },
}

impl Verification {
    /// Returns whether the password is right.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        matches!(self, Self::Right { .. })
    }
}

impl Passwords {
    /// Creates a hasher. `cost` is the binary logarithm of the bcrypt rounds, 4 to 31. A password that would wait for
    /// longer than `max_wait` is refused.
    #[must_use]
    pub fn new(cost: u32, max_wait: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let expected = DURATION_AT_COST_12 * 2_u32.saturating_pow(cost) / 2_u32.pow(12);
        Self { cost, max_cost: Arc::new(AtomicU32::new(cost)), queue: PasswordQueue::new(cores, max_wait, expected) }
    }

    /// Notes the cost of a stored hash: failed verifications take at least as long.
    pub fn note_cost(&self, cost: u32) {
        self.max_cost.fetch_max(cost, Ordering::Relaxed);
    }

    /// Waits for the turn of a client.
    pub async fn wait_for_turn(&self, client: Option<ClientNetwork>) -> Result<PasswordTurn, PasswordError> {
        let turn = self.queue.acquire(client).await;
        turn.map_err(|QueueFull { retry_after }| PasswordError::Overloaded { retry_after })
    }

    /// Assesses a new password without hashing it.
    pub async fn assess(
        &self,
        new: NewPassword,
        client: Option<ClientNetwork>,
    ) -> Result<Option<Weakness>, PasswordError> {
        let turn = self.wait_for_turn(client).await?;
        run(turn, move || Ok(assess(&new.password, &new.personal))).await
    }

    /// Assesses and hashes a new password of at most 72 bytes, which is the maximum for bcrypt.
    pub async fn hash(
        &self,
        new: NewPassword,
        client: Option<ClientNetwork>,
    ) -> Result<Result<String, Weakness>, PasswordError> {
        let cost = self.cost;
        let turn = self.wait_for_turn(client).await?;
        run(turn, move || match assess(&new.password, &new.personal) {
            Some(weakness) => Ok(Err(weakness)),
            None => bcrypt::hash(new.password, cost).map(Ok),
        })
        .await
    }

    /// Verifies a password. Without a hash it is wrong, after the same time.
    pub async fn verify(
        &self,
        turn: PasswordTurn,
        password: String,
        hash: Option<String>,
    ) -> Result<Verification, PasswordError> {
        let cost = self.cost;
        let stored_cost = hash.as_deref().and_then(cost_of);
        if let Some(stored_cost) = stored_cost {
            self.note_cost(stored_cost);
        }
        let max_cost = self.max_cost.load(Ordering::Relaxed);
        run(turn, move || {
            let Some(hash) = hash else { return pad(&password, max_cost..=max_cost) };
            if bcrypt::verify(&password, &hash)? {
                let is_current = stored_cost == Some(cost);
                let renewed_hash = if is_current { None } else { Some(bcrypt::hash(&password, cost)?) };
                return Ok(Verification::Right { renewed_hash });
            }
            // The rounds of the costs from n to m - 1, with those of one verification at n, are those of one at m.
            let stored_cost = stored_cost.unwrap_or(max_cost);
            pad(&password, stored_cost..=max_cost.saturating_sub(1))
        })
        .await
    }
}

/// Runs a computation on a thread that may block.
async fn run<T: Send + 'static>(
    turn: PasswordTurn,
    work: impl FnOnce() -> Result<T, BcryptError> + Send + 'static,
) -> Result<T, PasswordError> {
    // The thread keeps the turn, because it continues when the caller is cancelled.
    tokio::task::spawn_blocking(move || {
        let _held = turn;
        work()
    })
    .await
    .map_err(failed)?
    .map_err(failed)
}

/// Spends the time of a verification at each of these costs.
fn pad(password: &str, costs: impl Iterator<Item = u32>) -> Result<Verification, BcryptError> {
    for cost in costs {
        bcrypt::verify(password, &format!("$2b${cost:02}${DUMMY_HASH}"))?;
    }
    Ok(Verification::Wrong)
}

/// Returns the cost in a hash.
fn cost_of(hash: &str) -> Option<u32> {
    hash.split('$').nth(2)?.parse().ok()
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> PasswordError {
    PasswordError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn passwords(cost: u32) -> Passwords {
        Passwords::new(cost, Duration::from_secs(30))
    }

    async fn hash(passwords: &Passwords, password: &str) -> String {
        let new = NewPassword { password: password.to_owned(), personal: Vec::new() };
        passwords.hash(new, None).await.unwrap().unwrap()
    }

    async fn check(passwords: &Passwords, password: String, hash: Option<String>) -> Verification {
        let turn = passwords.wait_for_turn(None).await.unwrap();
        passwords.verify(turn, password, hash).await.unwrap()
    }

    #[tokio::test]
    async fn all_72_bytes_of_a_password_count() {
        let passwords = passwords(4);
        let password = format!("{}ä", &"correct horse battery staple ".repeat(3)[..70]);
        assert_eq!(password.len(), 72);
        let hash = hash(&passwords, &password).await;
        assert!(check(&passwords, password.clone(), Some(hash.clone())).await.is_right());
        let mut other = password;
        other.pop();
        assert_eq!(check(&passwords, other + "a", Some(hash)).await, Verification::Wrong);
    }

    #[tokio::test]
    async fn a_missing_hash_never_verifies() {
        assert_eq!(check(&passwords(4), "anything".into(), None).await, Verification::Wrong);
    }

    #[tokio::test]
    async fn a_right_password_renews_a_hash_of_another_cost() {
        let (cheap, dear) = (passwords(4), passwords(5));
        let old = hash(&cheap, "correct horse").await;
        let right = || "correct horse".to_owned();
        let unchanged = Verification::Right { renewed_hash: None };
        assert_eq!(check(&cheap, right(), Some(old.clone())).await, unchanged);
        let renewed = check(&dear, right(), Some(old.clone())).await;
        let Verification::Right { renewed_hash: Some(renewed) } = renewed else { panic!("{renewed:?}") };
        assert_eq!(cost_of(&renewed), Some(5));
        assert_eq!(check(&dear, right(), Some(renewed)).await, unchanged);
        assert_eq!(check(&dear, "wrong horse".to_owned(), Some(old)).await, Verification::Wrong);
    }

    #[tokio::test]
    async fn a_wrong_password_takes_as_long_as_against_the_most_expensive_hash() {
        let passwords = passwords(4);
        let (cheap, dear) =
            (hash(&passwords, "correct horse").await, hash(&self::passwords(10), "battery staple").await);
        let time = async |hash: Option<String>| {
            let mut times = Vec::new();
            for _ in 0..5 {
                let started = Instant::now();
                check(&passwords, "wrong horse".to_owned(), hash.clone()).await;
                times.push(started.elapsed());
            }
            times.into_iter().min().unwrap()
        };
        let known_dear = time(Some(dear)).await;
        for other in [time(None).await, time(Some(cheap)).await] {
            assert!(other > known_dear / 4 && other < known_dear * 4, "{other:?} {known_dear:?}");
        }
    }

    #[tokio::test]
    async fn a_weak_password_is_not_hashed() {
        let passwords = passwords(4);
        let new = || NewPassword { password: "ada.lovelace".to_owned(), personal: vec!["Ada Lovelace".to_owned()] };
        assert_eq!(passwords.hash(new(), None).await.unwrap(), Err(Weakness::Personal));
        assert_eq!(passwords.assess(new(), None).await.unwrap(), Some(Weakness::Personal));
    }
}
