//! Cursor pagination of lists that change between pages, compared with a model: pages follow the documented order, and
//! tasks that keep their place occur exactly once.

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

use crate::api::fixtures::common::percent_encoded;
use crate::api::fixtures::task_model::{Filter, Key, TaskModel, filters};
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

/// Maximum number of changes during pagination, which guarantees that it ends.
const CHANGES: usize = 60;

/// Paginated list.
#[derive(Debug, Clone, Copy)]
enum List {
    Project(ProjectId),
    All(Option<ProjectId>),
}

/// Access path to the pages.
#[derive(Debug, Clone, Copy)]
enum Access {
    Services,
    Http,
}

struct Paginator<'w> {
    access: Access,
    list: List,
    filter: &'w Filter,
    sort: Sort<TaskSort>,
}

/// Content of a page.
struct Page {
    ids: Vec<TaskId>,
    has_more: bool,
    next: Option<String>,
}

/// Result of a pagination.
struct Outcome {
    ids: Vec<TaskId>,
    /// Number of tasks that kept their place.
    steady: usize,
    /// Number of tasks that occurred again because their sort value had changed.
    repeated: usize,
}

impl Paginator<'_> {
    fn project(&self) -> Option<ProjectId> {
        match self.list {
            List::Project(project) => Some(project),
            List::All(project) => project,
        }
    }

    fn list(&self, model: &TaskModel) -> Vec<(Key, TaskId)> {
        model.list(self.project(), self.filter, self.sort)
    }

    fn conditions(&self) -> TaskFilterParams {
        TaskFilterParams::parse_from_json(Some(self.filter.0.clone())).unwrap()
    }

    async fn page(&self, model: &TaskModel, limit: u32, cursor: Option<String>) -> Page {
        let page = match self.access {
            Access::Services => self.page_from_services(model, limit, cursor).await,
            Access::Http => {
                TaskCursorPage::parse_from_json(Some(self.page_over_http(model, limit, cursor).await)).unwrap()
            }
        };
        let next = page.meta.next_cursor.map(Cursor::into_string);
        assert_eq!(page.meta.limit, limit);
        Page { ids: ids(&page.data), has_more: page.meta.has_more, next }
    }

    async fn page_from_services(&self, model: &TaskModel, limit: u32, cursor: Option<String>) -> TaskCursorPage {
        let paging = CursorParams { limit, cursor: cursor.map(Cursor::new_unchecked) };
        let (sort, dir, conditions) = (Some(self.sort.field), Some(self.sort.direction), self.conditions());
        let tasks = &model.app.services.tasks;
        match self.list {
            List::Project(project) => {
                tasks
                    .list_project_by_cursor(
                        model.caller,
                        project,
                        ProjectTaskCursorQuery { paging, sort, dir, filter: conditions },
                    )
                    .await
            }
            List::All(project_id) => {
                tasks
                    .list_by_cursor(model.caller, TaskCursorQuery { paging, sort, dir, project_id, filter: conditions })
                    .await
            }
        }
        .unwrap()
    }

    async fn page_over_http(&self, model: &TaskModel, limit: u32, cursor: Option<String>) -> Value {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut query = match self.list {
            List::Project(project) => format!("/v2/projects/{project}/tasks?limit={limit}"),
            List::All(None) => format!("/v2/tasks?limit={limit}"),
            List::All(Some(project)) => format!("/v2/tasks?project_id={project}&limit={limit}"),
        };
        let sort = [("sort", self.sort.field.to_json()), ("dir", self.sort.direction.to_json())];
        let sort = sort.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap()));
        let filter = self.filter.0.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone()));
        for (name, value) in sort.chain(filter).chain(cursor.map(|cursor| ("cursor".to_owned(), cursor.into()))) {
            let value = match value {
                Value::Array(values) => values.into_iter().map(text).collect::<Vec<_>>().join(","),
                other => text(other),
            };
            query = format!("{query}&{name}={}", percent_encoded(&value));
        }
        model.owner.get(query).await.ok()
    }

    /// The same list read by page numbers with version 1.
    async fn list_by_page_numbers(&self, model: &TaskModel) -> Vec<TaskId> {
        let (sort, dir) = (Some(self.sort.field), Some(self.sort.direction));
        let mut all = Vec::new();
        for page in 1.. {
            let paging = Paging { limit: 100, page: Some(page), offset: None };
            let (conditions, tasks) = (self.conditions(), &model.app.services.tasks);
            let list = match self.list {
                List::Project(project) => {
                    tasks
                        .list_in_project(
                            model.caller,
                            project,
                            ProjectTaskQuery { paging, sort, dir, filter: conditions },
                        )
                        .await
                }
                List::All(project_id) => {
                    tasks.list(model.caller, TaskQuery { paging, sort, dir, project_id, filter: conditions }).await
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

    /// Reads to the end, with or without changes between pages, cycling through the given page limits.
    async fn paginate(&self, model: &mut TaskModel, limits: &[u32], mut changes: usize, context: &str) -> Outcome {
        // Tasks that matched all the time with the same sort value, and tasks whose value changed at any time.
        let mut steady: HashMap<TaskId, Key> = self.list(model).into_iter().map(|(key, id)| (id, key)).collect();
        let mut seen = steady.clone();
        let mut shifted: HashSet<TaskId> = HashSet::new();
        let (mut walked, mut cursor, mut end) = (Vec::new(), None, None);
        let most = model.tasks.len() + changes + 1;
        for pages in 0.. {
            assert!(pages <= most, "the pagination does not end: {context}");
            let limit = model.random.one_of(limits);
            let page = self.page(model, limit, cursor).await;
            let list = self.list(model);
            let mut rest: Vec<&(Key, TaskId)> = list.iter().filter(|item| self.is_after(item, end.as_ref())).collect();
            let has_more = rest.len() > limit as usize;
            rest.truncate(limit as usize);
            assert_eq!(
                page.ids,
                rest.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
                "page {pages}, {rest:?}: {context}"
            );
            assert_eq!(page.has_more, has_more, "page {pages}: {context}");
            assert_eq!(page.next.is_some(), has_more, "page {pages}: {context}");
            walked.extend(page.ids);
            end = rest.last().map(|item| (*item).clone());
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            while changes > 0 && model.random.percent(45) {
                changes -= 1;
                model.change().await;
                let now: HashMap<TaskId, Key> = self.list(model).into_iter().map(|(key, id)| (id, key)).collect();
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
            assert_eq!(times.get(id), Some(&1), "missing although unchanged, {id}: {context}");
        }
        let repeated = walked.len() - times.len();
        for (id, times) in times {
            assert!(times == 1 || shifted.contains(&id), "{id} occurred {times} times: {context}");
        }
        Outcome { ids: walked, steady: steady.len(), repeated }
    }

    fn is_after(&self, item: &(Key, TaskId), end: Option<&(Key, TaskId)>) -> bool {
        end.is_none_or(|end| match self.sort.direction {
            Direction::Asc => item > end,
            Direction::Desc => item < end,
        })
    }
}

fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

/// Paginates in every order, the given number of times each.
async fn paginate_all(database: &TestDatabase, access: Access, rounds: usize) {
    let mut model = TaskModel::new(database).await;
    let filters = filters();
    let (mut paginations, mut steady, mut repeated) = (0, 0, 0);
    for field in SORTS {
        for direction in [Direction::Asc, Direction::Desc] {
            for round in 0..rounds {
                let project = model.projects[0];
                let list = [List::Project(project), List::All(None), List::All(Some(project))][round % 3];
                // Each list also without a filter.
                let filter = if round < 3 { &filters[0] } else { &filters[model.random.below(filters.len())] };
                let limits = [[7, 7, 7, 7], [1, 1, 1, 1], [1, 2, 7, 100], [2, 2, 2, 2], [1, 2, 7, 7]][round % 5];
                let paginator = Paginator { access, list, filter, sort: Sort { field, direction } };
                let context = format!("{:?} {list:?} {:?} {limits:?}", paginator.sort, filter.0);
                let changing = paginator.paginate(&mut model, &limits, CHANGES, &context).await;
                (paginations, steady, repeated) =
                    (paginations + 1, steady + changing.steady, repeated + changing.repeated);
                let unchanged = paginator.paginate(&mut model, &[[7, 100], [2, 7]][round % 2], 0, &context).await;
                assert_eq!(unchanged.ids, paginator.list_by_page_numbers(&model).await, "version 1: {context}");
            }
        }
    }
    // The test proves nothing unless tasks stay in place and changes occur.
    assert!(steady > paginations * 5, "{steady} tasks kept their place in {paginations} paginations");
    assert!(repeated > 0 || rounds == 1, "no task occurred twice");
}

on_both_databases! {
    async fn tasks_that_keep_their_place_occur_once_despite_changes(database: TestDatabase) {
        paginate_all(&database, Access::Services, 8).await;
    }

    async fn pagination_over_http_behaves_the_same(database: TestDatabase) {
        paginate_all(&database, Access::Http, 1).await;
    }
}
