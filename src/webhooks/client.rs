//! HTTP client for URLs of users: SSRF-safe, without redirects and proxies, with time and size limits.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::egress_policy::EgressPolicy;
use super::error_message::describe;
use super::outcome::{MAX_EXCERPT_LEN, Outcome, RetryAfter, excerpt};
use super::resolver::{GuardedResolver, Resolver, SystemResolver};
use super::url_policy::{self, UrlError};

/// Time limit for a request, response included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const EXCERPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time until an idle connection is closed; shorter than the usual keep-alive timeout of servers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

const MAX_IDLE_PER_HOST: usize = 2;

/// Maximum number of response headers.
const MAX_HEADERS: usize = 100;

/// Sends requests to URLs of users. Clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    policy: Arc<EgressPolicy>,
    options: ClientOptions,
    /// Created for the first request: it loads the trusted certificates into memory, and fails without any.
    http: OnceLock<reqwest::Client>,
}

/// Error for a machine that cannot send requests to any receiver.
#[derive(Debug, thiserror::Error)]
#[error("failed to create the HTTP client: are CA certificates installed on this machine?")]
pub struct ClientUnavailable(#[from] reqwest::Error);

/// Options of a client, which tests override.
pub struct ClientOptions {
    /// Time limit for a request.
    pub timeout: Duration,
    /// Time limit for the response excerpt once the status is known.
    pub excerpt_timeout: Duration,
    /// DNS resolver.
    pub resolver: Arc<dyn Resolver>,
    /// Further trusted root certificates (DER).
    pub authorities: Vec<Vec<u8>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: REQUEST_TIMEOUT,
            excerpt_timeout: EXCERPT_TIMEOUT,
            resolver: Arc::new(SystemResolver::default()),
            authorities: Vec::new(),
        }
    }
}

impl Client {
    /// Creates a client with a time limit of 15 seconds.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self::with_options(policy, ClientOptions::default())
    }

    /// Creates a client with another time limit.
    #[must_use]
    pub fn with_timeout(policy: EgressPolicy, timeout: Duration) -> Self {
        Self::with_options(policy, ClientOptions { timeout, ..ClientOptions::default() })
    }

    /// Creates a client with other options.
    #[must_use]
    pub fn with_options(policy: EgressPolicy, options: ClientOptions) -> Self {
        Self(Arc::new(Inner { policy: Arc::new(policy), options, http: OnceLock::new() }))
    }

    /// Returns an error if no requests can be sent, which is not the fault of a receiver.
    pub fn ensure_ready(&self) -> Result<(), ClientUnavailable> {
        self.0.http().map(drop)
    }

    /// Validates a URL without a DNS lookup; the lookup is part of each request.
    pub fn check(&self, url: &str) -> Result<(), UrlError> {
        url_policy::parse(url, &self.0.policy).map(drop)
    }

    /// Returns the host of a URL in a normalized form, for limits per host.
    pub fn host(&self, url: &str) -> String {
        let url = url_policy::parse(url, &self.0.policy).ok();
        url.as_ref().and_then(Url::host_str).unwrap_or_default().trim_end_matches('.').to_owned()
    }

    /// Returns whether two URLs name the same endpoint.
    pub fn is_same_url(&self, one: &str, other: &str) -> bool {
        one == other || matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// Posts a body, which is JSON unless a header says otherwise. Errors are part of the outcome.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Outcome {
        let begin = Instant::now();
        let deadline = begin + self.0.options.timeout;
        let mut outcome =
            Outcome { status_code: None, error: None, duration: Duration::ZERO, excerpt: None, retry_after: None };
        match self.send(url, headers, body, deadline).await {
            Ok(response) => read_response(response, deadline, self.0.options.excerpt_timeout, &mut outcome).await,
            Err(error) => outcome.error = Some(error),
        }
        outcome.duration = begin.elapsed();
        outcome
    }

    async fn send(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        deadline: Instant,
    ) -> Result<Response, String> {
        let url = url_policy::parse(url, &self.0.policy).map_err(|error| error.to_string())?;
        let headers = header_map(headers).ok_or("A request header is invalid.")?;
        let http = self.0.http().map_err(|_| "This server cannot send webhooks at the moment.")?;
        let request = http.post(url).headers(headers).body(body).send();
        match timeout_at(deadline, request).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(format!("No response within {} seconds.", self.0.options.timeout.as_secs_f64())),
        }
    }
}

impl Inner {
    fn build(&self) -> reqwest::Result<reqwest::Client> {
        let authorities = self.options.authorities.iter().map(|authority| Certificate::from_der(authority));
        let guard = GuardedResolver { resolver: Arc::clone(&self.options.resolver), policy: Arc::clone(&self.policy) };
        reqwest::Client::builder()
            .user_agent(concat!("Pocket-Tasks/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(guard))
            // A redirect would bypass the URL check, and a proxy would resolve names itself.
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .https_only(!self.policy.allow_http)
            .tls_certs_merge(authorities.collect::<Result<Vec<_>, _>>()?)
            // Leaves time for the next address of the name and for the response.
            .connect_timeout(self.options.timeout * 2 / 3)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_headers(MAX_HEADERS)
            .build()
    }

    fn http(&self) -> Result<&reqwest::Client, ClientUnavailable> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = self.build()?;
        Ok(self.http.get_or_init(|| http))
    }
}

fn header_map(headers: &[(&'static str, String)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for (name, value) in headers {
        map.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(map)
}

/// Reads the status and as much of the body as arrives soon.
async fn read_response(mut response: Response, deadline: Instant, excerpt_timeout: Duration, outcome: &mut Outcome) {
    let status = response.status();
    outcome.status_code = Some(status.as_u16());
    if status.is_redirection() {
        outcome.error = Some("The response is a redirect. Redirects are not followed.".to_owned());
    }
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    outcome.retry_after = retry_after.and_then(RetryAfter::parse);
    let deadline = deadline.min(Instant::now() + excerpt_timeout);
    let mut body = Vec::new();
    // A longer body is not read to its end: dropping the response closes the connection.
    while body.len() < MAX_EXCERPT_LEN
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_EXCERPT_LEN - body.len())]);
    }
    outcome.excerpt = excerpt(&body);
}
