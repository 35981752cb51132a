//! Lists of invitations by project and by address.

use pocket_tasks::contract::page::Paging;
use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::project::invitation::{Invitation, InvitationSort, InvitationStatus};
use pocket_tasks::repositories::{InvitationScope, Store as _};

use super::fixtures::{asc, at, commit, desc, project, user};
use super::invitations::{END, add, expire, ids, new_invitation, resolve};
use crate::on_both_databases;
use crate::support::TestDatabase;

on_both_databases! {
    async fn lists_show_expired_invitations_before_and_after_they_are_marked(database: TestDatabase) {
        use InvitationStatus::{Accepted, Declined, Expired, Pending, Revoked};
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let (here, there) = (project(&store, &ada).await, project(&store, &ada).await);
        let mut made = Vec::new();
        for (number, answer) in [Pending, Accepted, Declined, Revoked].into_iter().enumerate() {
            let created_at = at(10 + i64::try_from(number).unwrap());
            let invitation = Invitation { created_at, ..new_invitation(&here, &ada, &bob.email) };
            if answer == Pending {
                // A different address, so that it can stay pending.
                let ada = Invitation { email: ada.email.clone(), ..invitation };
                add(&store, &ada).await;
                made.push(ada.id);
                continue;
            }
            add(&store, &invitation).await;
            resolve(&store, invitation.id, answer, at(20)).await;
            made.push(invitation.id);
        }
        let elsewhere = Invitation { created_at: at(40), ..new_invitation(&there, &ada, &bob.email) };
        add(&store, &elsewhere).await;
        let long = Invitation { expires_at: at(5_000), created_at: at(50), ..new_invitation(&here, &ada, "l@example.com") };
        add(&store, &long).await;
        made.push(long.id);
        let [pending, accepted, declined, revoked, long] = made[..] else { panic!("{made:?}") };
        for noted in [false, true] {
            if noted {
                assert_eq!(expire(&store, END, 100).await, 2);
            }
            let into = InvitationScope::Project(here.id);
            assert_eq!(ids(&store, into, None, END).await, made);
            for (status, expected) in [
                (Pending, vec![long]),
                (Accepted, vec![accepted]),
                (Declined, vec![declined]),
                (Revoked, vec![revoked]),
                (Expired, vec![pending]),
            ] {
                assert_eq!(ids(&store, into, Some(status), END).await, expected, "{status:?}, {noted}");
            }
            let before = if noted { vec![long] } else { vec![pending, long] };
            assert_eq!(ids(&store, into, Some(Pending), at(999)).await, before);
            let count = store.read().invitations().count_pending(here.id, at(999)).await.unwrap();
            assert_eq!(count, before.len() as u64);
            assert_eq!(store.read().invitations().count_pending(here.id, END).await.unwrap(), 1);
            let bobs = InvitationScope::Email(&bob.email);
            assert_eq!(ids(&store, bobs, None, END).await, [accepted, declined, revoked, elsewhere.id]);
            assert_eq!(ids(&store, bobs, Some(Expired), END).await, [elsewhere.id]);
        }
        assert_eq!(ids(&store, InvitationScope::Email("nobody@example.com"), None, END).await, []);
    }

    async fn invitations_are_sorted_by_time_with_ties_by_id(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let mut made: Vec<Invitation> = (0..7_i64)
            .map(|number| Invitation {
                created_at: at(20 - number / 3),
                ..new_invitation(&project, &ada, &format!("{number}@example.com"))
            })
            .collect();
        for invitation in &made {
            add(&store, invitation).await;
        }
        made.sort_by_key(|invitation| (invitation.created_at, invitation.id.0));
        let list = async |sort, limit, page| {
            let paging = Paging { limit, page: Some(page), offset: None };
            store.read().invitations().list(InvitationScope::Project(project.id), None, at(30), sort, paging).await.unwrap()
        };
        let mut found = Vec::new();
        for page in 1..=4 {
            let page = list(asc(InvitationSort::CreatedAt), 2, page).await;
            assert_eq!(page.total.count, 7);
            found.extend(page.items);
        }
        assert_eq!(found, made);
        made.reverse();
        assert_eq!(list(desc(InvitationSort::CreatedAt), 9, 1).await.items, made);
    }

    async fn a_deleted_project_hides_its_invitations(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let invitation = new_invitation(&project, &ada, &bob.email);
        add(&store, &invitation).await;
        for deleted_at in [Some(at(50)), None] {
            let project = Project { deleted_at, ..project.clone() };
            commit(&store, async |transaction| transaction.projects().update(&project).await.unwrap()).await;
            let expected = if deleted_at.is_some() { vec![] } else { vec![invitation.id] };
            let found = store.read().invitations().find(invitation.id, at(60)).await.unwrap();
            assert_eq!(Vec::from_iter(found.map(|found| found.id)), expected);
            assert_eq!(ids(&store, InvitationScope::Email(&bob.email), None, at(60)).await, expected);
            assert_eq!(ids(&store, InvitationScope::Project(project.id), None, at(60)).await, expected);
        }
    }
}
