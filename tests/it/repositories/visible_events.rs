//! Events visible to a reader, compared with a model: many projects, every type, each filter in both directions.

use std::sync::Arc;

use pocket_tasks::contract::UserId;
use pocket_tasks::contract::event::{Event, EventType};
use pocket_tasks::contract::page::Direction;
use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{EventFilter, EventRange, Store as _};

use super::feed_order::new_event;
use super::fixtures::{at, commit, new_project, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{Random, TestDatabase};

/// Numbers of projects and of events: of a reader of a few projects, and of one whose events are searched in the sequence.
const FEEDS: [(usize, usize); 2] = [(12, 600), (200, 1_500)];

/// Feed of many projects, with its reader.
struct Fixture {
    store: Arc<SeaStore>,
    reader: UserId,
    /// Projects with the role of the reader.
    projects: Vec<(Project, Option<Role>)>,
    events: Vec<Event>,
    /// Number of earlier events, of other users.
    before: i64,
}

impl Fixture {
    async fn new(database: &TestDatabase, random: &mut Random, (projects_count, events_count): (usize, usize)) -> Self {
        let store = database.store().await;
        let (reader, other) = (user(&store).await, user(&store).await);
        let mut raw = Raw::connect(database).await;
        let mut projects = Vec::new();
        for _ in 0..projects_count {
            let role = random.one_of(&[None, Some(Role::Owner), Some(Role::Editor), Some(Role::Viewer)]);
            let owner = if role == Some(Role::Owner) { &reader } else { &other };
            let project = Project {
                archived: random.percent(20),
                deleted_at: random.percent(20).then(|| at(40)),
                ..new_project(owner)
            };
            commit(&store, async |transaction| transaction.projects().add(&project).await.unwrap()).await;
            match role {
                Some(Role::Editor) => raw.add_member(&project, &reader, "editor").await,
                Some(Role::Viewer) => raw.add_member(&project, &reader, "viewer").await,
                _ => {}
            }
            projects.push((project, role));
        }
        let before = store.read().events().bounds().await.unwrap().end;
        let mut left = events_count;
        while left > 0 {
            let count = (1 + random.below(25)).min(left);
            let new: Vec<_> = (0..count)
                .map(|_| {
                    // Most events are in the first projects.
                    let few = 1 + random.below(projects.len());
                    let (project, _) = &projects[random.below(few)];
                    new_event(project.id, random.one_of(&EventType::PUBLISHED))
                })
                .collect();
            commit(&store, async |transaction| transaction.events().append(&new).await.unwrap()).await;
            left -= count;
        }
        let events = store.read().events().tail(before, 10_000).await.unwrap();
        assert_eq!(events.len(), events_count);
        Self { store, reader: reader.id, projects, events, before }
    }

    fn sees(&self, event: &Event) -> bool {
        let found = self.projects.iter().find(|(project, _)| project.id == event.project_id);
        let role = found.and_then(|(_, role)| *role);
        let is_invitation = event.kind.as_str().starts_with("invitation.");
        role.is_some_and(|role| role == Role::Owner || !is_invitation)
    }

    fn expected(&self, filter: &EventFilter, walk: EventRange) -> Vec<i64> {
        let is_beyond = |place: i64| match (walk.after, walk.direction) {
            (None, _) => true,
            (Some(beyond), Direction::Asc) => place > beyond,
            (Some(beyond), Direction::Desc) => place < beyond,
        };
        let mut events: Vec<i64> = self
            .events
            .iter()
            .filter(|event| filter.project.is_none_or(|project| project == event.project_id))
            .filter(|event| filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
            .filter(|event| is_beyond(event.sequence) && self.sees(event))
            .map(|event| event.sequence)
            .collect();
        if walk.direction == Direction::Desc {
            events.reverse();
        }
        events.truncate(usize::try_from(walk.limit).unwrap());
        events
    }

    async fn found(&self, filter: &EventFilter, walk: EventRange) -> Vec<i64> {
        let found = self.store.read().events().list(self.reader, filter, walk).await.unwrap();
        assert!(found.iter().all(|event| self.events.contains(event)), "an event changed");
        found.iter().map(|event| event.sequence).collect()
    }

    fn filters(&self, random: &mut Random) -> Vec<EventFilter> {
        let mut filters = vec![EventFilter::default()];
        filters.extend(
            self.projects
                .iter()
                .take(12)
                .map(|(project, _)| EventFilter { project: Some(project.id), kinds: Vec::new() }),
        );
        for _ in 0..40 {
            let project = random.percent(40).then(|| self.projects[random.below(self.projects.len())].0.id);
            let kinds = (0..random.below(4)).map(|_| random.one_of(&EventType::PUBLISHED)).collect();
            filters.push(EventFilter { project, kinds });
        }
        filters.push(EventFilter { project: None, kinds: vec![EventType::WebhookTest] });
        filters
    }
}

/// Asserts that pages with every filter match the model, in both directions.
async fn matches_the_model(fixture: &Fixture, random: &mut Random) {
    let of_owners = fixture.events.iter().filter(|event| EventType::OWNER_ONLY.contains(&event.kind));
    assert!(of_owners.clone().any(|event| fixture.sees(event)) && of_owners.clone().any(|event| !fixture.sees(event)));
    for filter in fixture.filters(random) {
        for direction in [Direction::Asc, Direction::Desc] {
            let all = EventRange { after: None, direction, limit: 1_000 };
            assert_eq!(fixture.found(&filter, all).await, fixture.expected(&filter, all), "{filter:?} {direction:?}");
            for _ in 0..5 {
                let beyond = random
                    .percent(80)
                    .then(|| i64::try_from(random.below(fixture.events.len() + 2)).unwrap() + fixture.before);
                let limit = u64::try_from(1 + random.below(50)).unwrap();
                let walk = EventRange { after: beyond, direction, limit };
                assert_eq!(fixture.found(&filter, walk).await, fixture.expected(&filter, walk), "{filter:?} {walk:?}");
            }
        }
    }
}

on_both_databases! {
    async fn every_feed_page_matches_the_model(database: TestDatabase) {
        let mut random = Random::new();
        for feed in FEEDS {
            matches_the_model(&Fixture::new(&database, &mut random, feed).await, &mut random).await;
        }
    }

    async fn a_user_without_projects_sees_no_events(database: TestDatabase) {
        let fixture = Fixture::new(&database, &mut Random::new(), FEEDS[0]).await;
        let stranger = user(&fixture.store).await;
        let walk = EventRange { after: None, direction: Direction::Asc, limit: 100 };
        let found = fixture.store.read().events().list(stranger.id, &EventFilter::default(), walk).await.unwrap();
        assert_eq!(found, []);
        assert_eq!(fixture.store.read().events().memberships(stranger.id).await.unwrap(), Some(Vec::new()));
        assert_eq!(fixture.store.read().events().memberships(UserId::generate()).await.unwrap(), None);
        let mut roles = fixture.store.read().events().memberships(fixture.reader).await.unwrap().unwrap();
        roles.sort_by_key(|(project, _)| project.0);
        let mut expected: Vec<_> =
            fixture.projects.iter().filter_map(|(project, role)| Some((project.id, (*role)?))).collect();
        expected.sort_by_key(|(project, _)| project.0);
        assert_eq!(roles, expected);
    }
}
