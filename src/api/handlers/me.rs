//! One's own account, and the places where it is in use.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, ClientInfo, JsonBody, MergePatch, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::account::api_token::{ApiTokenList, ApiTokenQuery, CreatedApiToken, NewApiToken};
use crate::contract::account::session::{SessionInfoList, SessionQuery};
use crate::contract::account::user::{ChangePassword, UpdateMe, User};
use crate::contract::page::ListOf as _;
use crate::contract::{ApiTokenId, SessionId};
use crate::services::Services;

pub(in crate::api) struct MeApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/me", tag = "Tag::Account")]
impl MeApi {
    /// Get my account
    ///
    /// Gives the account of the caller.
    #[oai(path = "/", method = "get", operation_id = "getMe")]
    async fn get(&self, auth: Auth) -> Reply<OkJson<User>> {
        Ok(OkJson::with_etag(&self.services.profiles.get(auth.0).await?))
    }

    /// Update my account
    ///
    /// Changes what the body names and leaves the rest. A change that changes nothing does not count as a version.
    #[oai(path = "/", method = "patch", operation_id = "updateMe")]
    async fn update(&self, write: AuthWrite, body: MergePatch<UpdateMe>) -> Reply<OkJson<User>> {
        Ok(self.services.profiles.update(&write.0, body.0).await?.into())
    }

    /// Delete my account
    ///
    /// Puts the account of the caller into the trash, and the projects that the caller owns. All sessions end, and API
    /// tokens stop working. Logging in within 30 days brings everything back, unless the operator keeps the trash
    /// shorter or longer; after that nothing of it is left. What the caller made in projects of others stays there,
    /// made by nobody.
    #[oai(path = "/", method = "delete", operation_id = "deleteMe")]
    async fn delete(&self, write: AuthWrite) -> Reply<NoContent> {
        self.services.profiles.delete(&write.0).await?;
        Ok(NoContent)
    }

    /// Change my password
    ///
    /// Takes the current password and the new one. All other sessions end, and links that were mailed to reset the
    /// password stop working. With `revoke_all`, everything else that acts for the account ends too, as after a reset of
    /// the password; the current session stays. The account is told by mail. A wrong current password is a 400 on its
    /// field with the code `incorrect`.
    #[oai(path = "/password", method = "post", operation_id = "changePassword")]
    async fn change_password(
        &self,
        auth: Auth,
        client: ClientInfo,
        body: JsonBody<ChangePassword>,
    ) -> Reply<NoContent> {
        self.services.profiles.change_password(auth.0, body.0, client.0.request_id).await?;
        Ok(NoContent)
    }

    /// List my sessions
    ///
    /// Lists the places where the caller is logged in.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list_sessions(&self, auth: Auth, query: QueryParams<SessionQuery>) -> Reply<OkJson<SessionInfoList>> {
        let page = self.services.sessions.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&SessionInfoList::new(page, query.0.paging)))
    }

    /// End a session
    ///
    /// Logs the caller out in one place, which may be this one. Its tokens stop working at once.
    #[oai(path = "/sessions/:session_id", method = "delete", operation_id = "revokeSession")]
    async fn revoke_session(&self, auth: Auth, session_id: PathParam<SessionId>) -> Reply<NoContent> {
        self.services.sessions.revoke(auth.0, session_id.0).await?;
        Ok(NoContent)
    }

    /// List my API tokens
    ///
    /// Lists the API tokens of the caller, without their secrets; expired ones too.
    #[oai(path = "/api-tokens", method = "get", operation_id = "listApiTokens")]
    async fn list_api_tokens(&self, auth: Auth, query: QueryParams<ApiTokenQuery>) -> Reply<OkJson<ApiTokenList>> {
        let page = self.services.api_tokens.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&ApiTokenList::new(page, query.0.paging)))
    }

    /// Create an API token
    ///
    /// Makes a token with which a program can call on behalf of the caller. The `token` itself is in this answer and in
    /// no other. A user may have 50 that are good. A token cannot make one that may do more than itself or lasts
    /// longer. The account is told by mail.
    #[oai(path = "/api-tokens", method = "post", operation_id = "createApiToken")]
    async fn create_api_token(&self, write: AuthWrite, body: JsonBody<NewApiToken>) -> Reply<Created<CreatedApiToken>> {
        Ok(self.services.api_tokens.create(&write.0, body.0).await?.into())
    }

    /// Revoke an API token
    ///
    /// Ends one of the API tokens of the caller, which may be the one that is used for this. It stops working at once.
    #[oai(path = "/api-tokens/:token_id", method = "delete", operation_id = "revokeApiToken")]
    async fn revoke_api_token(&self, write: AuthWrite, token_id: PathParam<ApiTokenId>) -> Reply<NoContent> {
        self.services.api_tokens.revoke(&write.0, token_id.0).await?;
        Ok(NoContent)
    }
}
