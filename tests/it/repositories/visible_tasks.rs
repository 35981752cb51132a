//! Tasks visible to a reader, compared with a model: many projects, many ties, each filter with each sort.

use std::sync::Arc;

use pocket_tasks::contract::page::{Direction, Paging, Sort};
use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::strings::{Label, OrderKey, TaskTitle};
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::contract::{TaskId, UserId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Assignee, CursorRequest, Store as _, TaskFilter};

use super::fixtures::{add_tasks, at, commit, new_project, new_task, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{Random, TestDatabase};

const SORTS: [TaskSort; 6] = [
    TaskSort::CreatedAt,
    TaskSort::UpdatedAt,
    TaskSort::DueAt,
    TaskSort::Priority,
    TaskSort::Title,
    TaskSort::Position,
];
const TITLES: [&str; 5] = ["a", "A", "b-a", "b a", "_"];
/// Enough for pages beyond the rows that are read project by project.
const TASKS: usize = 420;

/// Filter with its predicate.
type Filter = (TaskFilter, fn(&Task, &Fixture) -> bool);

/// Projects and tasks, with their reader.
struct Fixture {
    store: Arc<SeaStore>,
    reader: UserId,
    other: UserId,
    /// Projects with the membership of the reader.
    projects: Vec<(Project, bool)>,
    tasks: Vec<Task>,
}

impl Fixture {
    async fn new(database: &TestDatabase, random: &mut Random) -> Self {
        let store = database.store().await;
        let (reader, other) = (user(&store).await, user(&store).await);
        let mut raw = Raw::connect(database).await;
        let mut projects = Vec::new();
        for _ in 0..14 {
            let owner = if random.percent(50) { &reader } else { &other };
            let project = Project {
                archived: random.percent(20),
                deleted_at: random.percent(15).then(|| at(40)),
                ..new_project(owner)
            };
            commit(&store, async |transaction| transaction.projects().add(&project).await.unwrap()).await;
            let invited = owner.id != reader.id && random.percent(70);
            if invited {
                raw.add_member(&project, &reader, random.one_of(&["editor", "viewer"])).await;
            }
            projects.push((project, invited || owner.id == reader.id));
        }
        // Always included: an empty project that every user can see.
        let empty = new_project(&reader);
        commit(&store, async |transaction| transaction.projects().add(&empty).await.unwrap()).await;
        let tasks: Vec<Task> =
            (0..TASKS).map(|number| task(number, &projects, [reader.id, other.id], random)).collect();
        add_tasks(&store, &tasks).await;
        Self { store, reader: reader.id, other: other.id, projects, tasks }
    }

    /// Returns whether the reader sees the task in the list with this filter.
    fn is_seen(&self, task: &Task, filter: &TaskFilter) -> bool {
        self.projects.iter().any(|(project, member)| {
            let is_kept = project.deleted_at.is_none() && !(filter.not_archived && project.archived);
            project.id == task.project_id && *member && is_kept
        })
    }

    fn expected(&self, (filter, matches): &Filter, sort: Sort<TaskSort>) -> Vec<TaskId> {
        let is_listed = |task: &&Task| {
            let is_deleted = task.deleted_at.is_some();
            is_deleted == filter.deleted_since.is_some() && self.is_seen(task, filter) && matches(task, self)
        };
        let mut tasks: Vec<&Task> = self.tasks.iter().filter(is_listed).collect();
        tasks.sort_by_key(|task| (key(task, sort.field), task.id.0));
        if sort.direction == Direction::Desc {
            tasks.reverse();
        }
        tasks.iter().map(|task| task.id).collect()
    }

    /// Reads a list to its end by cursor.
    async fn walk(&self, filter: &TaskFilter, sort: Sort<TaskSort>, random: &mut Random) -> Vec<TaskId> {
        let (mut passed, mut after) = (Vec::new(), None);
        loop {
            let limit = u32::try_from(1 + random.below(40)).unwrap();
            let walk = CursorRequest { sort, after, limit };
            let tasks =
                self.store.read().task_lists().list_visible_by_cursor(self.reader, filter, &walk).await.unwrap();
            assert!(tasks.assignee_is_valid);
            passed.extend(tasks.page.items.iter().map(|task| task.id));
            assert!(passed.len() <= TASKS, "the pagination does not end: {sort:?} {filter:?}");
            let Some(next) = tasks.page.next else { return passed };
            assert_eq!(tasks.page.items.len(), limit as usize, "{sort:?} {filter:?}");
            after = Some(next);
        }
    }

    async fn page(&self, filter: &TaskFilter, sort: Sort<TaskSort>, paging: Paging) -> (Vec<TaskId>, u64) {
        let tasks = self.store.read().task_lists().list_visible(self.reader, filter, sort, paging).await.unwrap();
        (tasks.page.items.iter().map(|task| task.id).collect(), tasks.page.total.count)
    }
}

/// Task with common values in every field. Most are in the first projects.
fn task(number: usize, projects: &[(Project, bool)], assignees: [UserId; 2], random: &mut Random) -> Task {
    let few = 1 + random.below(projects.len());
    let (project, _) = &projects[random.below(few)];
    let status = random.one_of(&[TaskStatus::Todo, TaskStatus::InProgress, TaskStatus::Done]);
    let mut time = |choices| i64::try_from(random.below(choices)).unwrap();
    let (created_at, updated_at, due_at, deleted_at) = (at(time(9)), at(time(9)), at(time(4)), at(time(4)));
    Task {
        title: TaskTitle::new_unchecked(random.one_of(&TITLES)),
        status,
        priority: random.one_of(&[TaskPriority::None, TaskPriority::Medium, TaskPriority::Urgent]),
        due_at: random.percent(60).then_some(due_at),
        assignee_id: random.percent(40).then(|| random.one_of(&assignees)),
        labels: if random.percent(30) { vec![Label::new_unchecked("home")] } else { Vec::new() },
        // Equal in many projects, but unique in each.
        position: OrderKey::new_unchecked(format!("a{:03}", number / 2 + number % 2 * 500)),
        completed_at: (status == TaskStatus::Done).then_some(at(5)),
        deleted_at: random.percent(20).then_some(deleted_at),
        created_at,
        updated_at,
        ..new_task(project)
    }
}

fn key(task: &Task, sort: TaskSort) -> (i64, String) {
    match sort {
        TaskSort::CreatedAt => (task.created_at.0, String::new()),
        TaskSort::UpdatedAt => (task.updated_at.0, String::new()),
        TaskSort::DueAt => (task.due_at.map_or(i64::MAX, |time| time.0), String::new()),
        TaskSort::Priority => (task.priority as i64, String::new()),
        TaskSort::Title => (0, task.title.to_lowercase()),
        TaskSort::Position => (0, task.position.to_string()),
    }
}

fn filters(fixture: &Fixture) -> Vec<Filter> {
    let plain = TaskFilter::default();
    let assigned = |assignee| TaskFilter { assignee: Some(assignee), ..TaskFilter::default() };
    let trash = TaskFilter { deleted_since: Some(at(1)), ..plain.clone() };
    vec![
        (plain.clone(), |_, _| true),
        (TaskFilter { not_archived: true, ..plain.clone() }, |_, _| true),
        (TaskFilter { statuses: vec![TaskStatus::Done], ..plain.clone() }, |task, _| task.status == TaskStatus::Done),
        (TaskFilter { priorities: vec![TaskPriority::Medium, TaskPriority::Low], ..plain.clone() }, |task, _| {
            task.priority == TaskPriority::Medium
        }),
        (assigned(Assignee::Unassigned), |task, _| task.assignee_id.is_none()),
        (assigned(Assignee::User(fixture.reader)), |task, fixture| task.assignee_id == Some(fixture.reader)),
        (assigned(Assignee::User(fixture.other)), |task, fixture| task.assignee_id == Some(fixture.other)),
        (TaskFilter { labels: vec![Label::new_unchecked("home")], ..plain.clone() }, |task, _| !task.labels.is_empty()),
        (TaskFilter { terms: vec!["b".to_owned()], ..plain.clone() }, |task, _| task.title.contains('b')),
        (TaskFilter { due_before: Some(at(2)), ..plain.clone() }, |task, _| {
            task.due_at.is_some_and(|time| time < at(2))
        }),
        (TaskFilter { due_after: Some(at(2)), ..plain.clone() }, |task, _| {
            task.due_at.is_some_and(|time| time > at(2))
        }),
        (TaskFilter { created_after: Some(at(3)), ..plain.clone() }, |task, _| task.created_at > at(3)),
        (TaskFilter { updated_after: Some(at(8)), ..plain }, |_, _| false),
        (trash.clone(), |task, _| task.deleted_at > Some(at(1))),
        (TaskFilter { not_archived: true, statuses: vec![TaskStatus::Todo], ..trash }, |task, _| {
            task.deleted_at > Some(at(1)) && task.status == TaskStatus::Todo
        }),
    ]
}

on_both_databases! {
    async fn every_list_of_all_tasks_matches_the_model(database: TestDatabase) {
        let mut random = Random::new();
        let fixture = Fixture::new(&database, &mut random).await;
        for filter in filters(&fixture) {
            for (field, direction) in SORTS.into_iter().flat_map(|field| [(field, Direction::Asc), (field, Direction::Desc)]) {
                let sort = Sort { field, direction };
                let expected = fixture.expected(&filter, sort);
                assert_eq!(fixture.walk(&filter.0, sort, &mut random).await, expected, "{sort:?} {:?}", filter.0);
                for _ in 0..3 {
                    let offset = random.below(expected.len() + 10);
                    let limit = 1 + random.below(100);
                    let paging = Paging {
                        limit: u32::try_from(limit).unwrap(),
                        page: None,
                        offset: Some(u32::try_from(offset).unwrap()),
                    };
                    let part: Vec<_> = expected.iter().copied().skip(offset).take(limit).collect();
                    let page = fixture.page(&filter.0, sort, paging).await;
                    assert_eq!(page, (part, expected.len() as u64), "{paging:?} {sort:?} {:?}", filter.0);
                }
            }
        }
    }

    async fn a_user_without_projects_sees_no_tasks(database: TestDatabase) {
        let mut random = Random::new();
        let fixture = Fixture::new(&database, &mut random).await;
        let stranger = Fixture { reader: user(&fixture.store).await.id, ..fixture };
        let sort = Sort { field: TaskSort::Priority, direction: Direction::Asc };
        let filter = TaskFilter::default();
        assert_eq!(stranger.page(&filter, sort, Paging::default()).await, (vec![], 0));
        assert_eq!(stranger.walk(&filter, sort, &mut random).await, vec![]);
    }
}
