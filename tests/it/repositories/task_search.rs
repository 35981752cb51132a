//! Searches among so many tasks that indexes find rare words and labels, compared with plain searches.

use std::sync::Arc;

use pocket_tasks::contract::TaskId;
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::{Direction, Paging, Sort, Total};
use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::strings::{Label, TaskTitle};
use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::unicode::fold;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{CursorRequest, Store as _, TaskFilter};

use super::fixtures::{all, asc, at, commit, new_task, project, task_counts, user};
use crate::on_both_databases;
use crate::support::{Random, TestDatabase};

/// More than are searched without an index, and enough for several portions of the index of SQLite and a queue.
pub(super) const TASKS: usize = 1_300;

/// Pieces of titles. Some are folded, some have a meaning in a pattern or in the language of an index.
const PIECES: [&str; 16] =
    ["a", "b", "c", "d", "e", "ß", "É", "İ", "e\u{301}", "😀", "\u{1f44d}\u{1f3fd}", "%", "_", "\\", "\"", "'"];

/// Projects with many tasks.
pub(super) struct Crowd {
    pub(super) store: Arc<SeaStore>,
    pub(super) reader: User,
    pub(super) home: Project,
    /// Another project of the reader, with few tasks.
    pub(super) other: Project,
    pub(super) tasks: Vec<Task>,
}

impl Crowd {
    /// Creates tasks, each modified by `change`, and as many in a project that the reader cannot see.
    pub(super) async fn new(database: &TestDatabase, mut change: impl FnMut(usize, Task) -> Task) -> Self {
        let store = database.store().await;
        let (reader, stranger) = (user(&store).await, user(&store).await);
        let (home, other) = (project(&store, &reader).await, project(&store, &reader).await);
        let hidden = project(&store, &stranger).await;
        let mut tasks = Vec::new();
        for project in [&home, &hidden] {
            let numbers = 0..if project.id == home.id { TASKS } else { 50 };
            let created: Vec<Task> = numbers.map(|number| change(number, new_task(project))).collect();
            add_many(&store, &created).await;
            tasks.extend(created);
        }
        tasks.retain(|task| task.project_id == home.id);
        Self { store, reader, home, other, tasks }
    }

    /// The ids of the tasks of a list, which its pages by number and by cursor agree on.
    pub(super) async fn found(&self, filter: &TaskFilter, in_project: bool) -> Vec<TaskId> {
        let lists = self.store.read().task_lists();
        let (reader, sort) = (self.reader.id, asc(TaskSort::CreatedAt));
        let page = if in_project {
            lists.list_in_project(self.home.id, reader, filter, sort, all()).await.unwrap().unwrap().page
        } else {
            lists.list_visible(reader, filter, sort, all()).await.unwrap().page
        };
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let request = CursorRequest { sort, after, limit: 100 };
            let page = if in_project {
                lists.list_in_project_by_cursor(self.home.id, reader, filter, &request).await.unwrap().unwrap().page
            } else {
                lists.list_visible_by_cursor(reader, filter, &request).await.unwrap().page
            };
            walked.extend(page.items.iter().map(|task| task.id));
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        let first: Vec<_> = page.items.iter().map(|task| task.id).collect();
        assert_eq!(first, walked[..walked.len().min(100)], "{filter:?}");
        if walked.len() <= 100 {
            assert_eq!(page.total, Total::exact(walked.len() as u64), "{filter:?}");
        }
        walked
    }

    /// Asserts that exactly these tasks are found, in both lists.
    pub(super) async fn finds(&self, filter: &TaskFilter, expected: &[TaskId]) {
        for in_project in [true, false] {
            assert_eq!(self.found(filter, in_project).await, expected, "{filter:?} in a project: {in_project}");
        }
    }

    /// The tasks whose title contains all terms.
    fn with_terms(&self, terms: &[String]) -> Vec<TaskId> {
        let contains = |task: &&Task| terms.iter().all(|term| fold(&task.title).contains(&fold(term)));
        self.tasks.iter().filter(contains).map(|task| task.id).collect()
    }

    pub(super) async fn update(&self, task: &Task) {
        commit(&self.store, async |transaction| transaction.tasks().update(task).await).await.unwrap();
    }
}

pub(super) fn terms(terms: &[&str]) -> TaskFilter {
    TaskFilter { terms: terms.iter().map(|term| (*term).to_owned()).collect(), ..TaskFilter::default() }
}

