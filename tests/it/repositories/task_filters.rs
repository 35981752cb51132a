//! Filters of task lists.

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::strings::{Label, TaskDescription, TaskTitle};
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Assignee, Store as _, TaskFilter};

use super::fixtures::{add_tasks, all, asc, at, new_task, project, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Project of a user, with tasks.
struct Board {
    project: Project,
    reader: User,
    tasks: Vec<Task>,
}

impl Board {
    /// Creates plain tasks, each modified by `change` according to its number.
    async fn new(store: &SeaStore, count: usize, change: impl Fn(usize, Task, &User) -> Task) -> Self {
        let reader = user(store).await;
        let project = project(store, &reader).await;
        let tasks: Vec<_> = (0..count).map(|number| change(number, new_task(&project), &reader)).collect();
        add_tasks(store, &tasks).await;
        Self { project, reader, tasks }
    }

    /// Asserts that the filter matches exactly the tasks with these numbers, in both lists.
    async fn gives(&self, store: &SeaStore, filter: &TaskFilter, numbers: &[usize]) {
        let expected: Vec<_> = numbers.iter().map(|number| self.tasks[*number].id).collect();
        let tasks = store.read().task_lists();
        let (sort, reader) = (asc(TaskSort::CreatedAt), self.reader.id);
        let list = tasks.list_in_project(self.project.id, reader, filter, sort, all()).await.unwrap().unwrap();
        let visible = tasks.list_visible(reader, filter, sort, all()).await.unwrap();
        for page in [list.page, visible.page] {
            assert_eq!(page.items.iter().map(|task| task.id).collect::<Vec<_>>(), expected, "{filter:?}");
            assert_eq!(page.total.count, expected.len() as u64, "{filter:?}");
        }
    }
}

on_both_databases! {
    async fn one_of_the_statuses_and_priorities_must_match(database: TestDatabase) {
        use TaskPriority::{High, Low, Urgent};
        use TaskStatus::{Done, InProgress, Todo};
        let store = database.store().await;
        let kinds = [(Todo, Low), (InProgress, High), (Done, Urgent), (Todo, High)];
        let board = Board::new(&store, 4, |number, task, _| {
            let (status, priority) = kinds[number];
            Task { status, priority, completed_at: (status == Done).then_some(at(1)), ..task }
        })
        .await;
        for (statuses, priorities, expected) in [
            (vec![], vec![], vec![0, 1, 2, 3]),
            (vec![Todo], vec![], vec![0, 3]),
            (vec![Todo, Done], vec![], vec![0, 2, 3]),
            (vec![], vec![High, Urgent], vec![1, 2, 3]),
            (vec![Todo, InProgress], vec![High], vec![1, 3]),
            (vec![Done], vec![Low], vec![]),
        ] {
            let filter = TaskFilter { statuses, priorities, ..TaskFilter::default() };
            board.gives(&store, &filter, &expected).await;
        }
    }

    async fn tasks_are_found_by_their_assignee(database: TestDatabase) {
        let store = database.store().await;
        let board =
            Board::new(&store, 3, |number, task, ada| Task { assignee_id: (number != 1).then_some(ada.id), ..task })
                .await;
        for (assignee, expected) in [(Assignee::User(board.reader.id), vec![0, 2]), (Assignee::Unassigned, vec![1])] {
            let filter = TaskFilter { assignee: Some(assignee), ..TaskFilter::default() };
            board.gives(&store, &filter, &expected).await;
        }
    }

    async fn all_labels_must_match_exactly(database: TestDatabase) {
        let store = database.store().await;
        let labels: [&[&str]; 6] =
            [&["home", "50%"], &["Home"], &["homework", "a_b"], &["at home", "a", r"c\d"], &["größe", "it's"], &[]];
        let board = Board::new(&store, 6, |number, task, _| Task {
            labels: labels[number].iter().copied().map(Label::new_unchecked).collect(),
            ..task
        })
        .await;
        for (labels, expected) in [
            (vec!["home"], vec![0]),
            (vec!["Home"], vec![1]),
            (vec!["50%", "home"], vec![0]),
            (vec!["home", "Home"], vec![]),
            (vec!["%"], vec![]),
            (vec!["h_me"], vec![]),
            (vec!["a_b"], vec![2]),
            (vec![r"c\d"], vec![3]),
            (vec!["a"], vec![3]),
            (vec!["größe"], vec![4]),
            (vec!["GRÖSSE"], vec![]),
            (vec!["it's"], vec![4]),
        ] {
            let labels = labels.into_iter().map(Label::new_unchecked).collect();
            board.gives(&store, &TaskFilter { labels, ..TaskFilter::default() }, &expected).await;
        }
    }

    async fn every_word_occurs_in_the_title_or_the_description(database: TestDatabase) {
        let store = database.store().await;
        let texts = [
            ("Fliesen WÄHLEN", Some("100 % matt")),
            ("Größe: 100%", None),
            ("snake_case", Some(r"C:\Temp")),
            ("snakeXcase", Some("ΟΔΟΣ 'x'")),
        ];
        let board = Board::new(&store, 4, |number, task, _| {
            let (title, description) = texts[number];
            let description = description.map(TaskDescription::new_unchecked);
            Task { title: TaskTitle::new_unchecked(title), description, ..task }
        })
        .await;
        for (words, expected) in [
            (vec!["fliesen"], vec![0]),
            (vec!["wähl"], vec![0]),
            (vec!["MATT", "Fliesen"], vec![0]),
            (vec!["fliesen", "größe"], vec![]),
            (vec!["100"], vec![0, 1]),
            (vec!["100%"], vec![1]),
            (vec!["GRÖßE"], vec![1]),
            (vec!["_"], vec![2]),
            (vec!["e_c"], vec![2]),
            (vec![r"\"], vec![2]),
            (vec![r"c:\t"], vec![2]),
            (vec!["οδος"], vec![3]),
            (vec!["'x'"], vec![3]),
            (vec!["snake"], vec![2, 3]),
        ] {
            let terms = words.into_iter().map(str::to_owned).collect();
            board.gives(&store, &TaskFilter { terms, ..TaskFilter::default() }, &expected).await;
        }
    }

    async fn time_limits_are_exclusive(database: TestDatabase) {
        let store = database.store().await;
        let board = Board::new(&store, 4, |number, task, _| {
            let time = at(10 * i64::try_from(number).unwrap());
            Task { due_at: (number < 3).then_some(time), created_at: time, updated_at: time, ..task }
        })
        .await;
        let none = TaskFilter::default;
        for (filter, expected) in [
            (TaskFilter { due_before: Some(at(10)), ..none() }, vec![0]),
            (TaskFilter { due_after: Some(at(10)), ..none() }, vec![2]),
            (TaskFilter { due_after: Some(at(0)), due_before: Some(at(20)), ..none() }, vec![1]),
            (TaskFilter { due_before: Some(at(i64::from(u32::MAX))), ..none() }, vec![0, 1, 2]),
            (TaskFilter { created_after: Some(at(10)), ..none() }, vec![2, 3]),
            (TaskFilter { updated_after: Some(at(20)), ..none() }, vec![3]),
        ] {
            board.gives(&store, &filter, &expected).await;
        }
    }

    async fn deleted_tasks_are_listed_separately_from_a_given_time(database: TestDatabase) {
        let store = database.store().await;
        let board = Board::new(&store, 4, |number, task, _| Task {
            deleted_at: [None, Some(at(10)), Some(at(20)), None][number],
            ..task
        })
        .await;
        for (deleted_since, expected) in
            [(None, vec![0, 3]), (Some(at(9)), vec![1, 2]), (Some(at(10)), vec![2]), (Some(at(20)), vec![])]
        {
            board.gives(&store, &TaskFilter { deleted_since, ..TaskFilter::default() }, &expected).await;
        }
    }

    async fn all_conditions_together_must_hold(database: TestDatabase) {
        let store = database.store().await;
        let board = Board::new(&store, 6, |number, task, ada| Task {
            title: TaskTitle::new_unchecked(if number == 1 { "other" } else { "word" }),
            labels: if number == 2 { vec![] } else { vec![Label::new_unchecked("home")] },
            priority: if number == 3 { TaskPriority::Low } else { TaskPriority::High },
            assignee_id: (number != 4).then_some(ada.id),
            due_at: Some(at(if number == 5 { 0 } else { 20 })),
            ..task
        })
        .await;
        let filter = TaskFilter {
            statuses: vec![TaskStatus::Todo],
            priorities: vec![TaskPriority::High],
            assignee: Some(Assignee::User(board.reader.id)),
            labels: vec![Label::new_unchecked("home")],
            due_after: Some(at(10)),
            due_before: Some(at(30)),
            created_after: Some(at(0)),
            updated_after: Some(at(0)),
            terms: vec!["word".to_owned()],
            ..TaskFilter::default()
        };
        board.gives(&store, &filter, &[0]).await;
    }
}
