//! Comments on tasks.

use async_trait::async_trait;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait as _, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect, QueryTrait as _,
};
use uuid::Uuid;

use super::entities::comment::{self, ActiveModel, Column, Entity, Model};
use super::entities::{member, project, task};
use super::relations::{membership_of_task, project_of_task, task_of_comment};
use super::repositories::SeaRepositories;
use super::{mapping, stored_bytes};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::strings::CommentBody;
use crate::contract::task::comment::{Comment, CommentSort};
use crate::contract::{CommentId, ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{CommentRepository, CommentWithContext, StoreError};

#[derive(FromQueryResult)]
struct CommentRow {
    #[sea_orm(nested)]
    comment: comment::Model,
    project_id: Uuid,
    project_owner_id: Uuid,
    task_deleted_at: Option<i64>,
    project_deleted_at: Option<i64>,
    project_archived: bool,
    member_role: Option<String>,
}

impl CommentRow {
    fn into_comment(self) -> Result<CommentWithContext, StoreError> {
        Ok(CommentWithContext {
            comment: comment(self.comment),
            project_id: ProjectId(self.project_id),
            project_owner: UserId(self.project_owner_id),
            role: mapping::optional_role(self.member_role.as_deref())?,
            project_archived: self.project_archived,
            is_in_trash: self.task_deleted_at.is_some() || self.project_deleted_at.is_some(),
        })
    }
}

pub(super) fn comment(row: Model) -> Comment {
    Comment {
        id: CommentId(row.id),
        task_id: TaskId(row.task_id),
        author_id: row.author_id.map(UserId),
        body: CommentBody::new_unchecked(row.body),
        version: row.version,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    }
}

fn comment_row(comment: &Comment) -> ActiveModel {
    ActiveModel {
        id: Set(comment.id.0),
        task_id: Set(comment.task_id.0),
        author_id: Set(comment.author_id.map(|user| user.0)),
        body: Set(comment.body.to_string()),
        version: Set(comment.version),
        created_at: Set(comment.created_at.0),
        updated_at: Set(comment.updated_at.0),
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> CommentRepository for SeaRepositories<C> {
    async fn find(&self, id: CommentId, reader: UserId) -> Result<Option<CommentWithContext>, StoreError> {
        let row = Entity::find_by_id(id.0)
            .join(JoinType::InnerJoin, task_of_comment())
            .join(JoinType::InnerJoin, project_of_task())
            .join(JoinType::LeftJoin, membership_of_task(reader))
            .column_as(task::Column::ProjectId, "project_id")
            .column_as(project::Column::OwnerId, "project_owner_id")
            .column_as(task::Column::DeletedAt, "task_deleted_at")
            .column_as(project::Column::DeletedAt, "project_deleted_at")
            .column_as(project::Column::Archived, "project_archived")
            .column_as(member::Column::Role, "member_role")
            .into_model::<CommentRow>()
            .one(&self.0)
            .await?;
        row.map(CommentRow::into_comment).transpose()
    }

    async fn list(&self, task: TaskId, sort: Sort<CommentSort>, paging: Paging) -> Result<Page<Comment>, StoreError> {
        let column = match sort.field {
            CommentSort::CreatedAt => Column::CreatedAt,
        };
        let matching = Entity::find().filter(Column::TaskId.eq(task.0));
        self.page(matching, (column, Column::Id), sort.direction, paging, |row| Ok(comment(row))).await
    }

    async fn count(&self, task: TaskId, limit: u64) -> Result<u64, StoreError> {
        let first = Entity::find().select_only().column(Column::Id).filter(Column::TaskId.eq(task.0)).limit(limit);
        let count = Query::select().expr(Expr::col(Asterisk).count()).from_subquery(first.into_query(), "first").take();
        let row = self.0.query_one(&count).await?;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn stored_bytes(&self, task: TaskId) -> Result<i64, StoreError> {
        let sum = Entity::find()
            .select_only()
            .expr_as(stored_bytes::of_comment().sum().cast_as("bigint"), "bytes")
            .filter(Column::TaskId.eq(task.0));
        Ok(sum.into_tuple::<Option<i64>>().one(&self.0).await?.flatten().unwrap_or_default())
    }

    async fn add(&self, comment: &Comment) -> Result<(), StoreError> {
        self.insert_row(comment_row(comment)).await
    }

    async fn update(&self, comment: &Comment) -> Result<(), StoreError> {
        let mutable = comment_row(comment);
        let changes = ActiveModel { id: NotSet, task_id: NotSet, author_id: NotSet, created_at: NotSet, ..mutable };
        self.run_update(Entity::update_many().set(changes).filter(Column::Id.eq(comment.id.0))).await
    }

    async fn remove(&self, id: CommentId) -> Result<(), StoreError> {
        Entity::delete_by_id(id.0).exec(&self.0).await?;
        Ok(())
    }
}
