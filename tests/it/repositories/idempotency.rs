//! Storage of idempotency keys.

use std::pin::pin;
use std::time::Duration;

use pocket_tasks::contract::UserId;
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::{InvitationId, ProjectId, TaskId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{
    Effect, IdempotentRequest, KeyClaim, RequiredAccess, ResourceRef, Store as _, StoreError, StoredResponse,
    Transaction,
};
use tokio::time::timeout;

use super::fixtures::{at, commit, commit_beside, new_project, new_user, soon, user, waits};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Keys used up to this time have expired.
const FREE_BEFORE: Timestamp = at(1_000);
/// Time of the first request.
const NOW: Timestamp = at(2_000);

fn request(fingerprint: u8) -> IdempotentRequest {
    IdempotentRequest { key: "a-key".to_owned(), fingerprint: [fingerprint; 32] }
}

fn answer(effect: Effect) -> StoredResponse {
    StoredResponse { effect, etag: None, encrypted_body: None, access: None }
}

fn full_answer() -> StoredResponse {
    StoredResponse {
        effect: Effect::Created(ResourceRef::Task(TaskId::generate())),
        etag: Some("\"a.b\"".to_owned()),
        encrypted_body: Some((0..=255).collect()),
        access: Some(access(ProjectId::generate(), Role::Editor)),
    }
}

fn access(project: ProjectId, role: Role) -> RequiredAccess {
    RequiredAccess { project, task: None, role }
}

async fn claim(transaction: &dyn Transaction, user: UserId, request: &IdempotentRequest) -> KeyClaim {
    transaction.idempotency().claim(user, request, NOW, FREE_BEFORE).await.unwrap()
}

/// Simulates a write with an idempotency key in one transaction.
async fn claim_and_store(
    store: &SeaStore,
    user: UserId,
    request: &IdempotentRequest,
    now: Timestamp,
    answer: &StoredResponse,
) {
    commit(store, async |transaction| {
        let claim = transaction.idempotency().claim(user, request, now, FREE_BEFORE).await.unwrap();
        assert_eq!(claim, KeyClaim::Acquired);
        transaction.idempotency().store_response(user, &request.key, answer).await.unwrap();
    })
    .await;
}

async fn find(store: &SeaStore, user: UserId) -> Option<([u8; 32], StoredResponse)> {
    store.read().idempotency().find(user, &request(0).key, FREE_BEFORE).await.unwrap()
}

on_both_databases! {
    async fn a_stored_response_is_returned_unchanged(database: TestDatabase) {
        let store = database.store().await;
        let full = full_answer();
        let project = ProjectId::generate();
        let mut answers = vec![
            full.clone(),
            answer(Effect::Done),
            StoredResponse { effect: Effect::Accepted, ..full.clone() },
            StoredResponse {
                effect: Effect::Created(ResourceRef::Invitation(project, InvitationId::generate())),
                ..full.clone()
            },
            StoredResponse { etag: None, ..full.clone() },
            StoredResponse { encrypted_body: None, ..full.clone() },
            StoredResponse { encrypted_body: Some(Vec::new()), ..full.clone() },
            StoredResponse { access: None, ..full },
        ];
        let roles = [Role::Owner, Role::Editor, Role::Viewer];
        let about_task = RequiredAccess { task: Some(TaskId::generate()), ..access(project, Role::Viewer) };
        let all = roles.map(|role| access(project, role)).into_iter().chain([about_task]);
        answers.extend(all.map(|access| StoredResponse { access: Some(access), ..answer(Effect::Completed) }));
        for (number, stored) in (1..).zip(&answers) {
            let ada = user(&store).await.id;
            assert_eq!(find(&store, ada).await, None);
            claim_and_store(&store, ada, &request(number), NOW, stored).await;
            assert_eq!(find(&store, ada).await, Some(([number; 32], stored.clone())));
        }
    }

    async fn a_key_is_acquired_once(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await.id;
        let first = full_answer();
        claim_and_store(&store, ada, &request(1), NOW, &first).await;
        for fingerprint in [1, 2] {
            let transaction = store.begin().await.unwrap();
            assert_eq!(claim(&*transaction, ada, &request(fingerprint)).await, KeyClaim::Completed);
            // The transaction is still usable; committing it changes nothing.
            transaction.commit().await.unwrap();
            assert_eq!(find(&store, ada).await, Some(([1; 32], first.clone())));
        }
        let other = IdempotentRequest { key: "A-KEY".to_owned(), ..request(1) };
        commit(&store, async |transaction| {
            assert_eq!(claim(transaction, ada, &other).await, KeyClaim::Acquired);
            transaction.idempotency().store_response(ada, &other.key, &answer(Effect::Done)).await.unwrap();
        })
        .await;
        assert_eq!(find(&store, ada).await, Some(([1; 32], first)), "only the named key is completed");
    }

    async fn a_key_is_free_again_when_its_transaction_is_rolled_back(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await.id;
        let transaction = store.begin().await.unwrap();
        assert_eq!(claim(&*transaction, ada, &request(1)).await, KeyClaim::Acquired);
        transaction.idempotency().store_response(ada, "a-key", &full_answer()).await.unwrap();
        assert_eq!(soon(find(&store, ada)).await, None, "invisible before the commit");
        drop(transaction);
        assert_eq!(find(&store, ada).await, None);
        soon(claim_and_store(&store, ada, &request(2), NOW, &answer(Effect::Done))).await;
        assert_eq!(find(&store, ada).await, Some(([2; 32], answer(Effect::Done))));
    }

    async fn keys_are_scoped_by_user(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await.id, user(&store).await.id);
        claim_and_store(&store, ada, &request(1), NOW, &full_answer()).await;
        assert_eq!(find(&store, bob).await, None);
        claim_and_store(&store, bob, &request(2), NOW, &answer(Effect::Done)).await;
        assert_eq!(find(&store, ada).await.unwrap().0, [1; 32]);
        assert_eq!(find(&store, bob).await, Some(([2; 32], answer(Effect::Done))));
    }

    async fn a_key_is_free_after_it_expires(database: TestDatabase) {
        let store = database.store().await;
        for (claimed_at, is_free) in [(at(999), true), (at(1_000), true), (at(1_001), false)] {
            let ada = user(&store).await.id;
            let old = full_answer();
            claim_and_store(&store, ada, &request(1), claimed_at, &old).await;
            let known = Some(([1; 32], old)).filter(|_| !is_free);
            assert_eq!(find(&store, ada).await, known, "{claimed_at}");
            let transaction = store.begin().await.unwrap();
            let claimed = claim(&*transaction, ada, &request(2)).await;
            assert_eq!(claimed, if is_free { KeyClaim::Acquired } else { KeyClaim::Completed }, "{claimed_at}");
            // Other transactions never see the new request with the old response.
            assert_eq!(soon(find(&store, ada)).await, known, "{claimed_at}");
            if is_free {
                transaction.idempotency().store_response(ada, "a-key", &answer(Effect::Done)).await.unwrap();
                assert_eq!(soon(find(&store, ada)).await, None, "{claimed_at}");
                transaction.commit().await.unwrap();
                assert_eq!(find(&store, ada).await, Some(([2; 32], answer(Effect::Done))), "{claimed_at}");
                let second = commit(&store, async |transaction| claim(transaction, ada, &request(3)).await);
                assert_eq!(second.await, KeyClaim::Completed, "its lifetime restarts");
            }
        }
    }

    async fn an_expired_key_has_its_old_response_after_a_rollback(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await.id;
        let old = full_answer();
        claim_and_store(&store, ada, &request(1), at(999), &old).await;
        let transaction = store.begin().await.unwrap();
        assert_eq!(claim(&*transaction, ada, &request(2)).await, KeyClaim::Acquired);
        drop(transaction);
        let found = soon(store.read().idempotency().find(ada, "a-key", at(998))).await.unwrap();
        assert_eq!(found, Some(([1; 32], old)));
    }

    async fn a_request_that_waits_for_a_key_finds_it_completed(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        for claimed_before in [None, Some(at(1))] {
            let ada = user(&store).await.id;
            if let Some(time) = claimed_before {
                claim_and_store(&store, ada, &request(1), time, &full_answer()).await;
            }
            let first = store.begin().await.unwrap();
            assert_eq!(claim(&*first, ada, &request(2)).await, KeyClaim::Acquired);
            let mut second = pin!(async {
                let transaction = other.begin().await.unwrap();
                claim(&*transaction, ada, &request(3)).await
            });
            waits(&mut second).await;
            first.idempotency().store_response(ada, "a-key", &answer(Effect::Done)).await.unwrap();
            assert_eq!(commit_beside(first, second).await, KeyClaim::Completed, "{claimed_before:?}");
            assert_eq!(find(&other, ada).await, Some(([2; 32], answer(Effect::Done))), "{claimed_before:?}");
        }
    }

    async fn a_request_that_waits_for_a_key_acquires_it_after_a_rollback(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        for claimed_before in [None, Some(at(1))] {
            let ada = user(&store).await.id;
            if let Some(time) = claimed_before {
                claim_and_store(&store, ada, &request(1), time, &full_answer()).await;
            }
            let first = store.begin().await.unwrap();
            assert_eq!(claim(&*first, ada, &request(2)).await, KeyClaim::Acquired);
            let mut second = pin!(async {
                let transaction = other.begin().await.unwrap();
                let claimed = claim(&*transaction, ada, &request(3)).await;
                transaction.idempotency().store_response(ada, "a-key", &answer(Effect::Done)).await.unwrap();
                transaction.commit().await.unwrap();
                claimed
            });
            waits(&mut second).await;
            drop(first);
            assert_eq!(soon(second).await, KeyClaim::Acquired, "{claimed_before:?}");
            assert_eq!(find(&store, ada).await, Some(([3; 32], answer(Effect::Done))), "{claimed_before:?}");
        }
    }

    async fn a_key_held_for_too_long_is_reported_as_in_progress(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = user(&store).await.id;
        let first = store.begin().await.unwrap();
        assert_eq!(claim(&*first, ada, &request(1)).await, KeyClaim::Acquired);
        // On SQLite the holder of a key is the only writer, so the second request does not start.
        match soon(other.begin()).await {
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                assert!(!database.is_postgres(), "{error:?}");
            }
            Ok(second) => assert_eq!(soon(claim(&*second, ada, &request(1))).await, KeyClaim::InProgress),
        }
        first.idempotency().store_response(ada, "a-key", &answer(Effect::Done)).await.unwrap();
        first.commit().await.unwrap();
        let third = soon(commit(&other, async |transaction| claim(transaction, ada, &request(1)).await)).await;
        assert_eq!(third, KeyClaim::Completed);
    }

    async fn a_claim_does_not_limit_later_waits_for_locks(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let (ada, bob) = (user(&store).await.id, user(&store).await.id);
        // On SQLite a transaction waits only at its beginning.
        if database.is_postgres() {
            let first = store.begin().await.unwrap();
            assert!(first.users().lock(ada).await.unwrap().is_some());
            let second = other.begin().await.unwrap();
            assert_eq!(claim(&*second, bob, &request(1)).await, KeyClaim::Acquired);
            let mut locked = second.users().lock(ada);
            // Longer than a claim waits for a key.
            assert!(timeout(Duration::from_secs(6), &mut locked).await.is_err());
            drop(first);
            assert!(soon(locked).await.unwrap().is_some());
        }
    }

    async fn transactions_with_different_keys_do_not_block_each_other(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let (ada, bob) = (user(&store).await.id, user(&store).await.id);
        // On SQLite all transactions are serialized anyway.
        if database.is_postgres() {
            let first = store.begin().await.unwrap();
            assert_eq!(claim(&*first, ada, &request(1)).await, KeyClaim::Acquired);
            let second = other.begin().await.unwrap();
            assert_eq!(soon(claim(&*second, bob, &request(1))).await, KeyClaim::Acquired);
            let key = IdempotentRequest { key: "another".to_owned(), ..request(1) };
            assert_eq!(soon(claim(&*second, ada, &key)).await, KeyClaim::Acquired);
        }
    }

    async fn a_response_outlives_its_project_but_not_its_user(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = new_project(&ada);
        commit(&store, async |transaction| transaction.projects().add(&project).await).await.unwrap();
        let stored = StoredResponse { access: Some(access(project.id, Role::Owner)), ..full_answer() };
        claim_and_store(&store, ada.id, &request(1), NOW, &stored).await;
        let mut raw = Raw::connect(&database).await;
        let (project, user) = (raw.id(project.id.0), raw.id(ada.id.0));
        raw.execute(&format!("DELETE FROM projects WHERE id = {project}")).await;
        assert_eq!(find(&store, ada.id).await, Some(([1; 32], stored)));
        raw.execute(&format!("DELETE FROM users WHERE id = {user}")).await;
        assert_eq!(find(&store, ada.id).await, None);
        // A key requires a user.
        let transaction = store.begin().await.unwrap();
        let claim = transaction.idempotency().claim(new_user().id, &request(1), NOW, FREE_BEFORE).await;
        assert!(matches!(claim, Err(StoreError::Internal(_))), "{claim:?}");
    }
}
