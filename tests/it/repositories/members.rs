//! Storage of project members.

use futures_util::future::join_all;
use pocket_tasks::contract::UserId;
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::Paging;
use pocket_tasks::contract::project::member::{Member, MemberSort};
use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::strings::PersonName;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::Store as _;

use super::fixtures::{all, asc, at, commit, desc, new_project, new_user, project, soon, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

async fn add(store: &SeaStore, project: &Project, user: &User, role: Role, millis: i64) -> bool {
    commit(store, async |transaction| transaction.members().add(project.id, user.id, role, at(millis)).await.unwrap())
        .await
}

/// Stored user with this name.
async fn named(store: &SeaStore, name: &str) -> User {
    let user = User { name: PersonName::new_unchecked(name), ..new_user() };
    assert!(commit(store, async |transaction| transaction.users().add(&user, "a hash").await.unwrap()).await);
    user
}

fn as_member(user: &User, role: Role, millis: i64) -> Member {
    Member { user_id: user.id, name: user.name.clone(), email: user.email.clone(), role, joined_at: at(millis) }
}

async fn set_deleted(store: &SeaStore, user: &User, is_deleted: bool) {
    let deleted_at = is_deleted.then_some(at(50));
    commit(store, async |transaction| transaction.users().set_deleted(user.id, deleted_at, at(50)).await.unwrap())
        .await;
}

/// Role of a user in a project, including deleted users.
async fn role(store: &SeaStore, project: &Project, user: &User) -> Option<Role> {
    store.read().projects().find_role(project.id, user.id).await.unwrap()
}

on_both_databases! {
    async fn a_member_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob, stranger) = (user(&store).await, user(&store).await, user(&store).await);
        let (project, other) = (project(&store, &ada).await, project(&store, &ada).await);
        for (role, changed) in [(Role::Editor, Role::Viewer), (Role::Viewer, Role::Editor)] {
            assert!(add(&store, &project, &bob, role, 20).await);
            let members = store.read().members();
            assert_eq!(members.find(project.id, bob.id).await.unwrap(), Some(as_member(&bob, role, 20)));
            // A member can be added once, in any role.
            assert!(!add(&store, &project, &bob, changed, 21).await);
            assert_eq!(members.find(project.id, bob.id).await.unwrap(), Some(as_member(&bob, role, 20)));
            for (project, user) in [(&project, stranger.id), (&other, bob.id), (&project, UserId::generate())] {
                assert_eq!(members.find(project.id, user).await.unwrap(), None);
            }
            commit(&store, async |transaction| {
                transaction.members().set_role(project.id, bob.id, changed).await.unwrap();
            })
            .await;
            assert_eq!(members.find(project.id, bob.id).await.unwrap(), Some(as_member(&bob, changed, 20)));
            commit(&store, async |transaction| transaction.members().remove(project.id, bob.id).await.unwrap()).await;
            assert_eq!(members.find(project.id, bob.id).await.unwrap(), None);
        }
        assert_eq!(store.read().members().find(project.id, ada.id).await.unwrap().unwrap().role, Role::Owner);
    }

    async fn a_role_change_affects_one_member_of_one_project(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob, eve) = (user(&store).await, user(&store).await, user(&store).await);
        let (here, there) = (project(&store, &ada).await, project(&store, &ada).await);
        for (project, user) in [(&here, &bob), (&here, &eve), (&there, &bob)] {
            add(&store, project, user, Role::Editor, 20).await;
        }
        let roles = async || {
            let mut roles = Vec::new();
            for (project, user) in [(&here, &ada), (&here, &bob), (&here, &eve), (&there, &bob)] {
                roles.push(role(&store, project, user).await);
            }
            roles
        };
        commit(&store, async |transaction| {
            transaction.members().set_role(here.id, bob.id, Role::Viewer).await.unwrap();
        })
        .await;
        let (owner, editor) = (Some(Role::Owner), Some(Role::Editor));
        assert_eq!(roles().await, [owner, Some(Role::Viewer), editor, editor]);
        commit(&store, async |transaction| transaction.members().remove(here.id, bob.id).await.unwrap()).await;
        assert_eq!(roles().await, [owner, None, editor, editor]);
    }

    async fn a_deleted_member_is_counted_but_neither_listed_nor_found(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        add(&store, &project, &bob, Role::Editor, 20).await;
        for is_deleted in [false, true, false] {
            set_deleted(&store, &bob, is_deleted).await;
            let members = store.read().members();
            let list = members.list(project.id, None, asc(MemberSort::JoinedAt), all()).await.unwrap();
            let present = if is_deleted { 1 } else { 2 };
            assert_eq!((list.total.count, list.items.len()), (present, usize::try_from(present).unwrap()));
            let editors = members.list(project.id, Some(Role::Editor), asc(MemberSort::Name), all()).await.unwrap();
            assert_eq!(editors.total.count, present - 1);
            assert_eq!(members.find(project.id, bob.id).await.unwrap().is_some(), !is_deleted);
            assert_eq!(members.count(project.id).await.unwrap(), 2);
            assert!(members.has_email(project.id, &bob.email).await.unwrap());
        }
    }

    async fn membership_is_checked_by_email_address(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let (here, there) = (project(&store, &ada).await, project(&store, &ada).await);
        add(&store, &there, &bob, Role::Viewer, 20).await;
        let members = store.read().members();
        for (project, email, expected) in [
            (&here, &*ada.email, true),
            (&here, &*bob.email, false),
            (&there, &*bob.email, true),
            (&there, "nobody@example.com", false),
        ] {
            assert_eq!(members.has_email(project.id, email).await.unwrap(), expected, "{email}");
        }
        assert_eq!((members.count(here.id).await.unwrap(), members.count(there.id).await.unwrap()), (1, 2));
        assert_eq!(members.count(new_project(&ada).id).await.unwrap(), 0);
    }

    async fn members_are_sorted_by_case_insensitive_name_with_ties_by_id(database: TestDatabase) {
        let store = database.store().await;
        let owner = named(&store, "Émile").await;
        let project = project(&store, &owner).await;
        let mut expected = vec![(owner.clone(), Role::Owner, 3)];
        for (name, role, millis) in
            [("zoë", Role::Viewer, 9), ("adam", Role::Editor, 8), ("Adam", Role::Viewer, 9), ("ÉMILE", Role::Editor, 1)]
        {
            let user = named(&store, name).await;
            add(&store, &project, &user, role, millis).await;
            expected.push((user, role, millis));
        }
        let names = async |role, sort, paging| {
            let page = store.read().members().list(project.id, role, sort, paging).await.unwrap();
            (page.items.iter().map(|member| member.name.to_string()).collect::<Vec<_>>(), page.total.count)
        };
        let by_name = ["adam", "Adam", "zoë", "Émile", "ÉMILE"];
        let (found, total) = names(None, asc(MemberSort::Name), all()).await;
        assert_eq!((found.as_slice(), total), (&by_name.map(String::from)[..], 5));
        let (mut found, _) = names(None, desc(MemberSort::Name), all()).await;
        found.reverse();
        assert_eq!(found, by_name);
        let by_time = ["ÉMILE", "Émile", "adam", "zoë", "Adam"];
        assert_eq!(names(None, asc(MemberSort::JoinedAt), all()).await.0, by_time);
        let page = Paging { limit: 2, page: Some(2), offset: None };
        assert_eq!(names(None, asc(MemberSort::JoinedAt), page).await, (by_time[2..4].iter().map(ToString::to_string).collect(), 5));
        assert_eq!(names(None, asc(MemberSort::Name), page).await, (by_name[2..4].iter().map(ToString::to_string).collect(), 5));
        let beyond = Paging { limit: 2, page: None, offset: Some(5) };
        assert_eq!(names(None, desc(MemberSort::Name), beyond).await, (Vec::new(), 5));
        assert_eq!(names(Some(Role::Viewer), desc(MemberSort::Name), all()).await, (vec!["zoë".into(), "Adam".into()], 2));
        assert_eq!(names(Some(Role::Owner), asc(MemberSort::Name), all()).await, (vec!["Émile".into()], 1));
    }

    async fn one_of_many_concurrent_additions_of_a_member_succeeds(database: TestDatabase) {
        let stores = [database.store().await, database.another_store().await];
        let (ada, bob) = (user(&stores[0]).await, user(&stores[0]).await);
        let project = project(&stores[0], &ada).await;
        let adding = (0..8).map(|number| add(&stores[number % 2], &project, &bob, Role::Editor, 20));
        assert_eq!(soon(join_all(adding)).await.into_iter().filter(|added| *added).count(), 1);
        assert_eq!(stores[0].read().members().count(project.id).await.unwrap(), 2);
    }
}
