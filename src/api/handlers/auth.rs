//! Registration, login and sessions.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, ClientInfo, JsonBody, OptionalAuth};
use crate::api::respond::{Accepted, Created, NoContent, OkJson};
use crate::contract::account::session::{RefreshSession, Session};
use crate::contract::account::user::{DisownAccount, ForgotPassword, Login, Register, ResetPassword, VerifyEmail};
use crate::services::Services;

pub(in crate::api) struct AuthApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Create an account
    ///
    /// Creates an account and its first session, and sends a welcome e-mail. If the server requires verified e-mail
    /// addresses, the verification link follows by e-mail.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(&self, client: ClientInfo, body: JsonBody<Register>) -> Reply<Created<Session>> {
        Ok(Created::at("/v1/me", &self.services.accounts.register(body.0, client.0).await?))
    }

    /// Log in
    ///
    /// Creates a session. An unknown e-mail address and a wrong password return the same error after the same time.
    /// Only failures count against an account: 10 a minute from one place, and 100 an hour from places where its owner
    /// has not logged in within 30 days. The owner is notified by e-mail after 20 failures.
    ///
    /// Logging in restores an account that is still in the trash (30 days by default), together with its projects.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn log_in(&self, client: ClientInfo, body: JsonBody<Login>) -> Reply<OkJson<Session>> {
        Ok(OkJson::new(&self.services.accounts.log_in(body.0, client.0).await?))
    }

    /// Refresh a session
    ///
    /// Returns a new access token and the next refresh token. Each refresh token can be used once. For 30 seconds after
    /// its first use it returns the same successor, so that concurrent refreshes in several tabs succeed. Reusing it
    /// later ends the session.
    #[oai(path = "/refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(&self, client: ClientInfo, body: JsonBody<RefreshSession>) -> Reply<OkJson<Session>> {
        Ok(OkJson::new(&self.services.accounts.refresh(&body.0.refresh_token, &client.0).await?))
    }

    /// Log out
    ///
    /// Ends the session of the access token. Its tokens stop working immediately.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn log_out(&self, write: AuthWrite) -> Reply<NoContent> {
        self.services.accounts.log_out(&write.0).await?;
        Ok(NoContent::default())
    }

    /// Verify an e-mail address
    ///
    /// Verifies the address of the account with the `token` from the link in the verification e-mail. The token can be
    /// used once and expires after 24 hours.
    ///
    /// The token proves that the e-mail was received, but not who registered the account. The request therefore also
    /// needs the access token of the account or, in the body, its `password`. Without either, and with the access token
    /// of another account, it fails with 400 and the detail code `required`; a wrong password is `incorrect`.
    #[oai(path = "/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(
        &self,
        auth: OptionalAuth,
        client: ClientInfo,
        body: JsonBody<VerifyEmail>,
    ) -> Reply<NoContent> {
        self.services.email_tokens.verify_email(auth.0, body.0, &client.0).await?;
        Ok(NoContent::default())
    }

    /// Disown an account
    ///
    /// Deletes the account that someone else registered with your address. The `token` is that of the verification
    /// e-mail, whose second link says "this was not me". The account and everything it owns are deleted permanently, and
    /// the address can be registered again at once. Projects of others, and invitations that they sent to the address,
    /// are kept. A verified account cannot be disowned (422 `INVALID_TOKEN`).
    #[oai(path = "/disown-account", method = "post", operation_id = "disownAccount")]
    async fn disown_account(&self, client: ClientInfo, body: JsonBody<DisownAccount>) -> Reply<NoContent> {
        self.services.email_tokens.disown_account(&body.0, &client.0).await?;
        Ok(NoContent::default())
    }

    /// Resend the verification e-mail
    ///
    /// Sends a new verification link to the address of the caller. If the address is already verified, no e-mail is
    /// sent.
    #[oai(path = "/resend-verification", method = "post", operation_id = "resendVerification")]
    async fn resend_verification(&self, auth: Auth) -> Reply<Accepted> {
        self.services.email_tokens.resend_verification(auth.0).await?;
        Ok(Accepted::empty())
    }

    /// Request a password reset
    ///
    /// Sends a reset link if an account with this address exists. The response and its timing are the same if none
    /// does. An address receives at most 3 e-mails an hour; further requests are accepted without another e-mail.
    #[oai(path = "/forgot-password", method = "post", operation_id = "forgotPassword")]
    async fn forgot_password(&self, client: ClientInfo, body: JsonBody<ForgotPassword>) -> Reply<Accepted> {
        self.services.email_tokens.forgot_password(&body.0, &client.0).await?;
        Ok(Accepted::empty())
    }

    /// Reset a password
    ///
    /// Sets a new password with the `token` from the link in the reset e-mail. The token can be used once and expires
    /// after one hour.
    ///
    /// Everything that acts for the account is revoked: all sessions, API tokens and mailed tokens, and the pending
    /// invitations sent by the account. All webhooks are disabled and their pending deliveries are not sent;
    /// `disabled_reason` shows why, and `updateWebhook` enables them again. Project memberships are kept. The account
    /// is notified by e-mail, and its address counts as verified.
    #[oai(path = "/reset-password", method = "post", operation_id = "resetPassword")]
    async fn reset_password(&self, client: ClientInfo, body: JsonBody<ResetPassword>) -> Reply<NoContent> {
        self.services.email_tokens.reset_password(body.0, client.0).await?;
        Ok(NoContent::default())
    }
}
