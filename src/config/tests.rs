//! Tests of the settings.

use super::*;

#[test]
fn defaults_are_those_of_a_development_server() {
    let config = Config::from_variables([]).unwrap();
    assert_eq!((config.host.to_string().as_str(), config.port), ("127.0.0.1", 3000));
    assert_eq!(config.database_url.expose_secret(), "sqlite://data/pocket-tasks.db");
    assert_eq!((config.max_connections, config.max_connections_per_address), (4_096, Some(256)));
    assert_eq!((config.cors, config.log_format), (CorsPolicy::Localhost, LogFormat::Pretty));
}

#[test]
fn all_errors_are_reported_at_once_without_secrets() {
    let errors = Config::from_variables([
        ("APP_ENV", "production"),
        ("PORT", "99999"),
        ("HOST", "somewhere"),
        ("JWT_SECRET", "hunter2"),
        ("ENCRYPTION_KEY", "hunter3"),
        ("DATABASE_URL", "mysql://user:hunter4@host/db"),
        ("BCRYPT_COST", "4"),
        ("AUTO_MIGRATE", "maybe"),
        ("CORS_ALLOWED_ORIGINS", "https://good.example, app.example"),
    ])
    .unwrap_err();
    let names: Vec<&str> = errors.0.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(
        names,
        [
            "HOST",
            "PORT",
            "AUTO_MIGRATE",
            "CORS_ALLOWED_ORIGINS",
            "DATABASE_URL",
            "JWT_SECRET",
            "ENCRYPTION_KEY",
            "PUBLIC_URL",
            "SMTP_URL",
            "BCRYPT_COST"
        ]
    );
    assert!(!errors.to_string().contains("hunter"), "{errors}");
}

#[test]
fn production_without_a_mail_server_must_waive_verification_in_so_many_words() {
    const SECRETS: [(&str, &str); 4] = [
        ("APP_ENV", "production"),
        ("JWT_SECRET", "00000000000000000000000000000001"),
        ("ENCRYPTION_KEY", "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="),
        ("PUBLIC_URL", "https://tasks.example"),
    ];
    let with = |more: &[(&'static str, &'static str)]| Config::from_variables([&SECRETS, more].concat());
    for more in [&[][..], &[("REQUIRE_EMAIL_VERIFICATION", "")], &[("REQUIRE_EMAIL_VERIFICATION", "true")]] {
        let [error] = <[String; 1]>::try_from(with(more).unwrap_err().0).unwrap();
        assert!(error.starts_with("SMTP_URL ") && error.contains("REQUIRE_EMAIL_VERIFICATION=false"), "{error}");
    }
    assert!(!with(&[("REQUIRE_EMAIL_VERIFICATION", "false")]).unwrap().require_email_verification);
    assert!(with(&[("SMTP_URL", "smtp://mail.example:25")]).unwrap().require_email_verification);
}

