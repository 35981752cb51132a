//! Whether the service is up.

use poem_openapi::{Enum, Object};

/// How the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
pub struct Health {
    /// How the service is.
    pub status: HealthStatus,
}

/// How the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It is well.
    Ok,
}
