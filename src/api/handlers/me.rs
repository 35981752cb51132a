//! The account of the caller, its sessions and API tokens.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::account::api_token::{ApiTokenList, ApiTokenQuery, CreateApiToken, CreatedApiToken};
use crate::contract::account::audit_entry::{AuditEntryList, AuditLogQuery};
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
    /// Get your account
    ///
    /// Returns the account of the caller.
    #[oai(path = "/", method = "get", operation_id = "getMe")]
    async fn get(&self, auth: Auth) -> Reply<OkJson<User>> {
        Ok(OkJson::with_etag(&self.services.profiles.get(auth.0).await?))
    }

    /// Update your account
    ///
    /// Changes the fields in the body and keeps the others. An update that changes nothing does not create a new
    /// version.
    #[oai(path = "/", method = "patch", operation_id = "updateMe")]
    async fn update(&self, write: AuthWrite, body: JsonBody<UpdateMe>) -> Reply<OkJson<User>> {
        Ok(self.services.profiles.update(&write.0, body.0).await?.into())
    }

    /// Delete your account
    ///
    /// Moves your account and the projects you own to the trash. All sessions end and API tokens stop working. Logging
    /// in within 30 days (configurable by the operator) restores everything; afterwards it is deleted permanently.
    /// Content you created in other people's projects is kept, with `created_by` set to null. API tokens are not accepted
    /// here.
    #[oai(path = "/", method = "delete", operation_id = "deleteMe")]
    async fn delete(&self, write: AuthWrite) -> Reply<NoContent> {
        self.services.profiles.delete(&write.0).await?;
        Ok(NoContent::default())
    }

    /// Change your password
    ///
    /// Sets a new password. A wrong current password fails with 400 and the detail code `incorrect`. All other sessions
    /// end, and reset links that were sent stop working. With `revoke_all`, everything else that acts for the account
    /// is revoked as well, as after `resetPassword`; the current session is kept. The account is notified by e-mail.
    #[oai(path = "/password", method = "post", operation_id = "changePassword")]
    async fn change_password(&self, write: AuthWrite, body: JsonBody<ChangePassword>) -> Reply<NoContent> {
        self.services.profiles.change_password(&write.0, body.0).await?;
        Ok(NoContent::default())
    }

    /// List your sessions
    ///
    /// Returns the active sessions of the caller.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list_sessions(&self, auth: Auth, query: QueryParams<SessionQuery>) -> Reply<OkJson<SessionInfoList>> {
        let page = self.services.sessions.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&SessionInfoList::new(page, query.0.paging)))
    }

    /// Revoke a session
    ///
    /// Ends a session of the caller, which can be the current one. Its tokens stop working immediately. API tokens are
    /// not accepted here.
    #[oai(path = "/sessions/:session_id", method = "delete", operation_id = "revokeSession")]
    async fn revoke_session(&self, write: AuthWrite, session_id: PathParam<SessionId>) -> Reply<NoContent> {
        self.services.sessions.revoke(&write.0, session_id.0).await?;
        Ok(NoContent::default())
    }

    /// List your audit log
    ///
    /// Returns what was done to and with the account of the caller: logins, also failed ones, and changes of passwords,
    /// tokens, webhooks, roles and ownership, and deletions. Each entry says who did it, with which session or API token,
    /// from where, and when. Entries are kept for a year. API tokens are not accepted here.
    #[oai(path = "/audit-log", method = "get", operation_id = "listMyAuditLog")]
    async fn list_audit_log(&self, auth: Auth, query: QueryParams<AuditLogQuery>) -> Reply<OkJson<AuditEntryList>> {
        let page = self.services.audit_log.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&AuditEntryList::new(page, query.0.paging)))
    }

    /// List your API tokens
    ///
    /// Returns the API tokens of the caller, including expired ones, without their secrets.
    #[oai(path = "/api-tokens", method = "get", operation_id = "listApiTokens")]
    async fn list_api_tokens(&self, auth: Auth, query: QueryParams<ApiTokenQuery>) -> Reply<OkJson<ApiTokenList>> {
        let page = self.services.api_tokens.list(auth.0, &query.0).await?;
        Ok(OkJson::new(&ApiTokenList::new(page, query.0.paging)))
    }

    /// Create an API token
    ///
    /// Creates a token with which a program acts for the caller. The `token` itself is returned only in this response.
    /// A user can have up to 50 active tokens. The account is notified by e-mail. API tokens are not accepted here.
    #[oai(path = "/api-tokens", method = "post", operation_id = "createApiToken")]
    async fn create_api_token(
        &self,
        write: AuthWrite,
        body: JsonBody<CreateApiToken>,
    ) -> Reply<Created<CreatedApiToken>> {
        Ok(self.services.api_tokens.create(&write.0, body.0).await?.into())
    }

    /// Revoke an API token
    ///
    /// Revokes an API token of the caller, which stops working immediately. The webhooks that it created are disabled;
    /// `disabled_reason` shows why. API tokens are not accepted here.
    #[oai(path = "/api-tokens/:token_id", method = "delete", operation_id = "revokeApiToken")]
    async fn revoke_api_token(&self, write: AuthWrite, token_id: PathParam<ApiTokenId>) -> Reply<NoContent> {
        Ok(self.services.api_tokens.revoke(&write.0, token_id.0).await?.into())
    }
}
