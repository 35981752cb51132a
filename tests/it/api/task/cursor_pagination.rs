//! Walks by cursors through lists that change meanwhile, against a model: each page is the one that follows in the
//! published order, and what stays where it is comes exactly once.

use std::collections::{HashMap, HashSet};

use pocket_tasks::contract::page::{CursorParams, Direction, Paging, Sort};
use pocket_tasks::contract::strings::Cursor;
use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::task::query::{
    ProjectTaskCursorQuery, ProjectTaskQuery, TaskCursorPage, TaskCursorQuery, TaskFilterParams, TaskQuery, TaskSort,
};
use pocket_tasks::contract::{ProjectId, TaskId};
use poem_openapi::types::{ParseFromJSON as _, ToJSON as _};
use serde_json::Value;

use crate::api::fixtures::common::encoded;
use crate::api::fixtures::task_model::{Filter, Key, World, filters};
use crate::on_both_databases;
use crate::support::TestDatabase;

const SORTS: [TaskSort; 6] = [
    TaskSort::CreatedAt,
    TaskSort::UpdatedAt,
    TaskSort::DueAt,
    TaskSort::Priority,
    TaskSort::Title,
    TaskSort::Position,
];

/// How many changes a walk sees at most, so that it must end.
const CHANGES: usize = 60;

/// Which list.
#[derive(Debug, Clone, Copy)]
enum Path {
    Project(ProjectId),
    All(Option<ProjectId>),
}

/// How the pages are got.
#[derive(Debug, Clone, Copy)]
enum Way {
    Services,
    Http,
}

struct Walker<'w> {
    way: Way,
    path: Path,
    filter: &'w Filter,
    sort: Sort<TaskSort>,
}

/// What a page says.
struct Page {
    ids: Vec<TaskId>,
    has_more: bool,
    next: Option<String>,
}

/// What a walk came to.
struct Walked {
    ids: Vec<TaskId>,
    /// How many tasks stayed where they were.
    steady: usize,
    /// How often a task came once more, because its sort value had changed.
    repeated: usize,
}

