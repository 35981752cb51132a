//! Detection of misspelt environment variables.
//!
//! The environment has many variables that are none of the program's business, so a name counts as misspelt only if it is
//! very close to that of a setting, and that setting is unset.

use strsim::damerau_levenshtein;

/// Maximum number of typing errors, in a long name.
const MAX_DISTANCE: usize = 3;

/// Number of characters of a name per typing error. Short names, such as `HOST`, are close to many others.
const CHARACTERS_PER_ERROR: usize = 6;

/// Ends of names that are easily left out.
const UNITS: [&str; 4] = ["_SECONDS", "_DAYS", "_BYTES", "_PER_MINUTE"];

/// A variable that is no setting, but has almost the name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misspelling {
    /// Name of the variable.
    pub variable: String,
    /// Name of the setting that was probably meant.
    pub setting: String,
}

/// Finds the misspelt names of settings among other variables. Each setting has a name and is set or not.
pub(super) fn misspellings(variables: &[String], settings: &[(String, bool)]) -> Vec<Misspelling> {
    let mut found: Vec<Misspelling> = variables
        .iter()
        .filter_map(|variable| {
            let unset = settings.iter().filter(|(_, is_set)| !is_set).map(|(name, _)| name);
            let close = unset.filter_map(|name| Some((distance(variable, name)?, name)));
            let (_, setting) = close.min_by_key(|(distance, _)| *distance)?;
            Some(Misspelling { variable: variable.clone(), setting: setting.clone() })
        })
        .collect();
    found.sort_unstable_by(|one, other| one.variable.cmp(&other.variable));
    found
}

