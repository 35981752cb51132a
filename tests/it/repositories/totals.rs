//! Totals of lists: exact up to 1,000, and longer lists are returned to their end.

use pocket_tasks::contract::page::{MAX_COUNTED, Page, Paging, Total};
use pocket_tasks::contract::task::comment::CommentSort;
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Assignee, Store as _, TaskFilter};

use super::comments::{add_comments, new_comment};
use super::fixtures::{add_tasks, asc, at, new_task, project, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Number of tasks, one of which is done.
const TASKS: u32 = 1_003;

/// Reads the same page of the project and of all visible tasks.
async fn pages(
    store: &SeaStore,
    project: ProjectId,
    reader: UserId,
    filter: &TaskFilter,
    offset: u32,
) -> [Page<Task>; 2] {
    let paging = Paging { limit: 10, page: None, offset: Some(offset) };
    let (lists, sort) = (store.read().task_lists(), asc(TaskSort::CreatedAt));
    let of_project = lists.list_in_project(project, reader, filter, sort, paging).await.unwrap().unwrap();
    let visible = lists.list_visible(reader, filter, sort, paging).await.unwrap();
    [of_project.page, visible.page]
}

on_both_databases! {
    async fn a_filtered_list_counts_1000_tasks_and_is_returned_to_its_end(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let tasks: Vec<Task> = (0..TASKS)
            .map(|number| {
                let time = at(10 + i64::from(number));
                let status = if number == 500 { TaskStatus::Done } else { TaskStatus::Todo };
                let completed_at = (number == 500).then_some(time);
                Task { created_at: time, updated_at: time, due_at: Some(time), status, completed_at, ..new_task(&project) }
            })
            .collect();
        add_tasks(&store, &tasks).await;
        let none = TaskFilter::default;
        let unfiltered = Total::exact(TASKS.into());
        let unknown = Total { count: MAX_COUNTED, is_exact: false };
        let done = TaskFilter { statuses: vec![TaskStatus::Done], ..none() };
        // Filters with an index of their own and without, each with the numbers of the first and of all matching tasks.
        for (filter, first, matching, total) in [
            (none(), 0, TASKS, unfiltered),
            (done, 500, 1, Total::exact(1)),
            (TaskFilter { priorities: vec![TaskPriority::None], ..none() }, 0, TASKS, unknown),
            (TaskFilter { assignee: Some(Assignee::Unassigned), ..none() }, 0, TASKS, unknown),
            (TaskFilter { terms: vec!["task".to_owned()], ..none() }, 0, TASKS, unknown),
            (TaskFilter { created_after: Some(at(11)), ..none() }, 2, TASKS - 2, unknown),
            (TaskFilter { created_after: Some(at(12)), ..none() }, 3, TASKS - 3, Total::exact(1_000)),
            (TaskFilter { updated_after: Some(at(11)), ..none() }, 2, TASKS - 2, unknown),
            (TaskFilter { due_after: Some(at(12)), ..none() }, 3, TASKS - 3, Total::exact(1_000)),
            (TaskFilter { due_before: Some(at(9_999)), ..none() }, 0, TASKS, unknown),
        ] {
            for offset in [0, matching.saturating_sub(11), matching.saturating_sub(10), matching - 1, matching, 5_000] {
                let from = usize::try_from(first + offset.min(matching)).unwrap();
                let expected: Vec<_> =
                    tasks[from..].iter().take(10.min((matching - offset.min(matching)) as usize)).map(|task| task.id).collect();
                for page in pages(&store, project.id, ada.id, &filter, offset).await {
                    let ids: Vec<_> = page.items.iter().map(|task| task.id).collect();
                    assert_eq!((ids, page.total), (expected.clone(), total), "{offset} {filter:?}");
                    assert_eq!(page.has_more, offset + 10 < matching, "{offset} {filter:?}");
                }
            }
        }
    }

    async fn other_lists_count_1000_items_and_are_returned_to_their_end(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let task = new_task(&project);
        add_tasks(&store, [&task]).await;
        let comments: Vec<_> = (0..1_001).map(|_| new_comment(&task, &ada)).collect();
        for (added, total, has_more) in
            [(&comments[..1_000], Total::exact(1_000), false), (&comments[1_000..], Total::counted(1_001), true)]
        {
            add_comments(&store, added).await;
            let paging = Paging { limit: 5, page: Some(200), offset: None };
            let page = store.read().comments().list(task.id, asc(CommentSort::CreatedAt), paging).await.unwrap();
            assert_eq!((page.items.len(), page.total, page.has_more), (5, total, has_more));
        }
        let paging = Paging { limit: 5, page: Some(201), offset: None };
        let page = store.read().comments().list(task.id, asc(CommentSort::CreatedAt), paging).await.unwrap();
        assert_eq!((page.items.len(), page.total.is_exact, page.has_more), (1, false, false));
    }
}