impl Walker<'_> {
    fn project(&self) -> Option<ProjectId> {
        match self.path {
            Path::Project(project) => Some(project),
            Path::All(project) => project,
        }
    }

    fn list(&self, world: &World) -> Vec<(Key, TaskId)> {
        world.list(self.project(), self.filter, self.sort)
    }

    fn conditions(&self) -> TaskFilterParams {
        TaskFilterParams::parse_from_json(Some(self.filter.0.clone())).unwrap()
    }

    async fn page(&self, world: &World, limit: u32, cursor: Option<String>) -> Page {
        let slice = match self.way {
            Way::Services => self.ask_services(world, limit, cursor).await,
            Way::Http => TaskCursorPage::parse_from_json(Some(self.ask_over_http(world, limit, cursor).await)).unwrap(),
        };
        let next = slice.meta.next_cursor.map(Cursor::into_string);
        assert_eq!(slice.meta.limit, limit);
        Page { ids: ids(&slice.data), has_more: slice.meta.has_more, next }
    }

    async fn ask_services(&self, world: &World, limit: u32, cursor: Option<String>) -> TaskCursorPage {
        let paging = CursorParams { limit, cursor: cursor.map(Cursor::new_unchecked) };
        let (sort, dir, conditions) = (Some(self.sort.field), Some(self.sort.direction), self.conditions());
        let tasks = &world.app.services.tasks;
        match self.path {
            Path::Project(project) => {
                tasks
                    .list_project_by_cursor(
                        world.caller,
                        project,
                        ProjectTaskCursorQuery { paging, sort, dir, conditions },
                    )
                    .await
            }
            Path::All(project_id) => {
                tasks.list_by_cursor(world.caller, TaskCursorQuery { paging, sort, dir, project_id, conditions }).await
            }
        }
        .unwrap()
    }

    async fn ask_over_http(&self, world: &World, limit: u32, cursor: Option<String>) -> Value {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut query = match self.path {
            Path::Project(project) => format!("/v2/projects/{project}/tasks?limit={limit}"),
            Path::All(None) => format!("/v2/tasks?limit={limit}"),
            Path::All(Some(project)) => format!("/v2/tasks?project_id={project}&limit={limit}"),
        };
        let sort = [("sort", self.sort.field.to_json()), ("dir", self.sort.direction.to_json())];
        let sort = sort.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap()));
        let filter = self.filter.0.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone()));
        for (name, value) in sort.chain(filter).chain(cursor.map(|cursor| ("cursor".to_owned(), cursor.into()))) {
            let value = match value {
                Value::Array(values) => values.into_iter().map(text).collect::<Vec<_>>().join(","),
                other => text(other),
            };
            query = format!("{query}&{name}={}", encoded(&value));
        }
        world.owner.get(query).await.ok()
    }

    /// The same list as version 1 gives it.
    async fn by_pages(&self, world: &World) -> Vec<TaskId> {
        let (sort, dir) = (Some(self.sort.field), Some(self.sort.direction));
        let mut all = Vec::new();
        for page in 1.. {
            let paging = Paging { limit: 100, page: Some(page), offset: None };
            let (conditions, tasks) = (self.conditions(), &world.app.services.tasks);
            let list = match self.path {
                Path::Project(project) => {
                    tasks
                        .list_in_project(world.caller, project, ProjectTaskQuery { paging, sort, dir, conditions })
                        .await
                }
                Path::All(project_id) => {
                    tasks.list(world.caller, TaskQuery { paging, sort, dir, project_id, conditions }).await
                }
            }
            .unwrap();
            all.extend(ids(&list.items));
            if list.items.len() < 100 {
                break;
            }
        }
        all
    }

    /// Goes to the end, with changes between the pages or without. The limit of each page is one of those given.
    async fn walk(&self, world: &mut World, limits: &[u32], mut changes: usize, place: &str) -> Walked {
        // What matched all the time with the same sort value, and what had another one at any time.
        let mut steady: HashMap<TaskId, Key> = self.list(world).into_iter().map(|(key, id)| (id, key)).collect();
        let mut seen = steady.clone();
        let mut shifted: HashSet<TaskId> = HashSet::new();
        let (mut walked, mut cursor, mut end) = (Vec::new(), None, None);
        let most = world.tasks.len() + changes + 1;
        for pages in 0.. {
            assert!(pages <= most, "the walk does not end: {place}");
            let limit = world.random.one_of(limits);
            let page = self.page(world, limit, cursor).await;
            let list = self.list(world);
            let mut rest: Vec<&(Key, TaskId)> = list.iter().filter(|item| self.is_beyond(item, end.as_ref())).collect();
            let has_more = rest.len() > limit as usize;
            rest.truncate(limit as usize);
            assert_eq!(page.ids, rest.iter().map(|(_, id)| *id).collect::<Vec<_>>(), "page {pages}, {rest:?}: {place}");
            assert_eq!(page.has_more, has_more, "page {pages}: {place}");
            assert_eq!(page.next.is_some(), has_more, "page {pages}: {place}");
            walked.extend(page.ids);
            end = rest.last().map(|item| (*item).clone());
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            while changes > 0 && world.random.percent(45) {
                changes -= 1;
                world.change().await;
                let now: HashMap<TaskId, Key> = self.list(world).into_iter().map(|(key, id)| (id, key)).collect();
                steady.retain(|id, key| now.get(id) == Some(key));
                for (id, key) in now {
                    if seen.insert(id, key.clone()).is_some_and(|before| before != key) {
                        shifted.insert(id);
                    }
                }
            }
        }
        let mut times: HashMap<TaskId, usize> = HashMap::new();
        for id in &walked {
            *times.entry(*id).or_default() += 1;
        }
        for id in steady.keys() {
            assert_eq!(times.get(id), Some(&1), "{id} was there all the time: {place}");
        }
        let repeated = walked.len() - times.len();
        for (id, times) in times {
            assert!(times == 1 || shifted.contains(&id), "{id} came {times} times: {place}");
        }
        Walked { ids: walked, steady: steady.len(), repeated }
    }

    fn is_beyond(&self, item: &(Key, TaskId), end: Option<&(Key, TaskId)>) -> bool {
        end.is_none_or(|end| match self.sort.direction {
            Direction::Asc => item > end,
            Direction::Desc => item < end,
        })
    }
}

fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

/// Walks in every order, so many times each.
async fn walk_all(database: &TestDatabase, way: Way, rounds: usize) {
    let mut world = World::new(database).await;
    let filters = filters();
    let (mut walks, mut steady, mut repeated) = (0, 0, 0);
    for field in SORTS {
        for direction in [Direction::Asc, Direction::Desc] {
            for round in 0..rounds {
                let project = world.projects[0];
                let path = [Path::Project(project), Path::All(None), Path::All(Some(project))][round % 3];
                // Each list without a filter too.
                let filter = if round < 3 { &filters[0] } else { &filters[world.random.below(filters.len())] };
                let limits = [[7, 7, 7, 7], [1, 1, 1, 1], [1, 2, 7, 100], [2, 2, 2, 2], [1, 2, 7, 7]][round % 5];
                let walker = Walker { way, path, filter, sort: Sort { field, direction } };
                let place = format!("{:?} {path:?} {:?} {limits:?}", walker.sort, filter.0);
                let came = walker.walk(&mut world, &limits, CHANGES, &place).await;
                (walks, steady, repeated) = (walks + 1, steady + came.steady, repeated + came.repeated);
                let still = walker.walk(&mut world, &[[7, 100], [2, 7]][round % 2], 0, &place).await;
                assert_eq!(still.ids, walker.by_pages(&world).await, "version 1: {place}");
            }
        }
    }
    // Walks that everything runs away from would prove nothing, and neither would those in which nothing happens.
    assert!(steady > walks * 5, "{steady} tasks stayed in {walks} walks");
    assert!(repeated > 0 || rounds == 1, "no task came twice");
}

on_both_databases! {
    async fn whatever_changes_meanwhile_each_task_that_stays_is_walked_once(database: TestDatabase) {
        walk_all(&database, Way::Services, 8).await;
    }

    async fn a_walk_over_http_is_the_same_walk(database: TestDatabase) {
        walk_all(&database, Way::Http, 1).await;
    }
}
