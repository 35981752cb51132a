//! Health of the service.

use poem_openapi::{Enum, Object};

/// Result of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
pub struct Health {
    /// State of the service.
    pub status: HealthStatus,
}

/// State of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Healthy.
    Ok,
}
