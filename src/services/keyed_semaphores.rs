//! One semaphore per key, such as a user. A semaphore exists only while it is in use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

pub(crate) struct KeyedSemaphores<K>(Mutex<HashMap<K, Weak<Semaphore>>>);

impl<K> Default for KeyedSemaphores<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> KeyedSemaphores<K> {
    /// Returns the semaphore of a key. A new semaphore starts with `permits` permits.
    pub(crate) fn get(&self, key: K, permits: usize) -> Arc<Semaphore> {
        let mut semaphores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = semaphores.get(&key).and_then(Weak::upgrade) {
            return semaphore;
        }
        semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(permits));
        semaphores.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }

    /// Returns whether all permits have been returned.
    #[cfg(test)]
    pub(crate) fn is_unused(&self) -> bool {
        let semaphores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        semaphores.values().all(|semaphore| semaphore.strong_count() == 0)
    }
}
