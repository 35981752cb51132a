//! Invitations into projects.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait as _, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, RelationDef, Select, UpdateMany,
};

use super::entities::invitation::{self, Column, Entity};
use super::entities::project;
use super::mapping;
use super::repositories::SeaRepositories;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::invitation::{Invitation, InvitationSort, InvitationStatus};
use crate::contract::strings::{Email, ProjectName};
use crate::contract::{InvitationId, ProjectId, Timestamp, UserId};
use crate::repositories::{InvitationRepository, InvitationScope, StoreError};

#[derive(FromQueryResult)]
struct InvitationRow {
    #[sea_orm(nested)]
    invitation: invitation::Model,
    project_name: String,
}

impl InvitationRow {
    fn into_invitation(self, now: Timestamp) -> Result<Invitation, StoreError> {
        let row = self.invitation;
        let status = match mapping::invitation_status(&row.status)? {
            InvitationStatus::Pending if row.expires_at <= now.0 => InvitationStatus::Expired,
            status => status,
        };
        Ok(Invitation {
            id: InvitationId(row.id),
            project_id: ProjectId(row.project_id),
            project_name: ProjectName::new_unchecked(row.resolved_project_name.unwrap_or(self.project_name)),
            email: Email::new_unchecked(row.email),
            role: mapping::invited_role(&row.role)?,
            status,
            invited_by: row.invited_by.map(UserId),
            expires_at: Timestamp(row.expires_at),
            created_at: Timestamp(row.created_at),
        })
    }
}

fn project_of_invitation() -> RelationDef {
    Entity::belongs_to(project::Entity).from(Column::ProjectId).to(project::Column::Id).into()
}

/// Restricts invitations to projects that are not soft-deleted.
fn not_deleted(invitations: Select<Entity>) -> Select<Entity> {
    invitations.join(JoinType::InnerJoin, project_of_invitation()).filter(project::Column::DeletedAt.is_null())
}

/// Condition that an invitation has a status at a time.
fn has_status(status: InvitationStatus, now: Timestamp) -> Condition {
    let stored = Column::Status.eq(mapping::invitation_status_str(status));
    match status {
        InvitationStatus::Pending => Condition::all().add(stored).add(Column::ExpiresAt.gt(now.0)),
        InvitationStatus::Expired => Condition::any().add(stored).add(is_expired(now)),
        _ => Condition::all().add(stored),
    }
}

/// Condition that an invitation has expired, and is still stored as pending.
fn is_expired(now: Timestamp) -> Condition {
    let pending = mapping::invitation_status_str(InvitationStatus::Pending);
    Condition::all().add(Column::Status.eq(pending)).add(Column::ExpiresAt.lte(now.0))
}

/// Statement that sets the status and the project name of invitations.
fn set_status_stmt(which: Condition, status: InvitationStatus) -> UpdateMany<Entity> {
    let name = project::Entity::find()
        .select_only()
        .column(project::Column::Name)
        .filter(Expr::col((project::Entity, project::Column::Id)).equals((Entity, Column::ProjectId)))
        .into_query();
    Entity::update_many()
        .col_expr(Column::ResolvedProjectName, Expr::SubQuery(None, Box::new(name.into())))
        .col_expr(Column::Status, Expr::value(mapping::invitation_status_str(status)))
        .filter(which)
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    async fn set_status(&self, which: Condition, status: InvitationStatus) -> Result<u64, StoreError> {
        Ok(set_status_stmt(which, status).exec(&self.0).await?.rows_affected)
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> InvitationRepository for SeaRepositories<C> {
    async fn find(&self, id: InvitationId, now: Timestamp) -> Result<Option<Invitation>, StoreError> {
        let found = not_deleted(Entity::find_by_id(id.0)).column_as(project::Column::Name, "project_name");
        let row = found.into_model::<InvitationRow>().one(&self.0).await?;
        row.map(|row| row.into_invitation(now)).transpose()
    }

    async fn list(
        &self,
        scope: InvitationScope<'_>,
        status: Option<InvitationStatus>,
        now: Timestamp,
        sort: Sort<InvitationSort>,
        paging: Paging,
    ) -> Result<Page<Invitation>, StoreError> {
        let conditions = Condition::all()
            .add(match scope {
                InvitationScope::Project(project) => Column::ProjectId.eq(project.0),
                InvitationScope::Email(email) => Column::Email.eq(email),
            })
            .add_option(status.map(|status| has_status(status, now)));
        let matching = not_deleted(Entity::find()).filter(conditions);
        let column = match sort.field {
            InvitationSort::CreatedAt => Column::CreatedAt,
        };
        let matching = matching.column_as(project::Column::Name, "project_name");
        let decode = |row: InvitationRow| row.into_invitation(now);
        self.page(matching, (column, Column::Id), sort.direction, paging, decode).await
    }

    async fn count_pending(&self, project: ProjectId, now: Timestamp) -> Result<u64, StoreError> {
        let pending = has_status(InvitationStatus::Pending, now);
        Ok(Entity::find().filter(Column::ProjectId.eq(project.0)).filter(pending).count(&self.0).await?)
    }

    async fn add(&self, invitation: &Invitation) -> Result<bool, StoreError> {
        let same = Condition::all()
            .add(Column::ProjectId.eq(invitation.project_id.0))
            .add(Column::Email.eq(&*invitation.email))
            .add(is_expired(invitation.created_at));
        self.set_status(same, InvitationStatus::Expired).await?;
        let new = invitation::ActiveModel {
            id: Set(invitation.id.0),
            project_id: Set(invitation.project_id.0),
            email: Set(invitation.email.to_string()),
            role: Set(mapping::invited_role_str(invitation.role).to_owned()),
            status: Set(mapping::invitation_status_str(invitation.status).to_owned()),
            invited_by: Set(invitation.invited_by.map(|user| user.0)),
            resolved_project_name: Set(None),
            expires_at: Set(invitation.expires_at.0),
            created_at: Set(invitation.created_at.0),
        };
        let inserted = Entity::insert(new).on_conflict(OnConflict::new().do_nothing().to_owned());
        Ok(inserted.exec_without_returning(&self.0).await? == 1)
    }

    async fn resolve(&self, id: InvitationId, status: InvitationStatus, now: Timestamp) -> Result<bool, StoreError> {
        let pending = Condition::all().add(Column::Id.eq(id.0)).add(has_status(InvitationStatus::Pending, now));
        Ok(self.set_status(pending, status).await? == 1)
    }

    async fn revoke_sent(&self, inviter: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        let sent =
            Condition::all().add(Column::InvitedBy.eq(inviter.0)).add(has_status(InvitationStatus::Pending, now));
        let mut rows = set_status_stmt(sent, InvitationStatus::Revoked).exec_with_returning(&self.0).await?;
        rows.sort_unstable_by_key(|row| row.id);
        let revoked = rows.into_iter().map(|invitation| {
            let project_name = invitation.resolved_project_name.clone().unwrap_or_default();
            InvitationRow { invitation, project_name }.into_invitation(now)
        });
        revoked.collect()
    }

    async fn expire(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let mut expired = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(is_expired(now))
            .order_by_asc(Column::ExpiresAt)
            .limit(limit);
        // Locked invitations are being answered or replaced; there is no need to wait.
        QueryTrait::query(&mut expired).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let which = Condition::all().add(Column::Id.in_subquery(expired.into_query()));
        self.set_status(which, InvitationStatus::Expired).await
    }
}
