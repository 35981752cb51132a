//! Health checks.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::respond::OkJson;
use crate::api::settings::Draining;
use crate::contract::health::{Health, HealthStatus};
use crate::services::{Error, Services};

pub(in crate::api) struct HealthApi {
    pub(super) services: Arc<Services>,
    pub(super) draining: Draining,
}

const OK: Health = Health { status: HealthStatus::Ok };

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl HealthApi {
    /// Check liveness
    ///
    /// Returns 200 as long as the process can respond. Restart it if this fails.
    #[oai(path = "/live", method = "get", operation_id = "getLiveness")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn live(&self) -> Reply<OkJson<Health>> {
        Ok(OkJson::new(&OK))
    }

    /// Check readiness
    ///
    /// Returns 200 if the database responds and accepts writes and the server is not shutting down, otherwise 503. Send
    /// no requests to the server until it is ready again.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self) -> Reply<OkJson<Health>> {
        if self.draining.has_begun() {
            return Err(Error::ShuttingDown.into());
        }
        self.services.check().await?;
        Ok(OkJson::new(&OK))
    }
}
