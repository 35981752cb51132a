//! Settings from environment variables. All errors are reported at once.
//!
//! Secrets are wrapped so that they cannot be printed. Missing ones are generated in development.

mod dev_secrets;
mod env;
mod misspellings;
#[cfg(test)]
mod tests;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use strum::EnumString;

use self::env::EnvReader;
use crate::api::{CorsPolicy, RateLimitSettings};
use crate::database::Engine;
use crate::mail::MailSettings;
use crate::server::{self, TlsFiles};
use crate::services::{AccountLimits, DeliveryRates, Quotas};
use crate::webhooks::{AllowedPorts, EgressPolicy, Network};

pub use self::env::ConfigErrors;
pub use self::misspellings::Misspelling;
pub use self::tls::load_tls;
pub use crate::telemetry::LogFormat;

/// Environment in which the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum AppEnv {
    /// Local development.
    Development,
    /// Production.
    Production,
}

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// `APP_ENV`
    pub env: AppEnv,
    /// `HOST`
    pub host: IpAddr,
    /// `PORT`; 0 picks a free port.
    pub port: u16,
    /// `TLS_CERT_PATH` and `TLS_KEY_PATH`; without them, the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// `DATABASE_URL`
    pub database_url: SecretString,
    /// `AUTO_MIGRATE`
    pub auto_migrate: bool,
    /// `DATABASE_MAX_CONNECTIONS`
    pub database_max_connections: u32,
    /// `DATA_DIR`
    pub data_dir: PathBuf,
    /// `PUBLIC_URL` without a trailing slash.
    pub public_url: Option<String>,
    /// `JWT_SECRET`; generated in development if missing.
    pub jwt_secret: Option<SecretString>,
    /// `JWT_SECRET_PREVIOUS`
    pub jwt_secret_previous: Option<SecretString>,
    /// `ENCRYPTION_KEY`; generated in development if missing.
    pub encryption_key: Option<SecretString>,
    /// `ENCRYPTION_KEY_PREVIOUS`
    pub encryption_key_previous: Option<SecretString>,
    /// `ACCESS_TOKEN_TTL_SECONDS`
    pub access_token_ttl: Duration,
    /// `REFRESH_TOKEN_TTL_SECONDS`
    pub refresh_token_ttl: Duration,
    /// `REFRESH_GRACE_SECONDS`
    pub refresh_grace: Duration,
    /// `BCRYPT_COST`
    pub bcrypt_cost: u32,
    /// `CORS_ALLOWED_ORIGINS`
    pub cors: CorsPolicy,
    /// `TRUSTED_PROXY_HOPS`
    pub trusted_proxy_hops: usize,
    /// `MAX_CONNECTIONS`
    pub max_connections: usize,
    /// `MAX_CONNECTIONS_PER_ADDRESS`; `None` if unlimited.
    pub max_connections_per_address: Option<usize>,
    /// `RATE_LIMIT_*_PER_MINUTE`
    pub rate_limits: RateLimitSettings,
    /// `MAIL_PER_RECIPIENT_*`, `INVITATIONS_PER_USER_PER_DAY` and `LOGIN_FAILURES_*`
    pub account_limits: AccountLimits,
    /// `MAX_PROJECTS_PER_USER`, `MAX_TASKS_PER_PROJECT`, `MAX_COMMENTS_PER_TASK` and `MAX_STORED_BYTES_PER_USER`
    pub quotas: Quotas,
    /// `SMTP_URL`, `MAIL_FROM` and the directory for e-mails without a server.
    pub mail: MailSettings,
    /// `REQUIRE_EMAIL_VERIFICATION`
    pub require_email_verification: bool,
    /// `WEBHOOK_ALLOW_CIDRS`, `WEBHOOK_DENY_CIDRS`, `WEBHOOK_ALLOW_PORTS` and `WEBHOOK_ALLOW_HTTP`
    pub webhooks: EgressPolicy,
    /// `WEBHOOK_DELIVERIES_PER_*`
    pub webhook_rates: DeliveryRates,
    /// `WEBHOOK_RETRY_SECONDS`: delay of each attempt after the previous one.
    pub webhook_retry: Vec<Duration>,
    /// `JOB_WORKERS`
    pub job_workers: usize,
    /// `RETENTION_DAYS`. If shorter than the sum of `webhook_retry`, it cuts off the last attempts.
    pub retention: Duration,
    /// `STARTUP_TIMEOUT_SECONDS`: maximum wait for PostgreSQL at the start.
    pub startup_timeout: Duration,
    /// `REQUEST_TIMEOUT_SECONDS`
    pub request_timeout: Duration,
    /// `SHUTDOWN_DELAY_SECONDS`
    pub shutdown_delay: Duration,
    /// `KEEP_ALIVE_SECONDS`
    pub keep_alive: Duration,
    /// `BODY_LIMIT_BYTES`, for batches
    pub body_limit: usize,
    /// `METRICS_ADDR`
    pub metrics_addr: Option<SocketAddr>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`
    pub otlp_endpoint: Option<String>,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
    /// `RUST_LOG`
    pub log_filter: String,
    /// Variables that are no settings, but have almost the name of one.
    pub misspellings: Vec<Misspelling>,
}

const DAY: u64 = 86_400;

impl Config {
    /// Reads the environment of the process and, in development, a `.env` file.
    pub fn from_env() -> Result<Self, ConfigErrors> {
        if std::env::var("APP_ENV").as_deref() != Ok("production") {
            // The environment takes precedence. The file is optional.
            match dotenvy::dotenv() {
                Err(error) if !error.not_found() => {
                    return Err(ConfigErrors(vec![".env could not be read.".to_owned()]));
                }
                _ => {}
            }
        }
        let source = config::Environment::default().ignore_empty(true);
        Self::from_source(source)
    }

    /// Reads only the given variables.
    pub fn from_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ConfigErrors> {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::from_source(config::Environment::default().ignore_empty(true).source(Some(variables)))
    }

    fn from_source(source: config::Environment) -> Result<Self, ConfigErrors> {
        let mut read = EnvReader::new(source)?;
        let mut config = Self::read(&mut read);
        let (mut errors, misspellings) = read.finish();
        config.check(&mut errors);
        config.misspellings = misspellings;
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    /// Reads all settings. Invalid ones get their default.
    fn read(read: &mut EnvReader) -> Self {
        let env = read.parsed("APP_ENV", AppEnv::Development, "development or production");
        let production = env == AppEnv::Production;
        let any = IpAddr::V4(if production { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST });
        let data_dir = PathBuf::from(read.text("DATA_DIR").unwrap_or_else(|| "data".to_owned()));
        let smtp_url: Option<SecretString> = read.text("SMTP_URL").map(Into::into);
        // Percent-encode characters that have a meaning in URLs.
        let directory = data_dir.display().to_string().replace('%', "%25").replace('?', "%3F");
        let default_url = format!("sqlite://{directory}/pocket-tasks.db");
        Self {
            env,
            host: read.parsed("HOST", any, "an IP address"),
            port: read.number("PORT", 3000, 0..=65_535),
            tls: tls::files(read),
            database_url: read.text("DATABASE_URL").unwrap_or(default_url).into(),
            auto_migrate: read.bool("AUTO_MIGRATE", true),
            database_max_connections: read.number("DATABASE_MAX_CONNECTIONS", 10, 1..=1_000),
            public_url: read.text("PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned()),
            jwt_secret: read.text("JWT_SECRET").map(Into::into),
            jwt_secret_previous: read.text("JWT_SECRET_PREVIOUS").map(Into::into),
            encryption_key: read.text("ENCRYPTION_KEY").map(Into::into),
            encryption_key_previous: read.text("ENCRYPTION_KEY_PREVIOUS").map(Into::into),
            access_token_ttl: read.seconds("ACCESS_TOKEN_TTL_SECONDS", 900, 1..=DAY),
            refresh_token_ttl: read.seconds("REFRESH_TOKEN_TTL_SECONDS", 30 * DAY, 60..=365 * DAY),
            refresh_grace: read.seconds("REFRESH_GRACE_SECONDS", 30, 0..=3_600),
            bcrypt_cost: read.number("BCRYPT_COST", 12, 4..=31),
            cors: cors(read, "CORS_ALLOWED_ORIGINS", production),
            trusted_proxy_hops: read.number("TRUSTED_PROXY_HOPS", 0, 0..=16),
            max_connections: read.number("MAX_CONNECTIONS", 4_096, 16..=1_000_000),
            max_connections_per_address: Some(read.number("MAX_CONNECTIONS_PER_ADDRESS", 256, 0..=1_000_000))
                .filter(|connections| *connections > 0),
            rate_limits: RateLimitSettings {
                auth_per_minute: read.number("RATE_LIMIT_AUTH_PER_MINUTE", 10, 0..=1_000_000),
                refresh_per_minute: read.number("RATE_LIMIT_REFRESH_PER_MINUTE", 30, 0..=1_000_000),
                api_per_minute: read.number("RATE_LIMIT_API_PER_MINUTE", 600, 0..=1_000_000),
            },
            account_limits: AccountLimits {
                mail_per_hour: read.number("MAIL_PER_RECIPIENT_PER_HOUR", 3, 0..=1_000_000),
                mail_per_day: read.number("MAIL_PER_RECIPIENT_PER_DAY", 10, 0..=1_000_000),
                invitations_per_day: read.number("INVITATIONS_PER_USER_PER_DAY", 50, 0..=1_000_000),
                login_failures_per_minute: read.number("LOGIN_FAILURES_PER_MINUTE", 10, 0..=1_000_000),
                login_failures_per_hour: read.number("LOGIN_FAILURES_PER_HOUR", 100, 0..=1_000_000),
            },
            quotas: Quotas {
                projects_per_user: read.number("MAX_PROJECTS_PER_USER", 1_000, 0..=1_000_000_000),
                tasks_per_project: read.number("MAX_TASKS_PER_PROJECT", 100_000, 0..=1_000_000_000),
                comments_per_task: read.number("MAX_COMMENTS_PER_TASK", 10_000, 0..=1_000_000_000),
                stored_bytes_per_user: read.number(
                    "MAX_STORED_BYTES_PER_USER",
                    1_073_741_824,
                    0..=1_000_000_000_000_000,
                ),
            },
            require_email_verification: read.bool("REQUIRE_EMAIL_VERIFICATION", smtp_url.is_some() || production),
            mail: MailSettings {
                smtp_url,
                from: read.text("MAIL_FROM").unwrap_or_else(|| "Pocket Tasks <no-reply@localhost>".to_owned()),
                directory: data_dir.join("mail"),
            },
            webhooks: EgressPolicy {
                allowed_networks: networks(read, "WEBHOOK_ALLOW_CIDRS"),
                denied_networks: networks(read, "WEBHOOK_DENY_CIDRS"),
                allowed_ports: allowed_ports(read, "WEBHOOK_ALLOW_PORTS"),
                allow_http: read.bool("WEBHOOK_ALLOW_HTTP", false),
            },
            webhook_rates: DeliveryRates {
                per_host_per_second: read.number("WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND", 10, 0..=10_000),
                per_user_per_minute: read.number("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", 600, 0..=1_000_000),
            },
            webhook_retry: retry_delays(read, "WEBHOOK_RETRY_SECONDS"),
            job_workers: read.number("JOB_WORKERS", 4, 0..=64),
            retention: read.duration("RETENTION_DAYS", DAY, 30, 1..=3_650),
            startup_timeout: read.seconds("STARTUP_TIMEOUT_SECONDS", 30, 0..=3_600),
            request_timeout: read.seconds("REQUEST_TIMEOUT_SECONDS", 30, 1..=3_600),
            shutdown_delay: read.seconds("SHUTDOWN_DELAY_SECONDS", if production { 5 } else { 0 }, 0..=300),
            keep_alive: read.seconds("KEEP_ALIVE_SECONDS", 75, 1..=3_600),
            body_limit: read.number("BODY_LIMIT_BYTES", 1_048_576, 1_024..=1_073_741_824),
            metrics_addr: metrics_addr(read, "METRICS_ADDR"),
            otlp_endpoint: otlp_endpoint(read, "OTEL_EXPORTER_OTLP_ENDPOINT"),
            log_format: read.parsed(
                "LOG_FORMAT",
                if production { LogFormat::Json } else { LogFormat::Pretty },
                "pretty or json",
            ),
            log_filter: read.text("RUST_LOG").unwrap_or_else(|| "info".to_owned()),
            data_dir,
            misspellings: Vec::new(),
        }
    }

    /// Returns the URL for links: the public one, or one of the address at which the server listens.
    #[must_use]
    pub fn link_url(&self, listening: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", server::reachable(listening)))
    }

    /// Returns the configured address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.host, self.port))
    }

    /// Validates the settings after all variables have been read.
    fn check(&self, errors: &mut Vec<String>) {
        if Engine::from_url(self.database_url.expose_secret()).is_none() {
            errors.push("DATABASE_URL must begin with sqlite:// or postgres://.".to_owned());
        }
        let url = self.public_url.as_deref();
        if url.is_some_and(|url| !(url.starts_with("http://") || url.starts_with("https://"))) {
            errors.push("PUBLIC_URL must begin with http:// or https://.".to_owned());
        }
        for (name, secret) in [("JWT_SECRET", &self.jwt_secret), ("JWT_SECRET_PREVIOUS", &self.jwt_secret_previous)] {
            if secret.as_ref().is_some_and(|secret| secret.expose_secret().len() < 32) {
                errors.push(format!("{name} must be at least 32 bytes long."));
            }
        }
        let is_key = |key: &SecretString| STANDARD.decode(key.expose_secret()).is_ok_and(|key| key.len() == 32);
        for (name, key) in
            [("ENCRYPTION_KEY", &self.encryption_key), ("ENCRYPTION_KEY_PREVIOUS", &self.encryption_key_previous)]
        {
            if key.as_ref().is_some_and(|key| !is_key(key)) {
                errors.push(format!("{name} must be 32 bytes in base64."));
            }
        }
        for (name, checked) in [("SMTP_URL", self.mail.check_server()), ("MAIL_FROM", self.mail.check_sender())] {
            if let Err(error) = checked {
                errors.push(format!("{name} {error}."));
            }
        }
        if self.log_filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
            errors.push("RUST_LOG must be a filter like info or pocket_tasks=debug,warn.".to_owned());
        }
        if self.env == AppEnv::Production {
            for (name, missing) in [
                ("JWT_SECRET", self.jwt_secret.is_none()),
                ("ENCRYPTION_KEY", self.encryption_key.is_none()),
                ("PUBLIC_URL", self.public_url.is_none()),
            ] {
                if missing {
                    errors.push(format!("{name} is required in production."));
                }
            }
            if self.mail.smtp_url.is_none() && self.require_email_verification {
                let choice = "set REQUIRE_EMAIL_VERIFICATION=false to run without proof of addresses.";
                errors.push(format!("SMTP_URL is required in production; or {choice}"));
            }
            if self.bcrypt_cost < 10 {
                errors.push("BCRYPT_COST must be at least 10 in production.".to_owned());
            }
        }
    }
}

fn networks(read: &mut EnvReader, name: &str) -> Vec<Network> {
    read.list(name, "networks like 10.1.0.0/16 or addresses", |text| text.parse().ok())
}

fn allowed_ports(read: &mut EnvReader, name: &str) -> AllowedPorts {
    const ALL: u16 = 0;
    let what = "ports from 1 to 65535, or only *";
    let port = |text: &str| if text == "*" { Some(ALL) } else { text.parse().ok().filter(|port| *port != ALL) };
    let ports = read.list(name, what, port);
    if ports == [ALL] {
        return AllowedPorts::All;
    }
    if ports.contains(&ALL) {
        read.push_error(name, what);
    }
    AllowedPorts::Also(ports)
}

/// Reads the delays before each delivery attempt of a webhook.
fn retry_delays(read: &mut EnvReader, name: &str) -> Vec<Duration> {
    const DEFAULT: [u64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    let seconds = |text: &str| text.parse().ok().filter(|seconds| *seconds <= 30 * DAY);
    let what = "1 to 50 whole numbers from 0 to 2592000";
    let delays = read.list(name, what, seconds);
    if delays.len() > 50 {
        read.push_error(name, what);
    }
    let delays = if delays.is_empty() { DEFAULT.to_vec() } else { delays };
    delays.into_iter().map(Duration::from_secs).collect()
}

fn metrics_addr(read: &mut EnvReader, name: &str) -> Option<SocketAddr> {
    let text = read.text(name)?;
    let address = text.parse().ok();
    if address.is_none() {
        read.push_error(name, "an IP address with a port, like 127.0.0.1:9464");
    }
    address
}

fn otlp_endpoint(read: &mut EnvReader, name: &str) -> Option<String> {
    let text = read.text(name)?;
    let is_valid = |url: url::Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "http" | "https") && !has_user
    };
    if !url::Url::parse(&text).is_ok_and(is_valid) {
        // Failed exports are logged with the URL.
        read.push_error(name, "a URL like http://127.0.0.1:4318, without user and password");
    }
    Some(text)
}

fn cors(read: &mut EnvReader, name: &str, production: bool) -> CorsPolicy {
    let what = "origins like https://app.example.com, or only *";
    let origins = read.list(name, what, |text| if text == "*" { Some("*".to_owned()) } else { origin(text) });
    match &*origins {
        [] if production => CorsPolicy::List(Vec::new()),
        [] => CorsPolicy::Localhost,
        [any] if any == "*" => CorsPolicy::Any,
        _ => {
            if origins.iter().any(|origin| origin == "*") {
                read.push_error(name, what);
            }
            CorsPolicy::List(origins)
        }
    }
}

/// Parses an origin, and returns it as browsers send it: in lower case, without the default port and a trailing slash.
fn origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let is_origin =
        url.path() == "/" && !text.contains(['?', '#', '@', '*', '\\']) && !text.contains(char::is_whitespace);
    is_origin.then(|| url.origin().ascii_serialization())
}
