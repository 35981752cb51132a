//! Making an account, logging in and out, and keeping a session alive.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, ClientInfo, JsonBody};
use crate::api::respond::{Accepted, Created, NoContent, OkJson};
use crate::contract::account::session::{RefreshSession, Session};
use crate::contract::account::user::{ForgotPassword, Login, Register, ResetPassword, VerifyEmail};
use crate::services::Services;

pub(in crate::api) struct AuthApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Register
    ///
    /// Creates an account and logs in: the answer has the tokens of its first session. A welcome follows by mail, and
    /// where addresses must be proved, the link for that.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(&self, client: ClientInfo, body: JsonBody<Register>) -> Reply<Created<Session>> {
        Ok(Created::at("/v1/me", &self.services.accounts.register(body.0, client.0).await?))
    }

    /// Log in
    ///
    /// Begins a session. The answer is the same, and takes as long, for an unknown e-mail and for a wrong password. An
    /// account that was deleted less than 30 days ago comes back with this, and the projects that went with it.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn log_in(&self, client: ClientInfo, body: JsonBody<Login>) -> Reply<OkJson<Session>> {
        Ok(OkJson::new(&self.services.accounts.log_in(body.0, client.0).await?))
    }

    /// Refresh a session
    ///
    /// Gives a new access token and the next refresh token. A refresh token works once; for 30 seconds more it answers
    /// with the same successor, so that two tabs that refresh at once both stay logged in. Used later than that it ends
    /// the session.
    #[oai(path = "/refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(&self, body: JsonBody<RefreshSession>) -> Reply<OkJson<Session>> {
        Ok(OkJson::new(&self.services.accounts.refresh(&body.0.refresh_token).await?))
    }

    /// Log out
    ///
    /// Ends the session of the access token. Its tokens stop working at once.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn log_out(&self, auth: Auth) -> Reply<NoContent> {
        self.services.accounts.log_out(auth.0).await?;
        Ok(NoContent)
    }

    /// Verify an e-mail address
    ///
    /// Takes the token from the mail, the `token` of its link, as the proof that the address is the user's. It works
    /// once, and for 24 hours.
    #[oai(path = "/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(&self, body: JsonBody<VerifyEmail>) -> Reply<NoContent> {
        self.services.email_tokens.verify_email(&body.0).await?;
        Ok(NoContent)
    }

    /// Send the verification mail again
    ///
    /// Sends another mail with a link that proves the address of the caller. Where it is proved already, nothing is sent.
    #[oai(path = "/resend-verification", method = "post", operation_id = "resendVerification")]
    async fn resend_verification(&self, auth: Auth) -> Reply<Accepted> {
        self.services.email_tokens.resend_verification(auth.0).await?;
        Ok(Accepted::empty())
    }

    /// Ask for a new password
    ///
    /// Sends a mail with a link to set another password, if there is an account with this address. The answer is the
    /// same, and takes as long, if there is none.
    #[oai(path = "/forgot-password", method = "post", operation_id = "forgotPassword")]
    async fn forgot_password(&self, body: JsonBody<ForgotPassword>) -> Reply<Accepted> {
        self.services.email_tokens.forgot_password(&body.0).await?;
        Ok(Accepted::empty())
    }

    /// Set a new password
    ///
    /// Takes the token from the mail, the `token` of its link, which works once and for an hour, and sets the password.
    ///
    /// Everything that acts for the account ends at once, so that nobody who had access keeps it: all sessions, API
    /// tokens and mailed tokens are revoked, all webhooks are disabled (see `disabled_reason`; enable those you still need
    /// with updateWebhook) and their pending deliveries are not sent, and the pending invitations sent by the account are
    /// revoked. Memberships in projects stay. The account is told by mail. The address counts as verified afterwards.
    #[oai(path = "/reset-password", method = "post", operation_id = "resetPassword")]
    async fn reset_password(&self, client: ClientInfo, body: JsonBody<ResetPassword>) -> Reply<NoContent> {
        self.services.email_tokens.reset_password(body.0, client.0.request_id).await?;
        Ok(NoContent)
    }
}
