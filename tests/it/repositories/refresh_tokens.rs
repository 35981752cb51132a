//! Storage of refresh tokens.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::join_all;
use pocket_tasks::contract::SessionId;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{NewRefreshToken, RefreshTokenRecord, Store as _};

use super::fixtures::{at, commit, commit_beside, session, soon, user, waits};
use crate::on_both_databases;
use crate::support::TestDatabase;

const HASH: [u8; 32] = [0xA7; 32];
const NEXT: [u8; 32] = [0; 32];

async fn add(store: &SeaStore, session_id: SessionId, hashes: &[[u8; 32]]) {
    commit(store, async |transaction| {
        for hash in hashes {
            let token = NewRefreshToken { hash: *hash, session_id, created_at: at(11), expires_at: at(900) };
            transaction.sessions().add_refresh_token(&token).await.unwrap();
        }
    })
    .await;
}

async fn lock(store: &SeaStore, hash: &[u8; 32]) -> Option<RefreshTokenRecord> {
    commit(store, async |transaction| transaction.sessions().lock_refresh_token(hash).await.unwrap()).await
}

/// Database with one session and these tokens.
async fn with_tokens(database: &TestDatabase, hashes: &[[u8; 32]]) -> (Arc<SeaStore>, SessionId) {
    let store = database.store().await;
    let ada = user(&store).await;
    let session = session(&store, &ada).await;
    add(&store, session.id, hashes).await;
    (store, session.id)
}

on_both_databases! {
    async fn a_refresh_token_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let session = session(&store, &ada).await;
        add(&store, session.id, &[HASH]).await;
        let record = lock(&store, &HASH).await.unwrap();
        assert_eq!((record.session_id, record.user_id, record.expires_at), (session.id, ada.id, at(900)));
        assert_eq!((record.session_ended_at, record.used_at, record.encrypted_successor), (None, None, None));
        assert!(lock(&store, &NEXT).await.is_none());
    }

    async fn a_used_token_has_its_time_of_use_and_successor(database: TestDatabase) {
        let (store, session) = with_tokens(&database, &[HASH, NEXT]).await;
        let sealed = [0, 255, 7];
        commit(&store, async |transaction| transaction.sessions().rotate_refresh_token(&HASH, at(30), &sealed).await)
            .await
            .unwrap();
        commit(&store, async |transaction| transaction.sessions().end(session, at(31)).await).await.unwrap();
        let record = lock(&store, &HASH).await.unwrap();
        assert_eq!((record.used_at, record.encrypted_successor), (Some(at(30)), Some(sealed.to_vec())));
        assert_eq!(record.session_ended_at, Some(at(31)));
        assert_eq!(lock(&store, &NEXT).await.unwrap().used_at, None);
    }

    async fn a_request_that_waits_for_a_token_sees_its_use(database: TestDatabase) {
        let (store, _) = with_tokens(&database, &[HASH]).await;
        let other = database.another_store().await;
        let first = store.begin().await.unwrap();
        assert!(first.sessions().lock_refresh_token(&HASH).await.unwrap().unwrap().used_at.is_none());
        let mut second = pin!(async { lock(&other, &HASH).await });
        waits(&mut second).await;
        first.sessions().rotate_refresh_token(&HASH, at(30), b"next").await.unwrap();
        assert_eq!(commit_beside(first, second).await.unwrap().used_at, Some(at(30)));
    }

    async fn a_request_that_waits_for_a_token_sees_the_end_of_its_session(database: TestDatabase) {
        let (store, session) = with_tokens(&database, &[HASH]).await;
        let other = database.another_store().await;
        let first = store.begin().await.unwrap();
        assert!(first.sessions().end(session, at(30)).await.unwrap());
        let mut second = pin!(async { lock(&other, &HASH).await });
        waits(&mut second).await;
        assert_eq!(commit_beside(first, second).await.unwrap().session_ended_at, Some(at(30)));
    }

    async fn a_session_does_not_end_while_one_of_its_tokens_is_locked(database: TestDatabase) {
        let (store, session) = with_tokens(&database, &[HASH]).await;
        let other = database.another_store().await;
        let first = store.begin().await.unwrap();
        first.sessions().lock_refresh_token(&HASH).await.unwrap();
        let mut second = pin!(async {
            commit(&other, async |transaction| transaction.sessions().end(session, at(30)).await.unwrap()).await
        });
        waits(&mut second).await;
        first.sessions().touch(session, at(29), at(2_000)).await.unwrap();
        assert!(commit_beside(first, second).await);
        let record = store.read().sessions().find(session).await.unwrap().unwrap();
        assert_eq!((record.ended_at, record.expires_at), (Some(at(30)), at(2_000)));
    }

    // Two browser tabs: one follows the previous token to its successor while the other uses the successor.
    async fn following_a_token_to_its_successor_does_not_block_its_use(database: TestDatabase) {
        let (store, _) = with_tokens(&database, &[HASH, NEXT]).await;
        let other = database.another_store().await;
        let first = store.begin().await.unwrap();
        first.sessions().lock_refresh_token(&HASH).await.unwrap();
        let mut second = pin!(async {
            let transaction = other.begin().await.unwrap();
            transaction.sessions().lock_refresh_token(&NEXT).await.map(|record| record.is_some())
        });
        waits(&mut second).await;
        let followed = soon(first.sessions().lock_refresh_token(&NEXT)).await;
        assert!(followed.expect("a deadlock").is_some());
        assert!(commit_beside(first, second).await.expect("a deadlock"));
    }

    async fn one_of_many_concurrent_uses_of_a_token_succeeds(database: TestDatabase) {
        let (store, _) = with_tokens(&database, &[HASH]).await;
        let stores = [store, database.another_store().await];
        let uses = (0..8).map(|number| {
            let store = &stores[number % 2];
            commit(store, async |transaction| {
                let record = transaction.sessions().lock_refresh_token(&HASH).await.unwrap().unwrap();
                if record.used_at.is_none() {
                    transaction.sessions().rotate_refresh_token(&HASH, at(30), b"next").await.unwrap();
                }
                record.used_at.is_none()
            })
        });
        let uses = soon(join_all(uses)).await.into_iter().filter(|used| *used).count();
        assert_eq!(uses, 1);
    }
}
