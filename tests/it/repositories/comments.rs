//! Storage of comments.

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::Paging;
use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::strings::CommentBody;
use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::task::comment::{Comment, CommentSort};
use pocket_tasks::contract::{CommentId, TaskId, UserId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Store as _, StoreError};

use super::fixtures::{add_tasks, all, asc, at, commit, desc, new_project, new_task, project, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// New comment, not stored.
pub(super) fn new_comment(task: &Task, author: &User) -> Comment {
    Comment {
        id: CommentId::generate(),
        task_id: task.id,
        author_id: Some(author.id),
        body: CommentBody::new_unchecked(" Größe \"1\"?\n\t'; DROP TABLE comments; -- 😀\n"),
        version: 1,
        created_at: at(7),
        updated_at: at(8),
    }
}

/// Stores comments.
pub(super) async fn add_comments(store: &SeaStore, comments: &[Comment]) {
    commit(store, async |transaction| {
        for comment in comments {
            transaction.comments().add(comment).await.unwrap();
        }
    })
    .await;
}

/// Stored user, project and task.
async fn world(store: &SeaStore) -> (User, Project, Task) {
    let ada = user(store).await;
    let project = project(store, &ada).await;
    let task = new_task(&project);
    add_tasks(store, [&task]).await;
    (ada, project, task)
}

on_both_databases! {
    async fn a_comment_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let (ada, project, task) = world(&store).await;
        let without_author = Comment { author_id: None, version: 9, ..new_comment(&task, &ada) };
        let longest = Comment { body: CommentBody::new_unchecked("😀".repeat(10_000)), ..new_comment(&task, &ada) };
        let comments = [new_comment(&task, &ada), without_author, longest];
        add_comments(&store, &comments).await;
        for comment in comments {
            let found = store.read().comments().find(comment.id, ada.id).await.unwrap().unwrap();
            assert_eq!((found.comment, found.project_id), (comment, project.id));
        }
        assert!(store.read().comments().find(CommentId::generate(), ada.id).await.unwrap().is_none());
    }

    async fn a_comment_is_found_with_its_authorization_context(database: TestDatabase) {
        let store = database.store().await;
        let (ada, project, task) = world(&store).await;
        let [editor, viewer, stranger] = [user(&store).await, user(&store).await, user(&store).await];
        let comment = new_comment(&task, &ada);
        add_comments(&store, std::slice::from_ref(&comment)).await;
        let mut raw = Raw::connect(&database).await;
        raw.add_member(&project, &editor, "editor").await;
        raw.add_member(&project, &viewer, "viewer").await;
        for (archived, project_deleted, task_deleted) in
            [(false, None, None), (true, None, None), (false, Some(at(50)), None), (false, None, Some(at(51)))]
        {
            let project = Project { archived, deleted_at: project_deleted, ..project.clone() };
            let task = Task { deleted_at: task_deleted, ..task.clone() };
            commit(&store, async |transaction| {
                transaction.projects().update(&project).await.unwrap();
                transaction.tasks().update(&task).await.unwrap();
            })
            .await;
            for (reader, role) in [
                (&ada, Some(Role::Owner)),
                (&editor, Some(Role::Editor)),
                (&viewer, Some(Role::Viewer)),
                (&stranger, None),
            ] {
                let found = store.read().comments().find(comment.id, reader.id).await.unwrap().unwrap();
                let in_trash = project_deleted.is_some() || task_deleted.is_some();
                assert_eq!((found.role, found.project_archived, found.is_in_trash), (role, archived, in_trash));
            }
        }
    }

    async fn a_comment_follows_its_task(database: TestDatabase) {
        let store = database.store().await;
        let (ada, _, task) = world(&store).await;
        let bob = user(&store).await;
        let other = Project { archived: true, ..new_project(&bob) };
        let comment = new_comment(&task, &ada);
        add_comments(&store, std::slice::from_ref(&comment)).await;
        commit(&store, async |transaction| {
            transaction.projects().add(&other).await.unwrap();
            transaction.tasks().update(&Task { project_id: other.id, ..task.clone() }).await.unwrap();
        })
        .await;
        for (reader, role) in [(&ada, None), (&bob, Some(Role::Owner))] {
            let found = store.read().comments().find(comment.id, reader.id).await.unwrap().unwrap();
            assert_eq!((found.project_id, found.role, found.project_archived), (other.id, role, true));
        }
    }

    async fn an_update_changes_the_mutable_columns_of_one_comment(database: TestDatabase) {
        let store = database.store().await;
        let (ada, project, task) = world(&store).await;
        let (bob, elsewhere) = (user(&store).await, new_task(&project));
        add_tasks(&store, [&elsewhere]).await;
        let (comment, other) = (new_comment(&task, &ada), new_comment(&task, &ada));
        add_comments(&store, &[comment.clone(), other.clone()]).await;
        let find = async |id| store.read().comments().find(id, ada.id).await.unwrap().map(|found| found.comment);

        let body = CommentBody::new_unchecked("Another");
        let changed = Comment { body, version: 2, updated_at: at(60), ..comment.clone() };
        let with_fixed_parts = Comment {
            task_id: elsewhere.id,
            author_id: Some(bob.id),
            created_at: at(61),
            ..changed.clone()
        };
        commit(&store, async |transaction| transaction.comments().update(&with_fixed_parts).await.unwrap()).await;
        assert_eq!(find(comment.id).await, Some(changed));
        assert_eq!(find(other.id).await, Some(other.clone()));

        commit(&store, async |transaction| transaction.comments().remove(comment.id).await.unwrap()).await;
        assert_eq!((find(comment.id).await, find(other.id).await), (None, Some(other)));
        // A removed comment stays removed.
        commit(&store, async |transaction| {
            transaction.comments().update(&with_fixed_parts).await.unwrap();
            transaction.comments().remove(comment.id).await.unwrap();
        })
        .await;
        assert_eq!(find(comment.id).await, None);
    }

    async fn comments_are_sorted_by_time_with_ties_by_id(database: TestDatabase) {
        let store = database.store().await;
        let (ada, project, task) = world(&store).await;
        let (other, empty) = (new_task(&project), new_task(&project));
        add_tasks(&store, [&other, &empty]).await;
        add_comments(&store, &[new_comment(&other, &ada)]).await;
        let mut comments: Vec<Comment> =
            (0..9).map(|number| Comment { created_at: at(20 - number / 3), ..new_comment(&task, &ada) }).collect();
        add_comments(&store, &comments).await;
        comments.sort_by_key(|comment| (comment.created_at, comment.id.0));
        let list = async |task: TaskId, sort, limit, offset| {
            let paging = Paging { limit, page: None, offset: Some(offset) };
            store.read().comments().list(task, sort, paging).await.unwrap()
        };
        for offset in 0..10 {
            let page = list(task.id, asc(CommentSort::CreatedAt), 4, offset).await;
            let from = usize::try_from(offset).unwrap();
            assert_eq!((page.items.as_slice(), page.total.count), (&comments[from..9.min(from + 4).max(from)], 9));
        }
        comments.reverse();
        let page = store.read().comments().list(task.id, desc(CommentSort::CreatedAt), all()).await.unwrap();
        assert_eq!((page.items, page.total.count), (comments, 9));
        let page = list(empty.id, asc(CommentSort::CreatedAt), 9, 0).await;
        assert_eq!((page.items, page.total.count), (Vec::new(), 0));
    }

    async fn a_comment_requires_an_existing_task_and_author(database: TestDatabase) {
        let store = database.store().await;
        let (ada, _, task) = world(&store).await;
        let homeless = Comment { task_id: TaskId::generate(), ..new_comment(&task, &ada) };
        let unknown = Comment { author_id: Some(UserId::generate()), ..new_comment(&task, &ada) };
        for comment in [homeless, unknown] {
            let transaction = store.begin().await.unwrap();
            let added = transaction.comments().add(&comment).await;
            assert!(matches!(added, Err(StoreError::Internal(_))), "{added:?}");
        }
    }
}
