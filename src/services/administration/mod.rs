//! Administration by the operator, from the command line.
//!
//! The operator needs no permission: access to the database is enough. Every change is logged and, as it concerns an
//! account, in its audit log, with the operating-system user.

pub(crate) mod accounts;
pub(crate) mod counts;
mod revocation;

use std::sync::Arc;

use crate::contract::account::api_token::ApiToken;
use crate::contract::account::user::User;
use crate::contract::page::{Paging, Sort};
use crate::contract::webhook::Webhook;
use crate::contract::{Timestamp, UserId, email};
use crate::repositories::{Credentials, OwnedProjects, UserFilter, WebhookFilter};
use crate::services::{Error, ServiceContext};

/// Maximum number of API tokens, and of webhooks, of an account that are shown.
const MAX_SHOWN: u32 = 1_000;

/// Administration by the operator.
#[derive(Clone)]
pub struct Administration(pub(crate) Arc<ServiceContext>);

/// An account, as the operator sees it.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Time at which the operator disabled the account.
    pub disabled_at: Option<Timestamp>,
    /// Time at which the account was soft-deleted.
    pub deleted_at: Option<Timestamp>,
    /// Time from which a soft-deleted account is removed permanently.
    pub purged_from: Option<Timestamp>,
}

/// An account with what belongs to it.
#[derive(Debug, Clone)]
pub struct AccountDetails {
    /// The account.
    pub account: Account,
    /// Projects that it owns.
    pub owned: OwnedProjects,
    /// Number of active sessions.
    pub sessions: u64,
    /// API tokens that were not revoked, the newest first.
    pub api_tokens: Vec<ApiToken>,
    /// Webhooks, the newest first.
    pub webhooks: Vec<Webhook>,
}

impl Administration {
    /// Lists at most `limit` accounts, the newest first.
    pub async fn list_accounts(&self, filter: UserFilter, limit: u64) -> Result<Vec<Account>, Error> {
        let found = self.0.store.read_unindexed().users().list(filter, limit).await?;
        Ok(found.into_iter().map(|found| self.account(found)).collect())
    }

    /// Finds the id of an account by its id or its e-mail address.
    pub async fn find_account(&self, id_or_email: &str) -> Result<UserId, Error> {
        let users = self.0.store.read().users();
        let found = match UserId::parse(id_or_email) {
            Some(id) => users.find_credentials(id).await?,
            None => users.find_credentials_by_email(&email::normalize(id_or_email)).await?,
        };
        found.map(|found| found.user.id).ok_or(Error::NotFound("account"))
    }

    /// Returns an account with what belongs to it.
    pub async fn show_account(&self, id: UserId) -> Result<AccountDetails, Error> {
        let repositories = self.0.store.read_unindexed();
        let found = repositories.users().find_credentials(id).await?.ok_or(Error::NotFound("account"))?;
        let (now, all) = (self.0.clock.now(), Paging { limit: MAX_SHOWN, ..Paging::default() });
        Ok(AccountDetails {
            account: self.account(found),
            owned: repositories.projects().count_owned(id).await?,
            sessions: repositories
                .sessions()
                .list(id, now, Sort::new(None, None), Paging::default())
                .await?
                .total
                .count,
            api_tokens: repositories.api_tokens().list(id, Sort::new(None, None), all).await?.items,
            webhooks: repositories
                .webhooks()
                .list(id, &WebhookFilter::default(), Sort::new(None, None), all)
                .await?
                .items,
        })
    }

    fn account(&self, found: Credentials) -> Account {
        Account {
            user: found.user,
            disabled_at: found.disabled_at,
            deleted_at: found.deleted_at,
            purged_from: found.deleted_at.map(|at| at + self.0.policy.retention),
        }
    }
}