#[test]
fn values_are_parsed() {
    let config = Config::from_variables([
        ("JWT_SECRET", "00000000000000000000000000000001"),
        ("CORS_ALLOWED_ORIGINS", "https://a.example, https://b.example/"),
        ("PUBLIC_URL", "https://tasks.example/"),
        ("RETENTION_DAYS", "7"),
        ("PORT", ""),
        ("MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ])
    .unwrap();
    assert_eq!(config.jwt_secret.unwrap().expose_secret().len(), 32);
    assert_eq!(config.cors, CorsPolicy::List(vec!["https://a.example".into(), "https://b.example".into()]));
    assert_eq!(config.public_url.as_deref(), Some("https://tasks.example"));
    assert_eq!(config.max_connections_per_address, None);
    assert_eq!((config.retention, config.port), (Duration::from_secs(7 * DAY), 3000));
}

#[test]
fn surrounding_blanks_are_ignored() {
    let config = Config::from_variables([
        ("JWT_SECRET", "  a secret for tests, of 32 bytes.\n"),
        ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\r\n"),
        ("DATABASE_URL", "sqlite://data/other.db\n"),
        ("PUBLIC_URL", " https://tasks.example/\n"),
        ("SMTP_URL", "\n"),
    ]);
    let config = config.unwrap();
    assert_eq!(config.jwt_secret.unwrap().expose_secret(), "a secret for tests, of 32 bytes.");
    assert_eq!(config.database_url.expose_secret(), "sqlite://data/other.db");
    assert_eq!(config.public_url.as_deref(), Some("https://tasks.example"));
    assert!(config.mail.smtp_url.is_none());
}

#[test]
fn configured_origins_are_normalized_or_refused() {
    let origins = |text| Config::from_variables([("CORS_ALLOWED_ORIGINS", text)]).map(|config| config.cors);
    for (text, origin) in [
        ("https://App.Example.COM/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:8080/", "http://app.example.com:8080"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
    ] {
        assert_eq!(origins(text), Ok(CorsPolicy::List(vec![origin.to_owned()])), "{text}");
    }
    for text in [
        "app.example.com",
        "https://a.example/path",
        "https://*.example.com",
        "https://u@a.example",
        "*, https://a.example",
    ] {
        assert!(origins(text).is_err(), "{text}");
    }
}

#[test]
fn links_never_lead_to_an_unspecified_address() {
    let config = Config::from_variables([("HOST", "0.0.0.0"), ("PORT", "8080")]).unwrap();
    let url = config.link_url(config.address());
    assert!(!url.contains("0.0.0.0") && url.ends_with(":8080"), "{url}");
    let config = Config::from_variables([("HOST", "0.0.0.0"), ("PUBLIC_URL", "https://tasks.example")]).unwrap();
    assert_eq!(config.link_url(config.address()), "https://tasks.example");
}

#[test]
fn half_of_a_tls_configuration_is_an_error() {
    for (set, missing) in [("TLS_CERT_PATH", "TLS_KEY_PATH"), ("TLS_KEY_PATH", "TLS_CERT_PATH")] {
        let [error] = <[String; 1]>::try_from(Config::from_variables([(set, "file.pem")]).unwrap_err().0).unwrap();
        assert_eq!(error, format!("{missing} must be set together with {set}."));
    }
    let both = [("TLS_CERT_PATH", "missing.crt"), ("TLS_KEY_PATH", "missing.key"), ("HOST", "127.0.0.1")];
    let config = Config::from_variables(both).unwrap();
    assert_eq!(config.link_url(config.address()), "https://127.0.0.1:3000");
    let error = load_tls(config.tls.unwrap()).err().unwrap().to_string();
    assert!(error.contains("TLS_CERT_PATH ") && error.contains("missing.crt"), "{error}");
}

#[test]
fn only_production_delays_its_shutdown() {
    let development = Config::from_variables([]).unwrap();
    assert_eq!(development.shutdown_delay, Duration::ZERO);
    let production = Config::from_variables([
        ("APP_ENV", "production"),
        ("JWT_SECRET", "00000000000000000000000000000001"),
        ("ENCRYPTION_KEY", "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="),
        ("PUBLIC_URL", "https://tasks.example"),
        ("SMTP_URL", "smtp://mail.example:25"),
    ]);
    assert_eq!(production.unwrap().shutdown_delay, Duration::from_secs(5));
}

#[test]
fn secrets_are_not_printed() {
    let config = Config::from_variables([
        ("JWT_SECRET", "a secret for tests, of 32 bytes."),
        ("DATABASE_URL", "postgres://user:hunter2@host/db"),
    ]);
    let printed = format!("{:?}", config.unwrap());
    assert!(!printed.contains("hunter2") && !printed.contains("a secret"), "{printed}");
}

#[test]
fn webhook_settings_are_strict_by_default() {
    let plain = Config::from_variables([]).unwrap();
    assert!(plain.webhooks.allowed_networks.is_empty() && !plain.webhooks.allow_http);
    assert!(plain.webhooks.denied_networks.is_empty());
    assert_eq!(plain.webhooks.allowed_ports, AllowedPorts::Also(Vec::new()));
    let rates = plain.webhook_rates;
    assert_eq!((rates.per_host_per_second, rates.per_user_per_minute), (10, 600));
    let delays: Vec<u64> = plain.webhook_retry.iter().map(Duration::as_secs).collect();
    assert_eq!(delays, [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);

    let config = Config::from_variables([
        ("WEBHOOK_ALLOW_CIDRS", "10.1.2.3/16, 192.168.1.20,fd00:1::/32,::ffff:172.16.0.0/112, "),
        ("WEBHOOK_DENY_CIDRS", "8.8.8.8"),
        ("WEBHOOK_ALLOW_PORTS", "9000, 9443"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
        ("WEBHOOK_RETRY_SECONDS", "0, 2592000"),
    ])
    .unwrap();
    let networks: Vec<String> = config.webhooks.allowed_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.1.0.0/16", "192.168.1.20/32", "fd00:1::/32", "172.16.0.0/16"]);
    assert_eq!(config.webhooks.denied_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["8.8.8.8/32"]);
    assert_eq!(config.webhooks.allowed_ports, AllowedPorts::Also(vec![9_000, 9_443]));
    let all = Config::from_variables([("WEBHOOK_ALLOW_PORTS", " * ")]).unwrap();
    assert_eq!(all.webhooks.allowed_ports, AllowedPorts::All);
    assert!(config.webhooks.allow_http);
    assert_eq!(config.webhook_retry, [Duration::ZERO, Duration::from_secs(30 * DAY)]);
}

#[test]
fn each_invalid_webhook_setting_is_reported_once() {
    let many = vec!["1"; 51].join(",");
    for (name, values) in [
        (
            "WEBHOOK_ALLOW_CIDRS",
            &["10.0.0.0/33", "10.0.0", "example.com", "10.0.0.1,hunter2,hunter3", ",", "10.0.0.0 /8"][..],
        ),
        ("WEBHOOK_DENY_CIDRS", &["10.0.0.0/33", "example.com"]),
        ("WEBHOOK_ALLOW_PORTS", &["0", "65536", "http", "443,*", ","]),
        ("WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND", &["-1", "1.5", "10001"]),
        ("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", &["-1", "many", "1000001"]),
        ("WEBHOOK_ALLOW_HTTP", &["yes", "1"]),
        ("WEBHOOK_RETRY_SECONDS", &["soon", "-1", "1.5", "2592001", "5,hunter2", ",", &many]),
    ] {
        for value in values {
            let errors = Config::from_variables([(name, *value)]).unwrap_err();
            assert_eq!(errors.0.len(), 1, "{value}: {errors}");
            assert!(errors.0[0].starts_with(&format!("{name} must be ")), "{errors}");
            assert!(!errors.to_string().contains("hunter"), "{errors}");
        }
    }
}

/// Finds the settings in lines of documentation, sorted.
fn documented(text: &'static str, setting: fn(&'static str) -> Option<&'static str>) -> Vec<&'static str> {
    let mut found: Vec<&str> = text.lines().filter_map(setting).collect();
    found.sort_unstable();
    found
}

fn setting_in_table(line: &'static str) -> Option<&'static str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}

fn setting_in_example(line: &'static str) -> Option<&'static str> {
    let (name, _) = line.strip_prefix('#')?.split_once('=')?;
    name.chars().all(|character| character.is_ascii_uppercase() || character == '_').then_some(name)
}

#[test]
fn every_documented_setting_is_read_and_every_setting_is_documented() {
    let mut read = EnvReader::new(config::Environment::default().source(Some(config::Map::new()))).unwrap();
    Config::read(&mut read);
    let mut names = read.names();
    names.sort_unstable();
    let (_, table) = include_str!("../../README.md").split_once("| Variable | Default | Meaning |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    assert_eq!(documented(table, setting_in_table), names);
    assert_eq!(documented(include_str!("../../.env.example"), setting_in_example), names);
}
