//! One's own account, and the places where it is in use.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::payload::{
    Body, Done, Failure, Found, Fresh, IfMatch, IfNoneMatch, Matching, Patch, Query, Reaching, SignedIn, Tagged, Usual,
};
use super::{Rules, Tag};
use crate::contract::SessionId;
use crate::contract::list::{ListOf as _, SessionInfoList};
use crate::contract::resource::StaleUser;
use crate::contract::session::SessionQuery;
use crate::contract::user::{ChangePassword, UpdateMe, User};
use crate::services::{Answer, Write};

pub(in crate::api) struct MeApi;

#[OpenApi(prefix_path = "/v1/me", tag = "Tag::Account")]
impl MeApi {
    /// Get my account
    ///
    /// Gives the account of the caller.
    #[oai(path = "/", method = "get", operation_id = "getMe")]
    async fn get(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        #[oai(name = "If-None-Match")] known: IfNoneMatch,
    ) -> Result<Fresh<User>, Failure<Usual>> {
        let user = rules.profiles.get(caller.0).await?;
        Ok(Fresh { answer: Answer::found(&user), known: known.0 })
    }

    /// Update my account
    ///
    /// Changes what the body names and leaves the rest. A change that changes nothing does not count as a version.
    #[oai(path = "/", method = "patch", operation_id = "updateMe")]
    async fn update(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        body: Patch<UpdateMe>,
    ) -> Result<Tagged<User>, Failure<Matching<Usual, StaleUser>>> {
        let write = Write { caller: caller.0, keyed: None, expected: expected.0 };
        Ok(Tagged(rules.profiles.update(&write, body.0).await?))
    }

    /// Change my password
    ///
    /// Takes the current password and the new one, and ends all other sessions of the caller. A wrong current password
    /// is a 400 on its field with the code `incorrect`.
    #[oai(path = "/password", method = "post", operation_id = "changePassword")]
    async fn change_password(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        body: Body<ChangePassword>,
    ) -> Result<Done, Failure<Usual>> {
        rules.profiles.change_password(caller.0, body.0).await?;
        Ok(Done)
    }

    /// List my sessions
    ///
    /// Lists the places where the caller is logged in.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list_sessions(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        query: Query<SessionQuery>,
    ) -> Result<Found<SessionInfoList>, Failure<Usual>> {
        let page = rules.sessions.list(caller.0, &query.0).await?;
        Ok(Found(SessionInfoList::new(page, query.0.paging)))
    }

    /// End a session
    ///
    /// Logs the caller out in one place, which may be this one. Its tokens stop working at once.
    #[oai(path = "/sessions/:session_id", method = "delete", operation_id = "revokeSession")]
    async fn revoke_session(
        &self,
        caller: SignedIn,
        rules: Rules<'_>,
        session_id: Path<SessionId>,
    ) -> Result<Done, Failure<Reaching>> {
        rules.sessions.revoke(caller.0, session_id.0).await?;
        Ok(Done)
    }
}