pub(super) fn labels(labels: &[&str]) -> TaskFilter {
    TaskFilter { labels: labels.iter().map(|label| Label::new_unchecked(*label)).collect(), ..TaskFilter::default() }
}

pub(super) fn titled(title: impl Into<String>, task: Task) -> Task {
    Task { title: TaskTitle::new_unchecked(title), ..task }
}

/// Stores tasks of one project, and counts them.
async fn add_many(store: &SeaStore, tasks: &[Task]) {
    commit(store, async |transaction| {
        transaction.tasks().add(tasks).await.unwrap();
        let (project, added) = (tasks[0].project_id, i64::try_from(tasks.len()).unwrap());
        transaction.projects().adjust_counters(project, task_counts(added, 0), None).await.unwrap();
    })
    .await;
}

fn random_text(random: &mut Random, pieces: usize) -> String {
    (0..pieces).map(|_| random.one_of(&PIECES)).collect()
}

on_both_databases! {
    async fn an_index_finds_the_same_tasks_as_a_plain_search(database: TestDatabase) {
        let mut random = Random::new();
        let crowd = Crowd::new(&database, |_, task| {
            let pieces = 5 + random.below(6);
            titled(random_text(&mut random, pieces), task)
        })
        .await;
        for pieces in [1, 2, 3, 3, 3, 3, 4, 4, 4, 5, 6] {
            let mut searched = vec![random_text(&mut random, pieces)];
            if random.percent(40) {
                searched.push(random_text(&mut random, 2));
            }
            let filter = TaskFilter { terms: searched, ..TaskFilter::default() };
            crowd.finds(&filter, &crowd.with_terms(&filter.terms)).await;
        }
        // Terms that occur.
        for _ in 0..10 {
            let title = crowd.tasks[random.below(TASKS)].title.to_string();
            let characters: Vec<char> = title.chars().collect();
            let length = 3 + random.below(2);
            let begin = random.below(characters.len() - length + 1);
            let filter = terms(&[&String::from_iter(&characters[begin..begin + length])]);
            let expected = crowd.with_terms(&filter.terms);
            crowd.finds(&filter, &expected).await;
        }
    }

    async fn words_are_found_exactly_as_written(database: TestDatabase) {
        let long = "x".repeat(60) + "y" + &"x".repeat(60);
        let texts = [
            "Rare zanzibar", "snake_case 100% C:\\Temp", "snakeXcase 1000 C:/Temp", "say \"NOT\" AND 'OR' * NEAR(a)", "İstanbul Straße",
            "cafe\u{301} 👩\u{200d}👩\u{200d}👧 ok", &long,
        ];
        let crowd = Crowd::new(&database, |number, task| {
            // At the end, beyond the rows that a search reads first.
            let text = number.checked_sub(1_200).and_then(|number| texts.get(number));
            titled(text.copied().unwrap_or("Common words of a task"), task)
        })
        .await;
        for (words, expected) in [
            (vec!["zanzibar"], vec![0]),
            (vec!["ANZIB"], vec![0]),
            (vec!["anz", "re"], vec![0]),
            (vec!["zanzibar", "snake"], vec![]),
            (vec!["e_c"], vec![1]),
            (vec!["100%"], vec![1]),
            (vec![r":\t"], vec![1]),
            (vec!["snake"], vec![1, 2]),
            (vec!["\"not\""], vec![3]),
            (vec!["NOT"], vec![3]),
            (vec!["near(a)"], vec![3]),
            (vec!["AND", "OR"], vec![3]),
            (vec!["'or'"], vec![3]),
            (vec!["***"], vec![]),
            (vec!["istanbul"], vec![4]),
            (vec!["İSTANBUL"], vec![4]),
            (vec!["STRASSE"], vec![4]),
            (vec!["straß"], vec![4]),
            (vec!["café"], vec![5]),
            (vec!["👩\u{200d}👩"], vec![5]),
            (vec!["👧 ok"], vec![5]),
            (vec!["cafe"], vec![]),
            (vec![&long[..100]], vec![6]),
            (vec![&long[10..110]], vec![6]),
            (vec!["absent-word"], vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|number| crowd.tasks[1_200 + number].id).collect();
            crowd.finds(&terms(&words), &expected).await;
        }
        let common = crowd.found(&terms(&["common"]), true).await;
        assert_eq!(common.len(), TASKS - texts.len());
    }

    async fn labels_are_found_exactly_as_written(database: TestDatabase) {
        let rare: [&[&str]; 5] = [&["home", "ho", r#"say "x" \ y"#], &["homework", "Home"], &["😀", "a b"], &["it's", "50%"], &["größe"]];
        let crowd = Crowd::new(&database, |number, task| {
            let mut labels = vec!["everywhere"];
            labels.extend(number.checked_sub(1_200).and_then(|number| rare.get(number)).copied().unwrap_or_default());
            Task { labels: labels.into_iter().map(Label::new_unchecked).collect(), ..task }
        })
        .await;
        for (wanted, expected) in [
            (vec!["home"], vec![0]),
            (vec!["ho"], vec![0]),
            (vec![r#"say "x" \ y"#], vec![0]),
            (vec!["homework"], vec![1]),
            (vec!["Home"], vec![1]),
            (vec!["everywhere", "homework"], vec![1]),
            (vec!["home", "homework"], vec![]),
            (vec!["😀", "a b"], vec![2]),
            (vec!["it's"], vec![3]),
            (vec!["50%"], vec![3]),
            (vec!["5_%"], vec![]),
            (vec!["größe"], vec![4]),
            (vec!["h"], vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|number| crowd.tasks[1_200 + number].id).collect();
            crowd.finds(&labels(&wanted), &expected).await;
        }
        let both = TaskFilter { terms: vec!["task".to_owned()], ..labels(&["it's"]) };
        crowd.finds(&both, &[crowd.tasks[1_203].id]).await;
        assert_eq!(crowd.found(&labels(&["everywhere"]), false).await.len(), TASKS);
    }

    async fn every_sort_and_condition_holds_among_candidates(database: TestDatabase) {
        let crowd = Crowd::new(&database, |number, task| {
            let task = titled(if number % 50 == 49 { "zanzibar" } else { "common" }, task);
            let time = at(i64::try_from(number * 7919 % 1_301).unwrap());
            Task { created_at: time, updated_at: time, due_at: (number % 3 > 0).then_some(time), ..task }
        })
        .await;
        for field in [TaskSort::CreatedAt, TaskSort::DueAt, TaskSort::Title, TaskSort::Position] {
            for direction in [Direction::Asc, Direction::Desc] {
                let filter = TaskFilter { due_after: Some(at(100)), ..terms(&["zanzi"]) };
                let mut expected: Vec<&Task> = crowd.tasks.iter()
                    .filter(|task| task.title.starts_with('z') && task.due_at.is_some_and(|due| due > at(100))).collect();
                expected.sort_by_key(|task| {
                    let time = match field {
                        TaskSort::CreatedAt => task.created_at.0,
                        TaskSort::DueAt => task.due_at.unwrap().0,
                        _ => 0,
                    };
                    (time, if field == TaskSort::Position { task.position.to_string() } else { String::new() }, task.id.0)
                });
                if direction == Direction::Desc {
                    expected.reverse();
                }
                let (mut walked, mut after) = (Vec::new(), None);
                loop {
                    let request = CursorRequest { sort: Sort { field, direction }, after, limit: 7 };
                    let lists = crowd.store.read().task_lists();
                    let listed = lists.list_in_project_by_cursor(crowd.home.id, crowd.reader.id, &filter, &request);
                    let listed = listed.await.unwrap().unwrap().page;
                    let visible = lists.list_visible_by_cursor(crowd.reader.id, &filter, &request).await.unwrap().page;
                    assert_eq!((&listed.items, &listed.next), (&visible.items, &visible.next));
                    walked.extend(listed.items);
                    let Some(next) = listed.next else { break };
                    after = Some(next);
                }
                assert!(walked.iter().map(|task| task.id).eq(expected.iter().map(|task| task.id)), "{field:?} {direction:?}");
                let page = Paging { limit: 5, page: None, offset: Some(10) };
                let numbered = crowd.store.read().task_lists()
                    .list_in_project(crowd.home.id, crowd.reader.id, &filter, Sort { field, direction }, page).await;
                let numbered = numbered.unwrap().unwrap().page;
                assert_eq!((&*numbered.items, numbered.total), (&walked[10..15], Total::exact(walked.len() as u64)));
            }
        }
    }
}
