//! Storage of accounts.

use futures_util::future::join_all;
use pocket_tasks::contract::UserId;
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::strings::{Email, PersonName, TimeZone};
use pocket_tasks::repositories::Store as _;

use super::fixtures::{at, commit, new_user, soon, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

on_both_databases! {
    async fn a_user_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let ada = new_user();
        let bob = User { weekly_digest: true, email_verified: false, ..new_user() };
        for user in [&ada, &bob] {
            let hash = format!("hash of {}", user.id);
            assert!(commit(&store, async |transaction| transaction.users().add(user, &hash).await).await.unwrap());
        }
        for user in [&ada, &bob] {
            let users = store.read().users();
            assert_eq!(users.find(user.id).await.unwrap().as_ref(), Some(user));
            let by_id = users.find_credentials(user.id).await.unwrap().unwrap();
            let by_email = users.find_credentials_by_email(&user.email).await.unwrap().unwrap();
            for credentials in [by_id, by_email] {
                assert_eq!(&credentials.user, user);
                assert_eq!(credentials.password_hash, format!("hash of {}", user.id));
            }
            let locked = commit(&store, async |transaction| transaction.users().lock(user.id).await).await.unwrap();
            assert_eq!(&locked.unwrap().user, user);
        }
    }

    async fn an_unknown_user_is_not_found(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let users = store.read().users();
        assert_eq!(users.find(UserId::generate()).await.unwrap(), None);
        assert!(users.find_credentials(UserId::generate()).await.unwrap().is_none());
        // The caller normalizes the address; storage compares it byte by byte.
        for email in ["", "nobody@example.com", &ada.email.to_uppercase(), &ada.email[1..]] {
            assert!(users.find_credentials_by_email(email).await.unwrap().is_none(), "{email}");
        }
        let locked = commit(&store, async |transaction| transaction.users().lock(UserId::generate()).await).await;
        assert!(locked.unwrap().is_none());
    }

    async fn an_update_changes_the_mutable_columns_of_one_user(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let changed = User {
            name: PersonName::new_unchecked("Grace"),
            timezone: TimeZone::new_unchecked("Asia/Tokyo"),
            weekly_digest: !ada.weekly_digest,
            email_verified: !ada.email_verified,
            version: ada.version + 1,
            updated_at: at(99),
            ..ada.clone()
        };
        let with_fixed_parts = User { email: Email::new_unchecked("new@example.com"), created_at: at(98), ..changed.clone() };
        commit(&store, async |transaction| transaction.users().update(&with_fixed_parts).await).await.unwrap();
        let credentials = store.read().users().find_credentials(ada.id).await.unwrap().unwrap();
        assert_eq!((credentials.user, credentials.password_hash.as_str()), (changed, "a hash"));
        assert_eq!(store.read().users().find(bob.id).await.unwrap(), Some(bob));
    }

    async fn a_taken_address_is_rejected_and_the_transaction_continues(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let twin = User { email: ada.email.clone(), ..new_user() };
        let other = new_user();
        commit(&store, async |transaction| {
            let users = transaction.users();
            assert!(!users.add(&twin, "another hash").await.unwrap());
            assert!(users.add(&other, "a hash").await.unwrap());
            assert!(!users.add(&User { email: other.email.clone(), ..new_user() }, "a hash").await.unwrap());
        })
        .await;
        let users = store.read().users();
        assert_eq!(users.find(twin.id).await.unwrap(), None);
        assert_eq!(users.find(other.id).await.unwrap(), Some(other));
        let credentials = users.find_credentials_by_email(&ada.email).await.unwrap().unwrap();
        assert_eq!((credentials.user, credentials.password_hash.as_str()), (ada, "a hash"));
    }

    async fn one_of_many_concurrent_registrations_of_an_address_succeeds(database: TestDatabase) {
        let stores = [database.store().await, database.another_store().await];
        let email = new_user().email;
        let users: Vec<_> = (0..8).map(|_| User { email: email.clone(), ..new_user() }).collect();
        let adding = users.iter().enumerate().map(|(number, user)| {
            commit(&stores[number % 2], async |transaction| transaction.users().add(user, "a hash").await.unwrap())
        });
        let added = soon(join_all(adding)).await.into_iter().filter(|added| *added).count();
        assert_eq!(added, 1);
    }

    async fn a_password_is_replaced_only_if_unchanged_since_it_was_read(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let replace = async |current: &str, next: &str, time| {
            commit(&store, async |transaction| {
                transaction.users().replace_password(ada.id, current, next, at(time)).await.unwrap()
            })
            .await
        };
        assert!(replace("a hash", "second", 50).await);
        assert!(!replace("a hash", "third", 51).await);
        let credentials = store.read().users().find_credentials(ada.id).await.unwrap().unwrap();
        assert_eq!(credentials.password_hash, "second");
        assert_eq!(credentials.user, User { updated_at: at(50), ..ada });
        let credentials = store.read().users().find_credentials(bob.id).await.unwrap().unwrap();
        assert_eq!((credentials.user, credentials.password_hash.as_str()), (bob, "a hash"));
    }

    async fn one_of_many_concurrent_password_changes_succeeds(database: TestDatabase) {
        let stores = [database.store().await, database.another_store().await];
        let id = user(&stores[0]).await.id;
        let replacing = (0..8).map(|number| {
            commit(&stores[number % 2], async move |transaction| {
                let next = format!("hash {number}");
                transaction.users().replace_password(id, "a hash", &next, at(60)).await.unwrap().then_some(next)
            })
        });
        let replaced: Vec<_> = soon(join_all(replacing)).await.into_iter().flatten().collect();
        let credentials = stores[0].read().users().find_credentials(id).await.unwrap().unwrap();
        assert_eq!(replaced, [credentials.password_hash]);
    }
}