/// Returns the number of typing errors between two names, if it is small enough.
fn distance(variable: &str, setting: &str) -> Option<usize> {
    if UNITS.iter().any(|unit| setting.strip_suffix(unit) == Some(variable)) {
        return Some(0);
    }
    let max = (setting.len() / CHARACTERS_PER_ERROR).min(MAX_DISTANCE);
    if variable.len().abs_diff(setting.len()) > max {
        return None;
    }
    Some(damerau_levenshtein(variable, setting)).filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// Names of the variables that are reported, each with the setting that was meant.
    fn reported(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let config = Config::from_variables(variables.iter().copied()).unwrap();
        config.misspellings.into_iter().map(|found| (found.variable, found.setting)).collect()
    }

    #[test]
    fn a_misspelt_setting_is_reported() {
        for (variable, setting) in [
            ("RETENTION_DAY", "RETENTION_DAYS"),
            ("RETENTION", "RETENTION_DAYS"),
            ("RATE_LIMIT_AUTH_PER_MIN", "RATE_LIMIT_AUTH_PER_MINUTE"),
            ("RATE_LIMIT_AUTH", "RATE_LIMIT_AUTH_PER_MINUTE"),
            ("RATE_LIMT_API_PER_MINUTE", "RATE_LIMIT_API_PER_MINUTE"),
            ("ACCESS_TOKEN_TTL", "ACCESS_TOKEN_TTL_SECONDS"),
            ("ENCRYPTION_KEYS", "ENCRYPTION_KEY"),
            ("JWT_SECERT", "JWT_SECRET"),
            ("DATABASE_URI", "DATABASE_URL"),
            ("PUBLIC_URI", "PUBLIC_URL"),
            ("CORS_ALLOWED_ORIGIN", "CORS_ALLOWED_ORIGINS"),
            ("TRUST_PROXY_HOPS", "TRUSTED_PROXY_HOPS"),
            ("WEBHOOK_ALLOWED_CIDRS", "WEBHOOK_ALLOW_CIDRS"),
            ("JOB_WORKER", "JOB_WORKERS"),
            ("SMTP_URI", "SMTP_URL"),
            ("DATADIR", "DATA_DIR"),
        ] {
            assert_eq!(reported(&[(variable, "secret")]), [(variable.to_owned(), setting.to_owned())], "{variable}");
        }
    }

    #[test]
    fn a_variable_beside_its_setting_belongs_to_another_program() {
        assert_eq!(reported(&[("DATABASE_URI", "x"), ("DATABASE_URL", "sqlite://x.db")]), Vec::new());
        assert_eq!(reported(&[("RETENTION_DAY", "7"), ("RETENTION_DAYS", "")]).len(), 1, "an empty setting is unset");
    }

    #[test]
    fn ordinary_environments_cause_no_warning() {
        // A shell, a container, systemd, Kubernetes, Railway, Fly, Heroku, GitHub Actions, PostgreSQL, proxies, and
        // libraries.
        let ordinary = "PATH HOME HOSTNAME USER LOGNAME SHELL TERM LANG LC_ALL LANGUAGE PWD OLDPWD SHLVL TZ EDITOR PAGER \
            DISPLAY MAIL MAILTO LOGS_DIRECTORY STATE_DIRECTORY CACHE_DIRECTORY CONFIGURATION_DIRECTORY INVOCATION_ID \
            JOURNAL_STREAM NOTIFY_SOCKET WATCHDOG_USEC LISTEN_FDS CREDENTIALS_DIRECTORY SYSTEMD_EXEC_PID TMPDIR TEMP \
            PORT_3000_TCP PORT_HTTP POSTGRES_PORT_5432_TCP_ADDR KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT \
            KUBERNETES_PORT POD_NAME POD_IP NODE_NAME SERVICE_HOST SERVICE_PORT \
            RAILWAY_ENVIRONMENT RAILWAY_PUBLIC_DOMAIN RAILWAY_PRIVATE_DOMAIN RAILWAY_VOLUME_MOUNT_PATH RAILWAY_RUN_UID \
            RAILWAY_TCP_PROXY_PORT RAILWAY_SERVICE_NAME RAILWAY_STATIC_URL RAILWAY_GIT_COMMIT_SHA RAILWAY_REPLICA_ID \
            DATABASE_PUBLIC_URL DATABASE_PRIVATE_URL DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_USER \
            DATABASE_PASSWORD DATABASE_URL_RO DATABASE_CA_CERT DB_URL DB_HOST POSTGRES_URL POSTGRES_USER \
            POSTGRES_PASSWORD POSTGRES_DB PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGDATA PGSSLMODE REDIS_URL \
            FLY_APP_NAME FLY_REGION FLY_ALLOC_ID FLY_PUBLIC_IP FLY_MACHINE_ID PRIMARY_REGION DYNO WEB_CONCURRENCY \
            RUST_BACKTRACE RUST_LIB_BACKTRACE RUST_MIN_STACK RUSTFLAGS CARGO_HOME RUSTUP_HOME NO_COLOR CLICOLOR FORCE_COLOR \
            HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY SSL_CERT_FILE SSL_CERT_DIR SMTP_HOST SMTP_PORT SMTP_USER \
            SMTP_PASSWORD SMTP_FROM MAIL_HOST MAIL_PORT MAILER_DSN APP_NAME APP_KEY APP_URL APP_DEBUG APP_PORT NODE_ENV \
            ENV ENVIRONMENT DEBUG CI GITHUB_TOKEN GITHUB_REF LOG_LEVEL LOG_FILE LOGLEVEL JWT_ISSUER JWT_AUDIENCE \
            SECRET_KEY SECRET_KEY_BASE ENCRYPTION_SALT OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES OTEL_TRACES_SAMPLER \
            OTEL_EXPORTER_OTLP_HEADERS OTEL_EXPORTER_OTLP_PROTOCOL OTEL_EXPORTER_OTLP_TIMEOUT OTEL_SDK_DISABLED \
            METRICS_PORT PROMETHEUS_PORT BODY_SIZE MAX_MEMORY PUBLIC_IP PUBLIC_DIR PUBLIC_HOST DATA_PATH DATA_SOURCE \
            MALLOC_ARENA_MAX MIMALLOC_PURGE_DELAY UID GID USERNAME SUDO_USER SUDO_COMMAND SSH_CONNECTION XDG_DATA_DIRS \
            XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS WORKERS TIMEOUT KEEPALIVE";
        let variables: Vec<(&str, &str)> = ordinary.split_whitespace().map(|name| (name, "1")).collect();
        assert!(variables.len() > 150);
        assert_eq!(reported(&variables), Vec::new());
    }
}
