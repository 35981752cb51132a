//! Whether the service is up.

use poem::web::Data;
use poem_openapi::OpenApi;

use super::respond::{Failure, Found, NotReady, Usual};
use super::{Service, Tag};
use crate::api::settings::Draining;
use crate::contract::health::{Health, HealthStatus};
use crate::services::Error;

pub(in crate::api) struct HealthApi;

const OK: Health = Health { status: HealthStatus::Ok };

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl HealthApi {
    /// Is the process alive?
    ///
    /// Answers as long as the process can answer at all. Restart it when this fails.
    #[oai(path = "/live", method = "get", operation_id = "getLiveness")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn live(&self) -> Result<Found<Health>, Failure<Usual>> {
        Ok(Found(OK))
    }

    /// Can it serve requests?
    ///
    /// Answers 200 when the database answers and accepts writes, and the server is not about to stop. Otherwise it
    /// answers 503: send the server no requests until it is ready again.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(
        &self,
        services: Service<'_>,
        draining: Data<&Draining>,
    ) -> Result<Found<Health>, Failure<NotReady>> {
        if draining.has_begun() {
            return Err(Error::ShuttingDown.into());
        }
        services.check().await?;
        Ok(Found(OK))
    }
}
