//! What the tests of the life of an account share: tokens of mails, jobs that come by the clock, and a look into every
//! table.

use std::fmt::Write as _;
use std::time::Duration;

use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::repositories::Job;
use pocket_tasks::security::{OpaqueToken, TokenKind};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::repositories::raw::Raw;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

/// The subjects of the mails.
pub(super) const WELCOME: &str = "Welcome to Pocket Tasks";
pub(super) const VERIFICATION: &str = "Confirm your e-mail address";
pub(super) const RESET: &str = "Set a new password";
pub(super) const DIGEST: &str = "Your week in Pocket Tasks";

/// Where the API tokens of the caller are.
pub(super) const TOKENS: &str = "/v1/me/api-tokens";

/// A time to come, as it is written.
pub(super) fn later(app: &TestApp, duration: Duration) -> String {
    app.clock.now().plus(duration).to_string()
}

/// An API token with an end, as a client and as it was answered.
pub(super) async fn token_until(app: &TestApp, user: &Client, duration: Duration) -> (Client, Value) {
    let body = json!({"name": "x", "scopes": ["read", "write"], "expires_at": later(app, duration)});
    let created = user.post(TOKENS, body).await.created();
    (app.with_token(created["token"].as_str().unwrap()), created)
}

/// An app where an address must be proved.
pub(super) async fn app_with_proofs(database: &TestDatabase) -> TestApp {
    let variables = vec![("REQUIRE_EMAIL_VERIFICATION", "true")];
    TestApp::new(database, Options { variables, ..Options::default() }).await
}

/// A new user with settings of the test's own.
pub(super) async fn user_with(app: &TestApp, settings: &Value) -> Client {
    let email = format!("user.{}@example.com", new_uuid().simple());
    let mut body = json!({"email": email, "name": "Ada", "password": "correct horse"});
    for (name, value) in settings.as_object().unwrap() {
        body[name] = value.clone();
    }
    let session = app.anonymous().post("/v1/auth/register", body).await.created();
    let mut client = app.with_token(session["access_token"].as_str().unwrap());
    client.session = session;
    client
}

/// How many mails with a subject somebody got.
pub(super) fn count_mails(app: &TestApp, user: &Client, subject: &str) -> usize {
    app.mails_to(user.email()).iter().filter(|mail| mail.subject == subject).count()
}

/// The tokens in somebody's mails with a subject.
pub(super) fn mailed_tokens(app: &TestApp, user: &Client, subject: &str) -> Vec<String> {
    let mails = app.mails_to(user.email()).into_iter().filter(|mail| mail.subject == subject);
    mails.map(|mail| mail.token().to_owned()).collect()
}

/// Proves an address, or tries to.
pub(super) async fn verify(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/v1/auth/verify-email", json!({"token": token})).await
}

/// Has the mail sent that proves the address, and gives its token.
pub(super) async fn verification_token(app: &TestApp) -> (Client, String) {
    let user = app.user().await;
    app.work().await;
    let [token] = mailed_tokens(app, &user, VERIFICATION).try_into().unwrap();
    (user, token)
}

/// Asks for another password.
pub(super) async fn forget(app: &TestApp, email: &str) -> Answer {
    app.anonymous().post("/v1/auth/forgot-password", json!({"email": email})).await
}

/// Has a mail sent that sets another password, and gives the token of the newest.
pub(super) async fn reset_token(app: &TestApp, user: &Client) -> String {
    let before = mailed_tokens(app, user, RESET);
    forget(app, user.email()).await.expect(202);
    app.work().await;
    let mut new = mailed_tokens(app, user, RESET);
    new.retain(|token| !before.contains(token));
    let [token] = new.try_into().unwrap();
    token
}

/// Sets another password, or tries to.
pub(super) async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    app.anonymous().post("/v1/auth/reset-password", json!({"token": token, "password": password})).await
}

/// Logs in, or tries to.
pub(super) async fn try_log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.anonymous().post("/v1/auth/login", json!({"email": email, "password": password})).await
}

/// Makes an API token, and gives a client that calls with it, and the answer.
pub(super) async fn api_client(app: &TestApp, user: &Client, scopes: &[&str]) -> (Client, Value) {
    let created = user.post("/v1/me/api-tokens", json!({"name": "A script", "scopes": scopes})).await.created();
    let mut client = app.with_token(created["token"].as_str().unwrap());
    client.session = user.session.clone();
    (client, created)
}

/// Promises a job, as the schedule does.
pub(super) async fn promise(app: &TestApp, job: Job) {
    let transaction = app.store.begin().await.unwrap();
    transaction.jobs().enqueue(&job, app.clock.now(), app.clock.now()).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Has a job done, with whatever else is due.
pub(super) async fn perform(app: &TestApp, job: Job) {
    promise(app, job).await;
    app.work().await;
    let unfinished = app.store.read().queue().list_unfinished().await.unwrap();
    assert!(unfinished.iter().all(|job| job.last_error.is_none()), "{unfinished:?}");
}

/// The secret part of a token, and its hash, each as it would stand in a table.
pub(super) fn secret_and_hash(kind: TokenKind, token: &str) -> [String; 2] {
    use base64::Engine as _;
    let hash = OpaqueToken::parse(kind, token).unwrap().hash();
    let (_, secret) = token.split_once('_').unwrap();
    [hex(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(secret).unwrap()), hex(&hash)]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Everything in every column of every table.
pub(super) struct Tables(Vec<(String, String)>);

impl Tables {
    pub(super) async fn read(database: &TestDatabase) -> Self {
        let mut raw = Raw::connect(database).await;
        let (columns, as_text) = if database.is_postgres() {
            let columns = "SELECT table_name || '.' || column_name AS place FROM information_schema.columns \
                           WHERE table_schema = 'public'";
            (columns, "::text")
        } else {
            let columns = "SELECT tables.name || '.' || columns.name AS place FROM sqlite_schema AS tables \
                           JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'";
            (columns, "")
        };
        let mut found = Vec::new();
        for place in raw.texts(columns, "place").await {
            let (table, column) = place.split_once('.').unwrap();
            let value = if as_text.is_empty() {
                format!("quote(\"{column}\")")
            } else {
                format!("coalesce(\"{column}\"{as_text}, '')")
            };
            let values = raw.texts(&format!("SELECT {value} AS value FROM \"{table}\""), "value").await;
            found.extend(values.into_iter().map(|value| (place.clone(), value.to_lowercase())));
        }
        assert!(found.iter().any(|(place, _)| place == "users.email"), "the tables were found");
        Self(found)
    }

    /// Where something stands: as it is, as its bytes, and if it is an id as that.
    pub(super) fn places_of(&self, what: &str) -> Vec<&str> {
        let mut spellings = vec![what.to_lowercase(), hex(what.as_bytes())];
        spellings.extend(Uuid::parse_str(what).map(|id| id.simple().to_string()));
        let holds = |value: &str| spellings.iter().any(|spelling| value.contains(spelling));
        let mut places: Vec<&str> =
            self.0.iter().filter(|(_, value)| holds(value)).map(|(place, _)| place.as_str()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// All values of one column, as `table.column`.
    pub(super) fn column(&self, place: &str) -> Vec<String> {
        self.0.iter().filter(|(found, _)| found == place).map(|(_, value)| value.clone()).collect()
    }
}
