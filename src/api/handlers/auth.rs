//! Making an account, logging in and out, and keeping a session alive.

use poem_openapi::OpenApi;

use super::payload::{Body, Created, Done, Failure, Found, From, LoggingIn, Refreshing, Registering, SignedIn, Usual};
use super::{Rules, Tag};
use crate::contract::session::{RefreshSession, Session};
use crate::contract::user::{Login, Register};

pub(in crate::api) struct AuthApi;

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Register
    ///
    /// Creates an account and logs in: the answer has the tokens of its first session.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        rules: Rules<'_>,
        from: From,
        body: Body<Register>,
    ) -> Result<Created<Session>, Failure<Registering>> {
        let body = rules.accounts.register(body.0, from.0).await?;
        Ok(Created { location: "/v1/me".to_owned(), body })
    }

    /// Log in
    ///
    /// Begins a session. The answer is the same, and takes as long, for an unknown e-mail and for a wrong password.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn log_in(
        &self,
        rules: Rules<'_>,
        from: From,
        body: Body<Login>,
    ) -> Result<Found<Session>, Failure<LoggingIn>> {
        Ok(Found(rules.accounts.log_in(body.0, from.0).await?))
    }

    /// Refresh a session
    ///
    /// Gives a new access token and the next refresh token. A refresh token works once; for 30 seconds more it answers
    /// with the same successor, so that two tabs that refresh at once both stay logged in. Used later than that it ends
    /// the session.
    #[oai(path = "/refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(
        &self,
        rules: Rules<'_>,
        body: Body<RefreshSession>,
    ) -> Result<Found<Session>, Failure<Refreshing>> {
        Ok(Found(rules.accounts.refresh(&body.0.refresh_token).await?))
    }

    /// Log out
    ///
    /// Ends the session of the access token. Its tokens stop working at once.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn log_out(&self, caller: SignedIn, rules: Rules<'_>) -> Result<Done, Failure<Usual>> {
        rules.accounts.log_out(caller.0).await?;
        Ok(Done)
    }
}
