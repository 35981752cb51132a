//! Lists of tasks: order, pages and visibility.

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::{Paging, Sort};
use pocket_tasks::contract::project::{Project, Role};
use pocket_tasks::contract::strings::{OrderKey, TaskTitle};
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::contract::{ProjectId, TaskId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Assignee, Store as _, TaskFilter};

use super::fixtures::{add_tasks, all, asc, at, commit, desc, new_project, new_task, project, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Task numbers in ascending order for each sort field. Ids ascend with the numbers and break ties.
const SORT_ORDERS: [(TaskSort, [usize; 7]); 6] = [
    (TaskSort::CreatedAt, [3, 6, 0, 4, 1, 2, 5]),
    (TaskSort::UpdatedAt, [5, 0, 1, 2, 3, 4, 6]),
    // Tasks without a due time come last.
    (TaskSort::DueAt, [4, 0, 6, 2, 1, 3, 5]),
    (TaskSort::Priority, [1, 6, 3, 5, 0, 4, 2]),
    // Case-insensitively, then byte by byte, independent of the server's locale.
    (TaskSort::Title, [3, 6, 2, 5, 0, 1, 4]),
    (TaskSort::Position, [1, 5, 4, 0, 2, 3, 6]),
];

fn tasks_to_sort(project: &Project) -> [Task; 7] {
    use TaskPriority::{High, Low, Medium, None, Urgent};
    [
        ("Zebra", 3, 1, Some(20), High, "aV"),
        ("zebra", 4, 1, Option::None, None, "Zz"),
        ("b c", 4, 1, Some(30), Urgent, "aa"),
        ("A", 1, 1, Option::None, Medium, "aaa"),
        ("Äpfel", 3, 1, Some(-5), High, "a0V"),
        ("b-a", 9, 0, Option::None, Medium, "a0"),
        ("a", 1, 2, Some(20), Low, "b00"),
    ]
    .map(|(title, created, updated, due, priority, position)| Task {
        title: TaskTitle::new_unchecked(title),
        created_at: at(created),
        updated_at: at(updated),
        due_at: due.map(at),
        priority,
        position: OrderKey::new_unchecked(position),
        ..new_task(project)
    })
}

/// Page of a project's tasks: ids and total.
async fn in_project(
    store: &SeaStore,
    project: ProjectId,
    reader: &User,
    sort: Sort<TaskSort>,
    paging: Paging,
) -> (Vec<TaskId>, u64) {
    let tasks =
        store.read().task_lists().list_in_project(project, reader.id, &TaskFilter::default(), sort, paging).await;
    let page = tasks.unwrap().unwrap().page;
    (page.items.iter().map(|task| task.id).collect(), page.total.count)
}

/// Page of all tasks visible to the reader.
async fn visible(store: &SeaStore, reader: &User, sort: Sort<TaskSort>, paging: Paging) -> (Vec<TaskId>, u64) {
    let tasks = store.read().task_lists().list_visible(reader.id, &TaskFilter::default(), sort, paging).await.unwrap();
    (tasks.page.items.iter().map(|task| task.id).collect(), tasks.page.total.count)
}

on_both_databases! {
    async fn every_sort_has_both_directions_with_ties_by_id(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let tasks = tasks_to_sort(&project);
        // Stored in an order that no sort produces.
        add_tasks(&store, [4, 1, 6, 3, 0, 5, 2].map(|number: usize| &tasks[number])).await;
        for (field, ascending) in SORT_ORDERS {
            let ascending = ascending.map(|number| tasks[number].id);
            let mut descending = ascending;
            descending.reverse();
            for (sort, expected) in [(asc(field), ascending), (desc(field), descending)] {
                assert_eq!(in_project(&store, project.id, &ada, sort, all()).await, (expected.to_vec(), 7), "{sort:?}");
                assert_eq!(visible(&store, &ada, sort, all()).await, (expected.to_vec(), 7), "{sort:?}, of all");
            }
        }
    }

    async fn pages_are_consecutive(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let tasks = tasks_to_sort(&project);
        add_tasks(&store, &tasks).await;
        for (field, ascending) in SORT_ORDERS {
            let expected = ascending.map(|number| tasks[number].id);
            for number in 1..=4 {
                let paging = Paging { limit: 3, page: Some(number), offset: None };
                let start = 7.min(3 * (number as usize - 1));
                let part = (expected[start..7.min(start + 3)].to_vec(), 7);
                assert_eq!(in_project(&store, project.id, &ada, asc(field), paging).await, part, "{field:?} {number}");
                assert_eq!(visible(&store, &ada, asc(field), paging).await, part, "{field:?} {number}, of all");
            }
            let paging = Paging { limit: 2, page: None, offset: Some(5) };
            assert_eq!(in_project(&store, project.id, &ada, asc(field), paging).await, (expected[5..].to_vec(), 7));
        }
    }

    async fn an_unknown_project_has_no_list(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let deleted = Project { deleted_at: Some(at(40)), ..new_project(&ada) };
        commit(&store, async |transaction| transaction.projects().add(&deleted).await).await.unwrap();
        add_tasks(&store, [&new_task(&deleted)]).await;
        for id in [ProjectId::generate(), deleted.id] {
            for filter in [TaskFilter::default(), TaskFilter { deleted_since: Some(at(0)), ..TaskFilter::default() }] {
                let tasks = store.read().task_lists();
                let list = tasks.list_in_project(id, ada.id, &filter, asc(TaskSort::Title), all()).await.unwrap();
                assert!(list.is_none(), "{filter:?}");
            }
        }
        assert_eq!(visible(&store, &ada, asc(TaskSort::Title), all()).await, (vec![], 0));
    }

    async fn only_members_get_the_tasks(database: TestDatabase) {
        let store = database.store().await;
        let [ada, viewer, stranger] = [user(&store).await, user(&store).await, user(&store).await];
        let [project, own] = [project(&store, &ada).await, project(&store, &stranger).await];
        Raw::connect(&database).await.add_member(&project, &viewer, "viewer").await;
        let (task, other) = (new_task(&project), new_task(&own));
        add_tasks(&store, [&task, &other]).await;
        for (reader, role, expected) in [
            (&ada, Some(Role::Owner), vec![task.id]),
            (&viewer, Some(Role::Viewer), vec![task.id]),
            (&stranger, None, vec![]),
        ] {
            let tasks = store.read().task_lists();
            let filter = TaskFilter::default();
            let list = tasks.list_in_project(project.id, reader.id, &filter, asc(TaskSort::Title), all()).await;
            let list = list.unwrap().unwrap();
            assert_eq!(list.role, role);
            assert_eq!(list.page.items.iter().map(|task| task.id).collect::<Vec<_>>(), expected);
        }
        assert_eq!(visible(&store, &viewer, asc(TaskSort::Title), all()).await, (vec![task.id], 1));
        assert_eq!(visible(&store, &stranger, asc(TaskSort::Title), all()).await, (vec![other.id], 1));
    }

    async fn the_list_of_all_tasks_covers_all_active_projects(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let projects = [new_project(&ada), new_project(&bob), Project { archived: true, ..new_project(&ada) }];
        let deleted = Project { deleted_at: Some(at(9)), ..new_project(&ada) };
        commit(&store, async |transaction| {
            for project in projects.iter().chain([&deleted]) {
                transaction.projects().add(project).await.unwrap();
            }
        })
        .await;
        Raw::connect(&database).await.add_member(&projects[1], &ada, "editor").await;
        let tasks: Vec<_> = [&projects[2], &projects[0], &projects[1], &deleted, &projects[0]].map(new_task).into();
        add_tasks(&store, &tasks).await;
        let expected = [0, 1, 2, 4].map(|number: usize| tasks[number].id);
        assert_eq!(visible(&store, &ada, asc(TaskSort::CreatedAt), all()).await, (expected.to_vec(), 4));
    }

    async fn the_list_reports_whether_the_assignee_is_valid(database: TestDatabase) {
        let store = database.store().await;
        let [ada, member, stranger] = [user(&store).await, user(&store).await, user(&store).await];
        let [first, second, strange] =
            [project(&store, &ada).await, project(&store, &ada).await, project(&store, &stranger).await];
        let mut raw = Raw::connect(&database).await;
        raw.add_member(&second, &member, "viewer").await;
        // A stranger shares no project with Ada, although a member is in a project with both.
        raw.add_member(&strange, &member, "viewer").await;
        let assigned = Task { assignee_id: Some(member.id), ..new_task(&second) };
        let open = Task { status: TaskStatus::InProgress, ..new_task(&second) };
        add_tasks(&store, [&assigned, &open]).await;
        let filter = |assignee| TaskFilter { assignee: Some(assignee), ..TaskFilter::default() };
        for (assignee, in_first, in_second, in_any, found) in [
            (Assignee::User(member.id), false, true, true, vec![assigned.id]),
            (Assignee::User(ada.id), true, true, true, vec![]),
            (Assignee::User(stranger.id), false, false, false, vec![]),
            (Assignee::Unassigned, true, true, true, vec![open.id]),
        ] {
            let tasks = store.read().task_lists();
            let filter = filter(assignee);
            for (project, known, expected) in [(&first, in_first, &vec![]), (&second, in_second, &found)] {
                let list = tasks.list_in_project(project.id, ada.id, &filter, asc(TaskSort::Title), all()).await;
                let list = list.unwrap().unwrap();
                assert_eq!(list.assignee_is_valid, known, "{assignee:?}");
                assert_eq!(&list.page.items.iter().map(|task| task.id).collect::<Vec<_>>(), expected);
            }
            let list = tasks.list_visible(ada.id, &filter, asc(TaskSort::Title), all()).await.unwrap();
            assert_eq!(list.assignee_is_valid, in_any, "{assignee:?}");
            assert_eq!(list.page.items.iter().map(|task| task.id).collect::<Vec<_>>(), found);
        }
    }
}
