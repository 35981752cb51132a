//! Storage of invitations.

use futures_util::future::join_all;
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::project::invitation::{Invitation, InvitationSort, InvitationStatus, InvitedRole};
use pocket_tasks::contract::strings::Email;
use pocket_tasks::contract::{InvitationId, Timestamp, UserId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{InvitationScope, Store as _, StoreError};

use super::fixtures::{all, asc, at, commit, new_project, project, soon, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Expiry time of the invitations; at this time they have expired.
pub(super) const END: Timestamp = at(1_000);

/// New invitation, not stored.
pub(super) fn new_invitation(project: &Project, inviter: &User, email: &str) -> Invitation {
    Invitation {
        id: InvitationId::generate(),
        project_id: project.id,
        project_name: project.name.clone(),
        email: Email::new_unchecked(email),
        role: InvitedRole::Viewer,
        status: InvitationStatus::Pending,
        invited_by: Some(inviter.id),
        expires_at: END,
        created_at: at(10),
    }
}

/// Stores an invitation unless one is pending.
pub(super) async fn add(store: &SeaStore, invitation: &Invitation) -> bool {
    commit(store, async |transaction| transaction.invitations().add(invitation).await.unwrap()).await
}

pub(super) async fn resolve(store: &SeaStore, id: InvitationId, status: InvitationStatus, now: Timestamp) -> bool {
    commit(store, async |transaction| transaction.invitations().resolve(id, status, now).await.unwrap()).await
}

pub(super) async fn expire(store: &SeaStore, now: Timestamp, limit: u64) -> u64 {
    commit(store, async |transaction| transaction.invitations().expire(now, limit).await.unwrap()).await
}

/// Status of an invitation at a time.
async fn status(store: &SeaStore, id: InvitationId, now: Timestamp) -> InvitationStatus {
    store.read().invitations().find(id, now).await.unwrap().unwrap().status
}

/// Ids in a list at a time, oldest first.
pub(super) async fn ids(
    store: &SeaStore,
    invited: InvitationScope<'_>,
    status: Option<InvitationStatus>,
    now: Timestamp,
) -> Vec<InvitationId> {
    let sort = asc(InvitationSort::CreatedAt);
    let page = store.read().invitations().list(invited, status, now, sort, all()).await.unwrap();
    assert_eq!(page.total.count, page.items.len() as u64);
    assert!(status.is_none_or(|status| page.items.iter().all(|invitation| invitation.status == status)));
    page.items.iter().map(|invitation| invitation.id).collect()
}

on_both_databases! {
    async fn an_invitation_comes_back_as_it_was_added(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let bare = new_invitation(&project, &ada, "grace@example.com");
        let full = Invitation { role: InvitedRole::Editor, ..new_invitation(&project, &ada, "o'neil+x@bücher.example") };
        let without_inviter = Invitation { invited_by: None, ..new_invitation(&project, &ada, "nobody@example.com") };
        for invitation in [bare, full, without_inviter] {
            assert!(add(&store, &invitation).await);
            assert_eq!(store.read().invitations().find(invitation.id, at(11)).await.unwrap(), Some(invitation));
        }
        assert_eq!(store.read().invitations().find(InvitationId::generate(), at(11)).await.unwrap(), None);
    }

    async fn an_address_has_at_most_one_pending_invitation_per_project(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let (here, there) = (project(&store, &ada).await, project(&store, &ada).await);
        let new = |project: &Project, email: &str| new_invitation(project, &ada, email);
        let first = new(&here, "grace@example.com");
        assert!(add(&store, &first).await);
        // The transaction continues after the conflict.
        let (again, other) = (new(&here, "grace@example.com"), new(&here, "alan@example.com"));
        commit(&store, async |transaction| {
            assert!(!transaction.invitations().add(&again).await.unwrap());
            assert!(transaction.invitations().add(&other).await.unwrap());
        })
        .await;
        assert!(add(&store, &new(&there, "grace@example.com")).await);
        let mut last = first;
        for ended in [InvitationStatus::Accepted, InvitationStatus::Declined, InvitationStatus::Revoked] {
            assert!(resolve(&store, last.id, ended, at(20)).await, "{ended:?}");
            let next = new(&here, "grace@example.com");
            assert!(add(&store, &next).await, "{ended:?} blocks no new invitation");
            assert!(!add(&store, &new(&here, "grace@example.com")).await);
            last = next;
        }
        // An expired invitation does not block another one even before it is marked; adding one marks it.
        let late = Invitation { created_at: END, expires_at: at(2_000), ..new(&here, "grace@example.com") };
        let early = Invitation { created_at: at(999), ..late.clone() };
        assert!(!add(&store, &early).await);
        assert!(add(&store, &late).await);
        assert_eq!(status(&store, last.id, at(11)).await, InvitationStatus::Expired);
        assert_eq!(status(&store, other.id, at(11)).await, InvitationStatus::Pending);
    }

    async fn one_of_many_concurrent_invitations_of_an_address_is_stored(database: TestDatabase) {
        let stores = [database.store().await, database.another_store().await];
        let ada = user(&stores[0]).await;
        let project = project(&stores[0], &ada).await;
        let invitations: Vec<_> = (0..8).map(|_| new_invitation(&project, &ada, "grace@example.com")).collect();
        let adding = invitations.iter().enumerate().map(|(number, new)| add(&stores[number % 2], new));
        assert_eq!(soon(join_all(adding)).await.into_iter().filter(|added| *added).count(), 1);
        assert_eq!(stores[0].read().invitations().count_pending(project.id, at(11)).await.unwrap(), 1);
    }

    async fn an_invitation_is_resolved_once_and_in_time(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let kept = new_invitation(&project, &ada, "kept@example.com");
        add(&store, &kept).await;
        let statuses = [InvitationStatus::Accepted, InvitationStatus::Declined, InvitationStatus::Revoked];
        for (number, first) in statuses.into_iter().enumerate() {
            let invitation = new_invitation(&project, &ada, &format!("{number}@example.com"));
            add(&store, &invitation).await;
            assert!(!resolve(&store, invitation.id, first, END).await, "it has expired at its expiry time");
            assert!(resolve(&store, invitation.id, first, at(999)).await);
            for second in statuses {
                assert!(!resolve(&store, invitation.id, second, at(999)).await, "{first:?}, then {second:?}");
            }
            for now in [at(11), END] {
                assert_eq!(status(&store, invitation.id, now).await, first, "a resolved invitation does not expire");
            }
        }
        assert!(!resolve(&store, InvitationId::generate(), InvitationStatus::Accepted, at(20)).await);
        assert_eq!(status(&store, kept.id, at(20)).await, InvitationStatus::Pending);
    }

    async fn one_of_many_concurrent_responses_resolves_an_invitation(database: TestDatabase) {
        let stores = [database.store().await, database.another_store().await];
        let ada = user(&stores[0]).await;
        let project = project(&stores[0], &ada).await;
        let invitation = new_invitation(&project, &ada, "grace@example.com");
        add(&stores[0], &invitation).await;
        let answers = [InvitationStatus::Accepted, InvitationStatus::Declined, InvitationStatus::Revoked];
        let answering = (0..9).map(|number| {
            let (store, answer) = (&stores[number % 2], answers[number % 3]);
            async move { resolve(store, invitation.id, answer, at(20)).await.then_some(answer) }
        });
        let answered: Vec<_> = soon(join_all(answering)).await.into_iter().flatten().collect();
        assert_eq!(answered, [status(&stores[0], invitation.id, at(20)).await]);
    }

    async fn expired_invitations_are_marked_in_batches_oldest_first(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let mut made = Vec::new();
        for end in [300_i64, 100, 200, 400] {
            let new = new_invitation(&project, &ada, &format!("{end}@example.com"));
            let invitation = Invitation { expires_at: at(end), ..new };
            add(&store, &invitation).await;
            made.push(invitation.id);
        }
        let [third, first, second, fourth] = made[..] else { panic!("{made:?}") };
        let expired = async || ids(&store, InvitationScope::Project(project.id), Some(InvitationStatus::Expired), at(11)).await;
        assert_eq!(expire(&store, at(99), 9).await, 0);
        assert_eq!(expire(&store, at(300), 2).await, 2);
        let mut noted = expired().await;
        noted.sort_by_key(|id| made.iter().position(|made| made == id));
        assert_eq!(noted, [first, second]);
        assert_eq!(expire(&store, at(300), 2).await, 1);
        assert_eq!(expire(&store, at(300), 2).await, 0);
        assert_eq!(status(&store, third, at(11)).await, InvitationStatus::Expired);
        assert_eq!(status(&store, fourth, at(11)).await, InvitationStatus::Pending);
    }

    async fn marking_expired_invitations_skips_locked_ones(database: TestDatabase) {
        // SQLite has one writer at a time.
        if !database.is_postgres() {
            return;
        }
        let (store, other) = (database.store().await, database.another_store().await);
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let (held, free) = (new_invitation(&project, &ada, "a@example.com"), new_invitation(&project, &ada, "b@example.com"));
        add(&store, &held).await;
        add(&store, &free).await;
        let holder = other.begin().await.unwrap();
        assert!(holder.invitations().resolve(held.id, InvitationStatus::Accepted, at(999)).await.unwrap());
        assert_eq!(soon(expire(&store, END, 9)).await, 1);
        holder.commit().await.unwrap();
        assert_eq!(status(&store, held.id, END).await, InvitationStatus::Accepted);
        assert_eq!(expire(&store, END, 9).await, 0);
    }

    async fn an_invitation_requires_an_existing_project_and_inviter(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let homeless = new_invitation(&new_project(&ada), &ada, "grace@example.com");
        let new = new_invitation(&project, &ada, "grace@example.com");
        let unknown = Invitation { invited_by: Some(UserId::generate()), ..new };
        for invitation in [homeless, unknown] {
            let transaction = store.begin().await.unwrap();
            let added = transaction.invitations().add(&invitation).await;
            assert!(matches!(added, Err(StoreError::Internal(_))), "{added:?}");
        }
    }
}
