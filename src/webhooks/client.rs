//! Sends requests.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response};
use tokio::time::{Instant, timeout_at};

use super::Allowances;
use super::failures;
use super::lookups::Lookups;
use super::outcome::{EXCERPT, Outcome, RetryAfter, excerpt};
use super::resolver::{Guard, Lookup, SystemLookup};
use super::urls::{self, Forbidden};

/// How long a request may take, answer included.
const PATIENCE: Duration = Duration::from_secs(15);

/// Maximum wait for the excerpt once the status is known: it decides nothing.
const EXCERPT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection is kept for the next request: less than servers do, which would close it under our hands.
const KEPT: Duration = Duration::from_secs(4);

/// How many connections to one host are kept.
const KEPT_PER_HOST: usize = 2;

/// How many headers an answer may have.
const HEADERS: usize = 100;

/// How many names are looked up at once for those who have no share of their own.
const LOOKUPS: usize = 64;

/// Sends requests to addresses that users named. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    lookups: Lookups,
}

struct Inner {
    allowances: Arc<Allowances>,
    means: Means,
    /// Made for the first request: it takes memory for the certificates that this machine trusts, and fails where there
    /// are none, which is no matter to who has no webhooks.
    http: OnceLock<reqwest::Client>,
}

/// This machine can send no requests, whatever the receiver.
#[derive(Debug, thiserror::Error)]
#[error("requests cannot be sent: are the certificates of this machine installed?")]
pub struct Unable(#[from] reqwest::Error);

/// What a client takes from its surroundings; tests bring their own.
pub struct Means {
    /// How long a request may take.
    pub timeout: Duration,
    /// Maximum wait for the excerpt of a response whose status is known.
    pub excerpt_timeout: Duration,
    /// How names are looked up.
    pub lookup: Arc<dyn Lookup>,
    /// Certificates (DER) of authorities that are trusted besides those that this machine trusts.
    pub authorities: Vec<Vec<u8>>,
}

impl Default for Means {
    fn default() -> Self {
        Self {
            timeout: PATIENCE,
            excerpt_timeout: EXCERPT_TIMEOUT,
            lookup: Arc::new(SystemLookup),
            authorities: Vec::new(),
        }
    }
}

impl Client {
    /// A client that waits for 15 seconds.
    #[must_use]
    pub fn new(allowances: Allowances) -> Self {
        Self::with_means(allowances, Means::default())
    }

    /// A client that waits for as long as it is told.
    #[must_use]
    pub fn with_timeout(allowances: Allowances, timeout: Duration) -> Self {
        Self::with_means(allowances, Means { timeout, ..Means::default() })
    }

    /// A client that knows the world by these means.
    #[must_use]
    pub fn with_means(allowances: Allowances, means: Means) -> Self {
        let inner = Inner { allowances: Arc::new(allowances), means, http: OnceLock::new() };
        Self { inner: Arc::new(inner), lookups: Lookups::of_all(LOOKUPS) }
    }

    /// The same client for one whose names are looked up as this share allows.
    #[must_use]
    pub fn with_lookups(&self, lookups: Lookups) -> Self {
        Self { inner: Arc::clone(&self.inner), lookups }
    }

    /// Sees to it that requests can be sent: where they cannot, that is no fault of the receiver.
    pub fn prepare(&self) -> Result<(), Unable> {
        self.inner.http().map(drop)
    }

    /// Tells what speaks against a URL without looking its name up: that is done for each request.
    pub fn check(&self, url: &str) -> Result<(), Forbidden> {
        urls::read(url, &self.inner.allowances).map(drop)
    }

    /// Posts the body, which is JSON unless a header says otherwise. Never fails: what went wrong is in the outcome.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Outcome {
        let begin = Instant::now();
        let deadline = begin + self.inner.means.timeout;
        let mut outcome =
            Outcome { status_code: None, error: None, duration: Duration::ZERO, excerpt: None, retry_after: None };
        match self.answer(url, headers, body, deadline).await {
            Ok(answer) => read(answer, deadline, self.inner.means.excerpt_timeout, &mut outcome).await,
            Err(error) => outcome.error = Some(error),
        }
        outcome.duration = begin.elapsed();
        outcome
    }

    /// The head of the answer.
    async fn answer(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        deadline: Instant,
    ) -> Result<Response, String> {
        let url = urls::read(url, &self.inner.allowances).map_err(|forbidden| forbidden.to_string())?;
        let headers = fields(headers).ok_or("The request has a header that cannot be sent.")?;
        let http = self.inner.http().map_err(|_| "The server cannot send webhooks at the moment.")?;
        let request = http.post(url).headers(headers).body(body).send();
        match timeout_at(deadline, self.lookups.pay_for(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failures::sentence(&error)),
            Err(_) => Err(format!("No answer came within {} seconds.", self.inner.means.timeout.as_secs_f64())),
        }
    }
}

impl Inner {
    fn connect(&self) -> reqwest::Result<reqwest::Client> {
        let authorities = self.means.authorities.iter().map(|authority| Certificate::from_der(authority));
        let guard = Guard {
            lookup: Arc::clone(&self.means.lookup),
            lookups: Lookups::of_all(LOOKUPS),
            allowances: Arc::clone(&self.allowances),
        };
        reqwest::Client::builder()
            .user_agent(concat!("Pocket-Tasks/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(guard))
            // A redirect leads to where nobody looked, and a proxy would look names up in our place.
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .https_only(!self.allowances.http)
            .tls_certs_merge(authorities.collect::<Result<Vec<_>, _>>()?)
            // The rest is for the next address of the name, and for the answer.
            .connect_timeout(self.means.timeout * 2 / 3)
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(KEPT_PER_HOST)
            .http1_max_headers(HEADERS)
            .build()
    }

    fn http(&self) -> Result<&reqwest::Client, Unable> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = self.connect()?;
        Ok(self.http.get_or_init(|| http))
    }
}

fn fields(headers: &[(&'static str, String)]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for (name, value) in headers {
        fields.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(fields)
}

/// Reads the answer. It is decided by its status; of the body there is what came soon.
async fn read(mut answer: Response, deadline: Instant, excerpt_timeout: Duration, outcome: &mut Outcome) {
    let status = answer.status();
    outcome.status_code = Some(status.as_u16());
    if status.is_redirection() {
        outcome.error = Some("The answer is a redirect, which is not followed.".to_owned());
    }
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    outcome.retry_after = retry_after.and_then(RetryAfter::parse);
    let deadline = deadline.min(Instant::now() + excerpt_timeout);
    let mut body = Vec::new();
    // What is longer is not read to its end: the connection is closed when the answer is dropped.
    while body.len() < EXCERPT
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, answer.chunk()).await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(EXCERPT - body.len())]);
    }
    outcome.excerpt = excerpt(&body);
}
