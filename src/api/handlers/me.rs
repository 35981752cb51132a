//! One's own account, and the places where it is in use.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::extract::{
    Auth, AuthWrite, ClientInfo, IdempotentWrite, IfMatch, IfNoneMatch, JsonBody, MergePatch, QueryParams,
};
use super::respond::{Done, Failure, Found, Fresh, Issued, Issuing, Matching, Reaching, Tagged, Usual};
use super::{Service, Tag};
use crate::contract::account::api_token::{ApiTokenList, ApiTokenQuery, CreatedApiToken, NewApiToken};
use crate::contract::account::session::{SessionInfoList, SessionQuery};
use crate::contract::account::user::{ChangePassword, UpdateMe, User};
use crate::contract::page::ListOf as _;
use crate::contract::resource::StaleUser;
use crate::contract::{ApiTokenId, SessionId};
use crate::services::{Answer, WriteContext};

pub(in crate::api) struct MeApi;

#[OpenApi(prefix_path = "/v1/me", tag = "Tag::Account")]
impl MeApi {
    /// Get my account
    ///
    /// Gives the account of the caller.
    #[oai(path = "/", method = "get", operation_id = "getMe")]
    async fn get(
        &self,
        caller: Auth,
        services: Service<'_>,
        #[oai(name = "If-None-Match")] known: IfNoneMatch,
    ) -> Result<Fresh<User>, Failure<Usual>> {
        let user = services.profiles.get(caller.0).await?;
        Ok(Fresh { answer: Answer::found(&user), known: known.0 })
    }

    /// Update my account
    ///
    /// Changes what the body names and leaves the rest. A change that changes nothing does not count as a version.
    #[oai(path = "/", method = "patch", operation_id = "updateMe")]
    async fn update(
        &self,
        write: AuthWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        body: MergePatch<UpdateMe>,
    ) -> Result<Tagged<User>, Failure<Matching<Usual, StaleUser>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        Ok(Tagged(services.profiles.update(&write, body.0).await?))
    }

    /// Delete my account
    ///
    /// Puts the account of the caller into the trash, and the projects that the caller owns. All sessions end, and API
    /// tokens stop working. Logging in within 30 days brings everything back, unless the operator keeps the trash
    /// shorter or longer; after that nothing of it is left. What the caller made in projects of others stays there,
    /// made by nobody.
    #[oai(path = "/", method = "delete", operation_id = "deleteMe")]
    async fn delete(&self, write: AuthWrite, services: Service<'_>) -> Result<Done, Failure<Usual>> {
        services.profiles.delete(&write.0).await?;
        Ok(Done)
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
        caller: Auth,
        services: Service<'_>,
        from: ClientInfo,
        body: JsonBody<ChangePassword>,
    ) -> Result<Done, Failure<Usual>> {
        services.profiles.change_password(caller.0, body.0, from.0.request_id).await?;
        Ok(Done)
    }

    /// List my sessions
    ///
    /// Lists the places where the caller is logged in.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list_sessions(
        &self,
        caller: Auth,
        services: Service<'_>,
        query: QueryParams<SessionQuery>,
    ) -> Result<Found<SessionInfoList>, Failure<Usual>> {
        let page = services.sessions.list(caller.0, &query.0).await?;
        Ok(Found(SessionInfoList::new(page, query.0.paging)))
    }

    /// End a session
    ///
    /// Logs the caller out in one place, which may be this one. Its tokens stop working at once.
    #[oai(path = "/sessions/:session_id", method = "delete", operation_id = "revokeSession")]
    async fn revoke_session(
        &self,
        caller: Auth,
        services: Service<'_>,
        session_id: Path<SessionId>,
    ) -> Result<Done, Failure<Reaching>> {
        services.sessions.revoke(caller.0, session_id.0).await?;
        Ok(Done)
    }

    /// List my API tokens
    ///
    /// Lists the API tokens of the caller, without their secrets; expired ones too.
    #[oai(path = "/api-tokens", method = "get", operation_id = "listApiTokens")]
    async fn list_api_tokens(
        &self,
        caller: Auth,
        services: Service<'_>,
        query: QueryParams<ApiTokenQuery>,
    ) -> Result<Found<ApiTokenList>, Failure<Usual>> {
        let page = services.api_tokens.list(caller.0, &query.0).await?;
        Ok(Found(ApiTokenList::new(page, query.0.paging)))
    }

    /// Create an API token
    ///
    /// Makes a token with which a program can call on behalf of the caller. The `token` itself is in this answer and in
    /// no other. A user may have 50 that are good. A token cannot make one that may do more than itself or lasts
    /// longer. The account is told by mail.
    #[oai(path = "/api-tokens", method = "post", operation_id = "createApiToken")]
    async fn create_api_token(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        body: JsonBody<NewApiToken>,
    ) -> Result<Issued<CreatedApiToken>, Failure<Issuing>> {
        Ok(Issued(services.api_tokens.create(&write.0, body.0).await?))
    }

    /// Revoke an API token
    ///
    /// Ends one of the API tokens of the caller, which may be the one that is used for this. It stops working at once.
    #[oai(path = "/api-tokens/:token_id", method = "delete", operation_id = "revokeApiToken")]
    async fn revoke_api_token(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        token_id: Path<ApiTokenId>,
    ) -> Result<Done, Failure<Reaching>> {
        services.api_tokens.revoke(&write.0, token_id.0).await?;
        Ok(Done)
    }
}
