//! Storage of single tasks.

use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::strings::{Label, OrderKey, TaskDescription, TaskTitle};
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::contract::{TaskId, UserId};
use pocket_tasks::repositories::{Store as _, StoreError};

use super::fixtures::{add_tasks, at, commit, new_project, new_task, project, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Task with a value in every field.
pub(super) fn full_task(project: &Project, assignee: UserId) -> Task {
    Task {
        title: TaskTitle::new_unchecked("Größe \"1\"; DROP TABLE tasks; --"),
        description: Some(TaskDescription::new_unchecked("Lines\n\tand 😀, 100 %")),
        status: TaskStatus::Done,
        priority: TaskPriority::Urgent,
        due_at: Some(at(-4_000_000_000_000)),
        assignee_id: Some(assignee),
        labels: ["zu Hause", "A", "a", "'x'"].map(Label::new_unchecked).into(),
        position: OrderKey::new_unchecked("aZz0"),
        completed_at: Some(at(20)),
        deleted_at: Some(at(21)),
        version: 9,
        ..new_task(project)
    }
}

on_both_databases! {
    async fn a_task_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let full = Task { created_by: Some(bob.id), ..full_task(&project, bob.id) };
        let statuses = [TaskStatus::Todo, TaskStatus::InProgress].map(|status| Task { status, ..new_task(&project) });
        let priorities = [TaskPriority::Low, TaskPriority::Medium, TaskPriority::High]
            .map(|priority| Task { priority, ..new_task(&project) });
        for task in [full].iter().chain(&statuses).chain(&priorities) {
            commit(&store, async |transaction| transaction.tasks().add(std::slice::from_ref(task)).await).await.unwrap();
            let found = store.read().tasks().find(task.id, ada.id).await.unwrap().unwrap();
            assert_eq!(&found.task, task);
            let locked = commit(&store, async |transaction| transaction.tasks().lock(task.id, ada.id).await).await;
            assert_eq!(&locked.unwrap().unwrap().task, task);
        }
    }

    async fn an_unknown_task_is_not_found(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let id = TaskId::generate();
        assert!(store.read().tasks().find(id, ada.id).await.unwrap().is_none());
        assert!(
            commit(&store, async |transaction| transaction.tasks().lock(id, ada.id).await.unwrap()).await.is_none()
        );
    }

    async fn a_task_is_found_with_its_authorization_context(database: TestDatabase) {
        let store = database.store().await;
        let [ada, editor, viewer, stranger] =
            [user(&store).await, user(&store).await, user(&store).await, user(&store).await];
        let project = project(&store, &ada).await;
        let task = new_task(&project);
        add_tasks(&store, [&task]).await;
        let mut raw = Raw::connect(&database).await;
        raw.add_member(&project, &editor, "editor").await;
        raw.add_member(&project, &viewer, "viewer").await;
        let roles = [
            (ada.id, Some(Role::Owner)),
            (editor.id, Some(Role::Editor)),
            (viewer.id, Some(Role::Viewer)),
            (stranger.id, None),
        ];
        for (archived, deleted_at) in [(false, None), (true, None), (false, Some(at(50)))] {
            let project = Project { archived, deleted_at, ..project.clone() };
            commit(&store, async |transaction| transaction.projects().update(&project).await).await.unwrap();
            for (reader, role) in roles {
                let found = store.read().tasks().find(task.id, reader).await.unwrap().unwrap();
                let locked = commit(&store, async |transaction| transaction.tasks().lock(task.id, reader).await).await;
                for task in [found, locked.unwrap().unwrap()] {
                    assert_eq!((task.role, task.project_archived), (role, archived));
                    assert_eq!(task.is_project_deleted, deleted_at.is_some());
                }
            }
        }
    }

    async fn an_update_changes_the_mutable_columns_of_one_task(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let (from, to) = (project(&store, &ada).await, new_project(&ada));
        commit(&store, async |transaction| transaction.projects().add(&to).await).await.unwrap();
        let (task, other) = (new_task(&from), new_task(&from));
        add_tasks(&store, [&task, &other]).await;
        let find = async |id| store.read().tasks().find(id, ada.id).await.unwrap().unwrap().task;

        let changed = Task { id: task.id, updated_at: at(60), ..full_task(&to, bob.id) };
        let with_fixed_parts = Task { created_by: Some(bob.id), created_at: at(61), ..changed.clone() };
        commit(&store, async |transaction| transaction.tasks().update(&with_fixed_parts).await).await.unwrap();
        assert_eq!(find(task.id).await, changed);
        assert_eq!(find(other.id).await, other);

        commit(&store, async |transaction| transaction.tasks().update(&task).await).await.unwrap();
        assert_eq!(find(task.id).await, task, "everything that can be cleared is");
    }

    async fn unassigning_a_member_affects_all_tasks_of_one_project(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob, eve) = (user(&store).await, user(&store).await, user(&store).await);
        let (here, there) = (project(&store, &ada).await, project(&store, &ada).await);
        let of_bob = Task { created_by: Some(bob.id), assignee_id: Some(bob.id), ..new_task(&here) };
        let in_trash = full_task(&here, bob.id);
        let others = [
            Task { assignee_id: Some(eve.id), created_by: Some(bob.id), ..new_task(&here) },
            new_task(&here),
            Task { assignee_id: Some(bob.id), ..new_task(&there) },
        ];
        add_tasks(&store, [&of_bob, &in_trash].into_iter().chain(&others)).await;
        for _ in 0..2 {
            commit(&store, async |transaction| transaction.tasks().unassign(here.id, bob.id, at(70), 100).await.unwrap()).await;
            let find = async |id| store.read().tasks().find(id, ada.id).await.unwrap().unwrap().task;
            for task in [&of_bob, &in_trash] {
                let version = task.version + 1;
                let expected = Task { assignee_id: None, version, updated_at: at(70), ..task.clone() };
                assert_eq!(find(task.id).await, expected);
            }
            for task in &others {
                assert_eq!(&find(task.id).await, task);
            }
        }
    }

    async fn a_task_requires_an_existing_project_and_users(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let homeless = new_task(&new_project(&ada));
        let assigned = Task { assignee_id: Some(UserId::generate()), ..new_task(&project) };
        let by_unknown_user = Task { created_by: Some(UserId::generate()), ..new_task(&project) };
        for task in [homeless, assigned, by_unknown_user] {
            let transaction = store.begin().await.unwrap();
            let added = transaction.tasks().add(std::slice::from_ref(&task)).await;
            assert!(matches!(added, Err(StoreError::Internal(_))), "{added:?}");
        }
    }
}
