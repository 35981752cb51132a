//! Rotation of the encryption key: values that were encrypted with the previous key are encrypted with the current one.
//!
//! A ciphertext does not name its key. Decryption tries the current key first, and fails with another key.

use std::sync::Arc;

use strum::VariantArray as _;

use super::context::ServiceContext;
use super::error::Error;
use super::idempotency::aad;
use crate::repositories::{Job, SealedColumn, SealedPlace, SealedValue};
use crate::security::{EncryptionKey, SealError, Sealer};

/// Number of values per transaction.
const PORTION_SIZE: u64 = 100;

/// Number of values by the key that decrypts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// Values of the current key.
    pub current: u64,
    /// Values of the previous key.
    pub previous: u64,
    /// Values of an unknown key.
    pub unknown: u64,
}

/// Rotation of the encryption key.
#[derive(Clone)]
pub struct KeyRotation(pub(crate) Arc<ServiceContext>);

impl KeyRotation {
    /// Returns whether there is a previous key.
    #[must_use]
    pub fn has_previous_key(&self) -> bool {
        self.0.sealer.has_previous_key()
    }

    /// Enqueues the job that encrypts all values with the current key, if there is a previous one.
    pub async fn enqueue(&self) -> Result<(), Error> {
        if !self.has_previous_key() {
            return Ok(());
        }
        let now = self.0.clock.now();
        let transaction = self.0.store.begin().await?;
        transaction.jobs().enqueue(&Job::ReencryptSecrets {}, now, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Encrypts all values of the previous key with the current one, in portions. Does nothing without a previous key.
    ///
    /// Returns how many values each key had decrypted before.
    pub async fn reencrypt(&self) -> Result<KeyUsage, Error> {
        let mut usage = KeyUsage::default();
        if !self.has_previous_key() {
            return Ok(usage);
        }
        self.scan(true, &mut usage).await?;
        if usage.unknown > 0 {
            tracing::warn!(
                values = usage.unknown,
                "some stored secrets cannot be decrypted with ENCRYPTION_KEY or ENCRYPTION_KEY_PREVIOUS"
            );
        } else {
            tracing::info!(
                reencrypted = usage.previous,
                unchanged = usage.current,
                "every stored secret is encrypted with ENCRYPTION_KEY"
            );
        }
        Ok(usage)
    }

    /// Counts the values by key.
    pub async fn usage(&self) -> Result<KeyUsage, Error> {
        let mut usage = KeyUsage::default();
        self.scan(false, &mut usage).await?;
        Ok(usage)
    }

    async fn scan(&self, replaces: bool, usage: &mut KeyUsage) -> Result<(), Error> {
        for &column in SealedColumn::VARIANTS {
            let mut after = None;
            loop {
                let values = self.0.store.read().sealed_values();
                let values = values.list(column, after.as_ref(), PORTION_SIZE).await?;
                let next = self.sort(&values, usage)?;
                if replaces && !next.is_empty() {
                    let transaction = self.0.store.begin().await?;
                    for (value, next) in next {
                        // A request that replaces the value in the meantime uses the current key.
                        transaction.sealed_values().replace(value, &next).await?;
                    }
                    transaction.commit().await?;
                }
                if (values.len() as u64) < PORTION_SIZE {
                    break;
                }
                after = values.last().map(|value| value.place.clone());
            }
        }
        Ok(())
    }

    /// Counts values by key, and returns those of the previous key, encrypted with the current one.
    fn sort<'v>(
        &self,
        values: &'v [SealedValue],
        usage: &mut KeyUsage,
    ) -> Result<Vec<(&'v SealedValue, Vec<u8>)>, Error> {
        let mut next = Vec::new();
        for value in values {
            let (sealer, context) = self.sealer(&value.place);
            match sealer.open_with_key(&context, value.sealed.clone()) {
                Ok((_, EncryptionKey::Current)) => usage.current += 1,
                Ok((plain, EncryptionKey::Previous)) => {
                    usage.previous += 1;
                    next.push((value, sealer.seal(&context, &plain)?));
                }
                Err(SealError::Broken) => usage.unknown += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(next)
    }

    /// Returns what encrypted the value at a place, and its context.
    fn sealer(&self, place: &SealedPlace) -> (&Sealer, String) {
        match place {
            SealedPlace::WebhookSecret(webhook) | SealedPlace::PreviousSecret(_, webhook) => {
                (&self.0.webhooks.sealer, webhook.to_string())
            }
            SealedPlace::StoredResponse(user, key) => (&self.0.sealer, aad(*user, key)),
        }
    }
}
