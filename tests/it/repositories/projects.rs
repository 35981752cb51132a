//! Storage of projects.

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::Paging;
use pocket_tasks::contract::project::{Project, ProjectSort, Role, TaskCounts};
use pocket_tasks::contract::strings::{Color, ProjectDescription, ProjectName};
use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{ProjectFilter, Store as _};

use super::fixtures::{all, asc, at, commit, desc, new_project, project, task_counts, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

async fn add(store: &SeaStore, projects: &[Project]) {
    commit(store, async |transaction| {
        for project in projects {
            transaction.projects().add(project).await.unwrap();
        }
    })
    .await;
}

/// Ids of all projects that match the filter, oldest first.
async fn ids(store: &SeaStore, reader: &User, filter: &ProjectFilter) -> Vec<ProjectId> {
    let page = store.read().projects().list(reader.id, filter, asc(ProjectSort::CreatedAt), all()).await.unwrap();
    assert_eq!(page.total.count, page.items.len() as u64);
    page.items.iter().map(|project| project.id).collect()
}

on_both_databases! {
    async fn a_project_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let bare = Project { description: None, color: None, archived: true, ..new_project(&ada) };
        let deleted = Project {
            deleted_at: Some(at(40)),
            task_counts: TaskCounts { total: 3, done: 2 },
            completion_percentage: 66,
            version: 7,
            ..new_project(&ada)
        };
        for project in [new_project(&ada), bare, deleted] {
            add(&store, std::slice::from_ref(&project)).await;
            let as_owner = Project { role: Some(Role::Owner), ..project.clone() };
            assert_eq!(store.read().projects().find(project.id, ada.id).await.unwrap().as_ref(), Some(&as_owner));
            let locked = commit(&store, async |transaction| transaction.projects().lock(project.id, ada.id).await);
            let locked = locked.await.unwrap().unwrap();
            assert_eq!((&locked.project, locked.last_position.as_str()), (&as_owner, ""));
        }
    }

    async fn an_unknown_project_is_not_found(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let id = ProjectId::generate();
        assert_eq!(store.read().projects().find(id, ada.id).await.unwrap(), None);
        assert!(
            commit(&store, async |transaction| transaction.projects().lock(id, ada.id).await.unwrap()).await.is_none()
        );
    }

    async fn the_role_of_a_project_is_the_readers(database: TestDatabase) {
        let store = database.store().await;
        let [ada, editor, viewer, stranger] =
            [user(&store).await, user(&store).await, user(&store).await, user(&store).await];
        let project = project(&store, &ada).await;
        let mut raw = Raw::connect(&database).await;
        raw.add_member(&project, &editor, "editor").await;
        raw.add_member(&project, &viewer, "viewer").await;
        for (reader, role) in [
            (ada.id, Some(Role::Owner)),
            (editor.id, Some(Role::Editor)),
            (viewer.id, Some(Role::Viewer)),
            (stranger.id, None),
            (UserId::generate(), None),
        ] {
            let projects = store.read().projects();
            assert_eq!(projects.find_role(project.id, reader).await.unwrap(), role);
            assert_eq!(projects.find(project.id, reader).await.unwrap().unwrap().role, role);
            let locked = commit(&store, async |transaction| transaction.projects().lock(project.id, reader).await);
            assert_eq!(locked.await.unwrap().unwrap().project.role, role);
            let listed = ids(&store, &User { id: reader, ..ada.clone() }, &ProjectFilter::default()).await;
            assert_eq!(listed.len(), usize::from(role.is_some()));
        }
    }

    async fn an_update_changes_one_project_except_its_counters(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let (project, other) = (project(&store, &ada).await, project(&store, &ada).await);
        let changed = Project {
            name: ProjectName::new_unchecked("Bad"),
            description: None,
            color: None,
            archived: true,
            owner_id: bob.id,
            role: Some(Role::Owner),
            deleted_at: Some(at(41)),
            version: 2,
            updated_at: at(42),
            ..project.clone()
        };
        let with_fixed_parts =
            Project { created_at: at(43), task_counts: TaskCounts { total: 9, done: 9 }, ..changed.clone() };
        commit(&store, async |transaction| transaction.projects().update(&with_fixed_parts).await).await.unwrap();
        assert_eq!(store.read().projects().find(project.id, ada.id).await.unwrap(), Some(changed.clone()));
        let unchanged = store.read().projects().find(other.id, ada.id).await.unwrap();
        assert_eq!(unchanged, Some(Project { role: Some(Role::Owner), ..other }));

        let back = Project {
            description: Some(ProjectDescription::new_unchecked("")),
            color: Some(Color::new_unchecked("#000000")),
            archived: false,
            deleted_at: None,
            ..changed
        };
        commit(&store, async |transaction| transaction.projects().update(&back).await).await.unwrap();
        assert_eq!(store.read().projects().find(project.id, ada.id).await.unwrap(), Some(back));
        let filter = ProjectFilter { terms: vec!["bad".to_owned()], ..ProjectFilter::default() };
        assert_eq!(ids(&store, &ada, &filter).await, [project.id], "the search text follows the name");
        let filter = ProjectFilter { terms: vec!["küche".to_owned()], ..ProjectFilter::default() };
        assert_eq!(ids(&store, &ada, &filter).await, [other.id], "the previous name no longer matches");
    }

    async fn counters_are_incremented_and_the_position_changes_only_if_given(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let (project, other) = (project(&store, &ada).await, project(&store, &ada).await);
        for (total, done, position, expected) in
            [(2, 1, Some("a1"), (2, 1, "a1")), (0, 1, None, (2, 2, "a1")), (-1, -2, Some("Zz"), (1, 0, "Zz"))]
        {
            commit(&store, async |transaction| {
                transaction.projects().adjust_counters(project.id, task_counts(total, done), position).await.unwrap();
            })
            .await;
            let locked = commit(&store, async |transaction| transaction.projects().lock(project.id, ada.id).await);
            let locked = locked.await.unwrap().unwrap();
            let counts = locked.project.task_counts;
            assert_eq!((counts.total, counts.done, locked.last_position.as_str()), expected);
            assert_eq!((locked.project.version, locked.project.updated_at), (project.version, project.updated_at));
        }
        let other = store.read().projects().find(other.id, ada.id).await.unwrap().unwrap();
        assert_eq!(other.task_counts, TaskCounts { total: 0, done: 0 });
    }

    async fn projects_are_filtered(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let plain = Project { created_at: at(1), ..new_project(&ada) };
        let archived = Project { created_at: at(2), archived: true, ..new_project(&ada) };
        let deleted = Project { created_at: at(3), deleted_at: Some(at(100)), ..new_project(&ada) };
        let bobs = Project { created_at: at(4), ..new_project(&bob) };
        add(&store, &[plain.clone(), archived.clone(), deleted.clone(), bobs.clone()]).await;
        Raw::connect(&database).await.add_member(&bobs, &ada, "viewer").await;
        let none = ProjectFilter::default();
        for (filter, expected) in [
            (none.clone(), vec![plain.id, archived.id, bobs.id]),
            (ProjectFilter { archived: Some(true), ..none.clone() }, vec![archived.id]),
            (ProjectFilter { archived: Some(false), ..none.clone() }, vec![plain.id, bobs.id]),
            (ProjectFilter { role: Some(Role::Viewer), ..none.clone() }, vec![bobs.id]),
            (ProjectFilter { role: Some(Role::Owner), ..none.clone() }, vec![plain.id, archived.id]),
            (ProjectFilter { role: Some(Role::Editor), ..none.clone() }, vec![]),
            (ProjectFilter { deleted_since: Some(at(99)), ..none.clone() }, vec![deleted.id]),
            (ProjectFilter { deleted_since: Some(at(100)), ..none.clone() }, vec![]),
            (ProjectFilter { archived: Some(false), role: Some(Role::Owner), ..none }, vec![plain.id]),
        ] {
            assert_eq!(ids(&store, &ada, &filter).await, expected, "{filter:?}");
        }
    }

    async fn search_words_match_anywhere_and_literally(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let named = |name: &str, description: Option<&str>, time| Project {
            name: ProjectName::new_unchecked(name),
            description: description.map(ProjectDescription::new_unchecked),
            created_at: at(time),
            ..new_project(&ada)
        };
        let projects = [
            named("Küche 100%", Some("Fliesen\nund LAMPEN"), 1),
            named("100 Dinge", None, 2),
            named(r"a_b\c", Some("ΟΔΟΣ"), 3),
            named("aXbc", None, 4),
        ];
        add(&store, &projects).await;
        for (words, expected) in [
            (vec!["KÜCHE"], vec![0]),
            (vec!["100"], vec![0, 1]),
            (vec!["100%"], vec![0]),
            (vec!["%"], vec![0]),
            (vec!["_"], vec![2]),
            (vec!["a_b"], vec![2]),
            (vec![r"\"], vec![2]),
            (vec![r"b\c"], vec![2]),
            (vec!["οδος"], vec![2]),
            (vec!["lampen", "küche", "iesen"], vec![0]),
            (vec!["lampen", "dinge"], vec![]),
            (vec!["'"], vec![]),
        ] {
            let filter =
                ProjectFilter { terms: words.iter().map(ToString::to_string).collect(), ..ProjectFilter::default() };
            let expected: Vec<_> = expected.into_iter().map(|number: usize| projects[number].id).collect();
            assert_eq!(ids(&store, &ada, &filter).await, expected, "{words:?}");
        }
    }

    async fn projects_are_sorted_in_both_directions_with_ties_by_id(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let projects: Vec<_> = [("b", 2, 9), ("Ä", 1, 9), ("a", 2, 8), ("A", 1, 7), ("Z-1", 3, 7), ("Z 2", 3, 7)]
            .map(|(name, created, updated)| Project {
                name: ProjectName::new_unchecked(name),
                created_at: at(created),
                updated_at: at(updated),
                ..new_project(&ada)
            })
            .into();
        add(&store, &projects).await;
        for (field, ascending) in [
            (ProjectSort::CreatedAt, [1, 3, 0, 2, 4, 5]),
            (ProjectSort::UpdatedAt, [3, 4, 5, 2, 0, 1]),
            // Case-insensitively, then byte by byte, independent of the server's locale.
            (ProjectSort::Name, [2, 3, 0, 5, 4, 1]),
        ] {
            let expected: Vec<_> = ascending.iter().map(|number: &usize| projects[*number].id).collect();
            let mut found = Vec::new();
            for page in 1..=3 {
                let paging = Paging { limit: 2, page: Some(page), offset: None };
                let page =
                    store.read().projects().list(ada.id, &ProjectFilter::default(), asc(field), paging).await.unwrap();
                assert_eq!(page.total.count, 6);
                found.extend(page.items.iter().map(|project| project.id));
            }
            assert_eq!(found, expected, "{field:?}");
            let page =
                store.read().projects().list(ada.id, &ProjectFilter::default(), desc(field), all()).await.unwrap();
            let found: Vec<_> = page.items.iter().rev().map(|project| project.id).collect();
            assert_eq!(found, expected, "{field:?}, descending");
        }
        let paging = Paging { limit: 20, page: Some(2), offset: None };
        let filter = ProjectFilter::default();
        let page = store.read().projects().list(ada.id, &filter, asc(ProjectSort::Name), paging).await.unwrap();
        assert_eq!((page.items.len(), page.total.count), (0, 6), "past the end");
    }
}
