//! Members of projects.

use std::collections::HashSet;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, RelationDef, Select,
};
use uuid::Uuid;

use super::entities::{member, user};
use super::mapping;
use super::pagination::first_portion;
use super::repositories::SeaRepositories;
use crate::contract::page::{Direction, Page, Paging, Sort, Total};
use crate::contract::project::Role;
use crate::contract::project::member::{Member, MemberSort};
use crate::contract::strings::{Email, PersonName};
use crate::contract::unicode::fold;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{MemberRepository, Portion, StoreError};

#[derive(FromQueryResult)]
struct MemberRow {
    #[sea_orm(nested)]
    member: member::Model,
    user_name: String,
    user_email: String,
}

impl MemberRow {
    fn into_member(self) -> Result<Member, StoreError> {
        Ok(Member {
            user_id: UserId(self.member.user_id),
            name: PersonName::new_unchecked(self.user_name),
            email: Email::new_unchecked(self.user_email),
            role: mapping::role(&self.member.role)?,
            joined_at: Timestamp(self.member.joined_at),
        })
    }
}

fn account() -> RelationDef {
    member::Entity::belongs_to(user::Entity).from(member::Column::UserId).to(user::Column::Id).into()
}

fn of_project(project: ProjectId) -> Select<member::Entity> {
    member::Entity::find().filter(member::Column::ProjectId.eq(project.0))
}

/// Restricts members to active accounts, and adds their names.
fn with_active_account(members: Select<member::Entity>) -> Select<member::Entity> {
    with_account(members).filter(user::Column::DeletedAt.is_null())
}

/// Adds the names of members.
fn with_account(members: Select<member::Entity>) -> Select<member::Entity> {
    members
        .join(JoinType::InnerJoin, account())
        .column_as(user::Column::Name, "user_name")
        .column_as(user::Column::Email, "user_email")
}

impl<C: ConnectionTrait + Send + Sync> SeaRepositories<C> {
    /// Lists members by folded name.
    ///
    /// A project has few members, so their names are sorted here: no database folds beyond ASCII.
    async fn list_by_name(
        &self,
        matching: Select<member::Entity>,
        direction: Direction,
        paging: Paging,
    ) -> Result<Page<Member>, StoreError> {
        let names = matching.clone().select_only().column(member::Column::UserId).column(user::Column::Name);
        let mut names: Vec<(Uuid, String)> = names.into_tuple().all(&self.0).await?;
        names.sort_by_cached_key(|(user, name)| (fold(name), *user));
        if direction == Direction::Desc {
            names.reverse();
        }
        let total = Total::exact(names.len() as u64);
        let skipped = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
        let (users, has_more) = first_portion(names.split_off(skipped.min(names.len())), paging.limit.into());
        let users: Vec<Uuid> = users.into_iter().map(|(user, _)| user).collect();
        let rows = matching.filter(member::Column::UserId.is_in(users.iter().copied())).into_model::<MemberRow>();
        let mut rows = rows.all(&self.0).await?;
        rows.sort_by_key(|row| users.iter().position(|user| *user == row.member.user_id));
        let items = rows.into_iter().map(MemberRow::into_member).collect::<Result<_, _>>()?;
        Ok(Page { items, total, has_more })
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> MemberRepository for SeaRepositories<C> {
    async fn list(
        &self,
        project: ProjectId,
        role: Option<Role>,
        sort: Sort<MemberSort>,
        paging: Paging,
    ) -> Result<Page<Member>, StoreError> {
        let mut matching = with_active_account(of_project(project));
        if let Some(role) = role {
            matching = matching.filter(member::Column::Role.eq(mapping::role_str(role)));
        }
        let by_time = (member::Column::JoinedAt, member::Column::UserId);
        match sort.field {
            MemberSort::JoinedAt => self.page(matching, by_time, sort.direction, paging, MemberRow::into_member).await,
            MemberSort::Name => self.list_by_name(matching, sort.direction, paging).await,
        }
    }

    async fn find(&self, project: ProjectId, user: UserId) -> Result<Option<Member>, StoreError> {
        let row =
            with_active_account(member::Entity::find_by_id((project.0, user.0))).into_model::<MemberRow>().one(&self.0);
        row.await?.map(MemberRow::into_member).transpose()
    }

    async fn find_published(&self, project: ProjectId, user: UserId) -> Result<Option<Member>, StoreError> {
        let row = with_account(member::Entity::find_by_id((project.0, user.0)))
            .filter(member::Column::Hidden.eq(false))
            .into_model::<MemberRow>()
            .one(&self.0)
            .await?;
        row.map(MemberRow::into_member).transpose()
    }

    async fn set_hidden(
        &self,
        user: UserId,
        is_hidden: bool,
        limit: u64,
    ) -> Result<Portion<(ProjectId, Member)>, StoreError> {
        let rows = with_account(member::Entity::find())
            .filter(member::Column::UserId.eq(user.0))
            .filter(member::Column::Hidden.eq(!is_hidden))
            .filter(member::Column::Role.ne(mapping::role_str(Role::Owner)))
            .order_by_asc(member::Column::ProjectId)
            .limit(limit + 1)
            .into_model::<MemberRow>()
            .all(&self.0)
            .await?;
        let (rows, has_more) = first_portion(rows, limit);
        let changed = member::Entity::update_many()
            .col_expr(member::Column::Hidden, Expr::value(is_hidden))
            .filter(member::Column::UserId.eq(user.0))
            .filter(member::Column::ProjectId.is_in(rows.iter().map(|row| row.member.project_id)))
            .exec_with_returning(&self.0)
            .await?;
        // A member may have left in the meantime.
        let changed: HashSet<Uuid> = changed.into_iter().map(|row| row.project_id).collect();
        let rows = rows.into_iter().filter(|row| changed.contains(&row.member.project_id));
        let items = rows.map(|row| Ok((ProjectId(row.member.project_id), row.into_member()?)));
        Ok(Portion { items: items.collect::<Result<_, StoreError>>()?, has_more })
    }

    async fn has_email(&self, project: ProjectId, email: &str) -> Result<bool, StoreError> {
        let found = of_project(project)
            .join(JoinType::InnerJoin, account())
            .filter(user::Column::Email.eq(email))
            .count(&self.0)
            .await?;
        Ok(found > 0)
    }

    async fn count(&self, project: ProjectId) -> Result<u64, StoreError> {
        Ok(of_project(project).count(&self.0).await?)
    }

    async fn add(&self, project: ProjectId, user: UserId, role: Role, now: Timestamp) -> Result<bool, StoreError> {
        let new = member::ActiveModel {
            project_id: Set(project.0),
            user_id: Set(user.0),
            role: Set(mapping::role_str(role).to_owned()),
            joined_at: Set(now.0),
            hidden: Set(false),
        };
        let key = OnConflict::columns([member::Column::ProjectId, member::Column::UserId]).do_nothing().to_owned();
        let inserted = member::Entity::insert(new).on_conflict(key).exec_without_returning(&self.0).await?;
        Ok(inserted == 1)
    }

    async fn set_role(&self, project: ProjectId, user: UserId, role: Role) -> Result<(), StoreError> {
        let update = member::Entity::update_many()
            .col_expr(member::Column::Role, Expr::value(mapping::role_str(role)))
            .filter(member::Column::ProjectId.eq(project.0))
            .filter(member::Column::UserId.eq(user.0));
        self.run_update(update).await
    }

    async fn remove(&self, project: ProjectId, user: UserId) -> Result<(), StoreError> {
        member::Entity::delete_by_id((project.0, user.0)).exec(&self.0).await?;
        Ok(())
    }
}
