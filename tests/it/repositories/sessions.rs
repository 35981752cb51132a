//! Storage of sessions. Their refresh tokens are in `refresh_tokens`.

use pocket_tasks::contract::account::session::{SessionInfo, SessionSort};
use pocket_tasks::contract::page::Paging;
use pocket_tasks::contract::strings::UserAgent;
use pocket_tasks::contract::{SessionId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{NewSession, Store as _};

use super::fixtures::{all, asc, at, commit, desc, new_session, session, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

async fn add(store: &SeaStore, sessions: &[NewSession]) {
    commit(store, async |transaction| {
        for session in sessions {
            transaction.sessions().add(session).await.unwrap();
        }
    })
    .await;
}

async fn end(store: &SeaStore, id: SessionId, time: Timestamp) -> bool {
    commit(store, async |transaction| transaction.sessions().end(id, time).await.unwrap()).await
}

on_both_databases! {
    async fn a_session_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let nameless = NewSession { user_agent: None, ..new_session(&ada) };
        add(&store, std::slice::from_ref(&nameless)).await;
        let named = session(&store, &ada).await;
        for session in [&nameless, &named] {
            let record = store.read().sessions().find(session.id).await.unwrap().unwrap();
            assert_eq!((record.user_id, record.ended_at, record.expires_at), (ada.id, None, session.expires_at));
        }
        let page = store.read().sessions().list(ada.id, at(20), asc(SessionSort::CreatedAt), all()).await.unwrap();
        let info = |session: &NewSession| SessionInfo {
            id: session.id,
            current: false,
            user_agent: session.user_agent.clone().map(UserAgent::new_unchecked),
            created_at: session.created_at,
            last_used_at: session.created_at,
        };
        assert_eq!(page.items, [info(&nameless), info(&named)]);
        assert!(store.read().sessions().find(SessionId::generate()).await.unwrap().is_none());
    }

    async fn the_list_has_the_active_sessions_of_the_user(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let going = NewSession { expires_at: at(501), ..new_session(&ada) };
        let over = NewSession { expires_at: at(500), ..new_session(&ada) };
        let ended = new_session(&ada);
        add(&store, &[going.clone(), over, ended.clone(), new_session(&bob)]).await;
        assert!(end(&store, ended.id, at(20)).await);
        let page = store.read().sessions().list(ada.id, at(500), asc(SessionSort::CreatedAt), all()).await.unwrap();
        assert_eq!(page.items.iter().map(|info| info.id).collect::<Vec<_>>(), [going.id]);
        assert_eq!(page.total.count, 1);
    }

    async fn sessions_are_sorted_in_both_directions_with_ties_by_id(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        // Ids ascend; the times do not, and two are equal.
        let sessions: Vec<_> =
            [30, 10, 20, 10].map(|time| NewSession { created_at: at(time), ..new_session(&ada) }).into();
        add(&store, &sessions).await;
        for (number, time) in [(0, 41), (1, 42), (2, 41), (3, 40)] {
            let id = sessions[number].id;
            commit(&store, async |transaction| transaction.sessions().touch(id, at(time), at(900)).await)
                .await
                .unwrap();
        }
        for (field, ascending) in [(SessionSort::CreatedAt, [1, 3, 2, 0]), (SessionSort::LastUsedAt, [3, 0, 2, 1])] {
            let expected: Vec<_> = ascending.iter().map(|number: &usize| sessions[*number].id).collect();
            let mut found = Vec::new();
            for page in 1..=3 {
                let paging = Paging { limit: 2, page: Some(page), offset: None };
                let page = store.read().sessions().list(ada.id, at(50), asc(field), paging).await.unwrap();
                assert_eq!(page.total.count, 4);
                found.extend(page.items.iter().map(|info| info.id));
            }
            assert_eq!(found, expected, "{field:?}");
            let page = store.read().sessions().list(ada.id, at(50), desc(field), all()).await.unwrap();
            let found: Vec<_> = page.items.iter().rev().map(|info| info.id).collect();
            assert_eq!(found, expected, "{field:?}, descending");
        }
    }

    async fn a_refresh_is_recorded_on_its_session_only(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let (used, other) = (session(&store, &ada).await, session(&store, &ada).await);
        commit(&store, async |transaction| transaction.sessions().touch(used.id, at(70), at(2_000)).await)
            .await
            .unwrap();
        let expires_at = |session: SessionId| {
            let store = &store;
            async move { store.read().sessions().find(session).await.unwrap().unwrap().expires_at }
        };
        assert_eq!((expires_at(used.id).await, expires_at(other.id).await), (at(2_000), other.expires_at));
        let page = store.read().sessions().list(ada.id, at(50), desc(SessionSort::LastUsedAt), all()).await.unwrap();
        assert_eq!(page.items.iter().map(|info| info.last_used_at).collect::<Vec<_>>(), [at(70), other.created_at]);
        assert_eq!(page.items[0].created_at, used.created_at);
    }

    async fn a_session_ends_once(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let session = session(&store, &ada).await;
        assert!(end(&store, session.id, at(80)).await);
        assert!(!end(&store, session.id, at(81)).await);
        assert!(!end(&store, SessionId::generate(), at(81)).await);
        assert_eq!(store.read().sessions().find(session.id).await.unwrap().unwrap().ended_at, Some(at(80)));
    }

    async fn ending_the_others_keeps_one_and_names_the_rest(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let [kept, ended, first, second, bobs] = [&ada, &ada, &ada, &ada, &bob].map(new_session);
        add(&store, &[kept.clone(), ended.clone(), first.clone(), second.clone(), bobs.clone()]).await;
        assert!(end(&store, ended.id, at(80)).await);
        let mut named = commit(&store, async |transaction| {
            transaction.sessions().end_all(ada.id, Some(kept.id), at(90)).await.unwrap()
        })
        .await;
        named.sort_unstable();
        assert_eq!(named, [first.id, second.id]);
        for (session, ended_at) in
            [(kept, None), (ended, Some(at(80))), (first, Some(at(90))), (second, Some(at(90))), (bobs, None)]
        {
            assert_eq!(store.read().sessions().find(session.id).await.unwrap().unwrap().ended_at, ended_at);
        }
    }

    async fn ended_sessions_are_listed_from_a_time_on(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let sessions = [&ada, &ada, &bob, &bob].map(new_session);
        add(&store, &sessions).await;
        for (session, time) in sessions.iter().zip([99, 100, 101]) {
            assert!(end(&store, session.id, at(time)).await);
        }
        let mut ended = store.read().sessions().list_ended(at(100)).await.unwrap();
        ended.sort_unstable();
        assert_eq!(ended, [sessions[1].id, sessions[2].id]);
        assert_eq!(store.read().sessions().list_ended(at(102)).await.unwrap(), []);
    }
}
