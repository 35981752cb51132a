//! Filters of task lists, alone and combined, compared with a model.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, id_set, percent_encoded, shifted};
use crate::api::fixtures::stored_members::member;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Predicate that models a filter.
type Passes<'w> = Box<dyn Fn(&Value) -> bool + 'w>;

struct Fixture {
    owner: Client,
    editor: Client,
    project: String,
    tasks: Vec<Value>,
}

impl Fixture {
    /// Creates tasks that differ in every filtered field.
    async fn new(database: &TestDatabase) -> Self {
        let app = TestApp::new(database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let editor = member(&app, &project, "editor").await;
        let mut paths = Vec::new();
        for (number, (status, priority, due_day, labels)) in [
            ("todo", "none", 0, vec![]),
            ("in_progress", "low", 1, vec!["a"]),
            ("done", "medium", 2, vec!["A"]),
            ("todo", "high", 3, vec!["a", "b"]),
            ("in_progress", "urgent", 0, vec!["b", "a b"]),
            ("done", "none", 2, vec!["50%", "b"]),
            ("todo", "low", 3, vec!["50", "x_y"]),
            ("in_progress", "medium", 1, vec!["xzy", "ab"]),
            ("done", "high", 0, vec!["ä", "a"]),
            ("todo", "urgent", 2, vec!["Ä", "\\"]),
        ]
        .into_iter()
        .enumerate()
        {
            app.clock.advance(Duration::from_secs(1));
            let assignee = [None, Some(owner.user_id()), Some(editor.user_id())][number % 3];
            let due_at = (due_day > 0).then(|| format!("2026-01-{due_day:02}T12:00:00.000Z"));
            let task = owner.task(&project, json!({
                "title": format!("Task {number}"), "status": status, "priority": priority, "labels": labels,
                "assignee_id": assignee, "due_at": due_at, "description": if number % 2 == 0 { "even" } else { "odd" },
            }));
            paths.push(format!("/v1/tasks/{}", task.await.id()));
        }
        for index in [2, 6] {
            app.clock.advance(Duration::from_secs(1));
            owner.patch(&paths[index], json!({"description": "even, changed"})).await.ok();
        }
        let trashed = owner.task(&project, json!({"title": "Task", "status": "done", "labels": ["a"]})).await.id();
        owner.delete(format!("/v1/tasks/{trashed}")).await.no_content();
        let mut tasks = Vec::new();
        for path in paths {
            tasks.push(owner.get(path).await.ok());
        }
        Self { owner, editor, project, tasks }
    }

    /// Every filter with its predicate.
    fn filters(&self) -> Vec<(String, Passes<'_>)> {
        let mut filters: Vec<(String, Passes<'_>)> = Vec::new();
        let mut add = |query: String, passes: Passes<'static>| filters.push((query, passes));
        for (field, values) in [
            ("status", "todo"),
            ("status", "done,todo"),
            ("status", "in_progress,todo,done"),
            ("status", "done,done"),
            ("priority", "none"),
            ("priority", "urgent,low"),
            ("priority", "low,medium,high"),
        ] {
            let passes = move |task: &Value| values.split(',').any(|value| task[field] == value);
            add(format!("{field}={values}"), Box::new(passes));
        }
        for labels in [
            "a", "A", "b", "a,b", "b,a", "b,a,a", "50%", "50", "x_y", "xzy", "ab", "a b", " a ", "ä", "Ä", "\\", "none",
        ] {
            let passes = move |task: &Value| {
                let own = task["labels"].as_array().unwrap();
                labels.split(',').all(|label| own.iter().any(|own| own == label.trim()))
            };
            add(format!("label={}", percent_encoded(labels)), Box::new(passes));
        }
        for (name, id) in [("me", self.owner.user_id()), (self.editor.user_id(), self.editor.user_id())] {
            let id = id.to_owned();
            add(format!("assignee_id={name}"), Box::new(move |task| task["assignee_id"] == id.as_str()));
        }
        add("assignee_id=none".to_owned(), Box::new(|task| task["assignee_id"].is_null()));
        for time in ["2026-01-01T12:00:00.000Z", "2026-01-02T12:00:00.000Z", "2026-01-02T12:00:00.001Z"] {
            add(
                format!("due_before={time}"),
                Box::new(move |task| task["due_at"].as_str().is_some_and(|due| due < time)),
            );
            add(
                format!("due_after={time}"),
                Box::new(move |task| task["due_at"].as_str().is_some_and(|due| due > time)),
            );
        }
        for field in ["created_at", "updated_at"] {
            for milliseconds in [-1, 0] {
                let time = shifted(&self.tasks[6][field], milliseconds);
                let query = format!("{}={time}", field.replace("_at", "_after"));
                add(query, Box::new(move |task| task[field].as_str().unwrap() > time.as_str()));
            }
        }
        for words in ["EVEN", "odd task", "task 3", "changed even task", "nothing"] {
            let passes = move |task: &Value| {
                let text = format!("{} {}", task["title"], task["description"]).to_lowercase();
                words.to_lowercase().split(' ').all(|word| text.contains(word))
            };
            add(format!("q={}", percent_encoded(words)), Box::new(passes));
        }
        filters
    }

    async fn check(&self, query: &str, passes: impl Fn(&Value) -> bool) {
        let expected: Vec<&Value> = self.tasks.iter().filter(|task| passes(task)).map(|task| &task["id"]).collect();
        let project = &self.project;
        for list in [
            "/v1/tasks?".to_owned(),
            format!("/v1/projects/{project}/tasks?"),
            format!("/v1/tasks?project_id={project}&"),
        ] {
            let list = self.owner.get(format!("{list}{query}")).await.ok();
            assert_eq!(id_set(&list).iter().collect::<Vec<_>>(), expected, "{query}");
            assert_eq!(list["meta"]["total"], expected.len(), "{query}");
        }
    }
}

on_both_databases! {
    async fn each_filter_alone_matches_its_model(database: TestDatabase) {
        let fixture = Fixture::new(&database).await;
        let mut sizes = Vec::new();
        for (query, passes) in fixture.filters() {
            fixture.check(&query, &passes).await;
            sizes.push(fixture.tasks.iter().filter(|task| passes(task)).count());
        }
        // A filter that matches all tasks or none would prove nothing.
        let telling = sizes.iter().filter(|size| (1..fixture.tasks.len()).contains(*size)).count();
        assert!(telling > 30, "{sizes:?}");
        fixture.check("deleted=false", |_| true).await;
    }

    async fn combined_filters_must_all_match(database: TestDatabase) {
        let fixture = Fixture::new(&database).await;
        let filters = fixture.filters();
        for (index, (query, passes)) in filters.iter().enumerate() {
            // Each filter combined with two others.
            for step in [7, 17] {
                let (other_query, other_passes) = &filters[(index + step) % filters.len()];
                if query.split('=').next() == other_query.split('=').next() {
                    continue;
                }
                let both = format!("{query}&{other_query}");
                fixture.check(&both, |task| passes(task) && other_passes(task)).await;
            }
        }
        let all = "status=todo,done&priority=none,high,low&due_after=2026-01-01T00:00:00Z&q=task&label=b";
        fixture.check(all, |task| ["Task 3", "Task 5"].iter().any(|title| task["title"] == *title)).await;
    }

    async fn me_stands_for_the_caller(database: TestDatabase) {
        let fixture = Fixture::new(&database).await;
        let list = fixture.editor.get("/v1/tasks?assignee_id=me").await.ok();
        let expected: Vec<&Value> = [2, 5, 8].iter().map(|index: &usize| &fixture.tasks[*index]["id"]).collect();
        assert_eq!(id_set(&list).iter().collect::<Vec<_>>(), expected);
        let upper = fixture.editor.user_id().to_uppercase();
        assert_eq!(fixture.owner.get(format!("/v1/tasks?assignee_id={upper}")).await.ok()["meta"]["total"], 3);
    }

    async fn a_user_without_projects_gets_empty_lists(app: TestApp) {
        let user = app.user().await;
        for query in ["", "?assignee_id=me", "?assignee_id=none", "?deleted=true&assignee_id=me"] {
            let list = user.get(format!("/v1/tasks{query}")).await.ok();
            assert_eq!((&list["data"], &list["meta"]["total"]), (&json!([]), &json!(0)), "{query}");
        }
    }

    async fn an_assignee_filter_requires_a_member(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, stranger) = (app.user().await, app.user().await);
        let (project, other) = (owner.project().await, owner.project().await);
        let elsewhere = member(&app, &other, "viewer").await;
        let list = format!("/v1/projects/{project}/tasks");
        for id in [stranger.user_id(), UNKNOWN_ID, &project] {
            for list in [&list, "/v1/tasks"] {
                owner.get(format!("{list}?assignee_id={id}")).await.invalid(&["assignee_id:reference"]);
            }
        }
        let query = format!("assignee_id={}", elsewhere.user_id());
        owner.get(format!("{list}?{query}")).await.invalid(&["assignee_id:reference"]);
        owner.get(format!("/v1/tasks?project_id={project}&{query}")).await.invalid(&["assignee_id:reference"]);
        assert_eq!(owner.get(format!("/v1/tasks?{query}")).await.ok()["meta"]["total"], 0);
        // A stranger learns nothing about the members.
        stranger.get(format!("{list}?assignee_id={}", owner.user_id())).await.fails(403, "FORBIDDEN");
        stranger.get(format!("{list}?assignee_id={UNKNOWN_ID}")).await.fails(403, "FORBIDDEN");
    }

    async fn a_search_matches_all_words_anywhere_in_title_or_description(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let texts = [
            ("Äpfel kaufen", Some("Straße")), ("apfel", None), ("ΟΔΟΣ", Some("και οδοί")), ("100% sure", None),
            ("snake_case", Some("C:\\temp")), ("snakeXcase 100", None), ("Ends here", Some("there it starts")),
        ];
        for (title, description) in texts {
            owner.task(&project, json!({"title": title, "description": description})).await;
        }
        for (words, expected) in [
            ("äPFEL", vec![0]),
            ("apfel", vec![1]),
            ("PFEL", vec![0, 1]),
            ("STRAßE kauf", vec![0]),
            ("  kauf   pfel  ", vec![0]),
            ("kauf apfel", vec![]),
            ("οδος", vec![2]),
            ("οδοσ", vec![2]),
            ("Οδός", vec![]),
            ("ΟΔΟΊ", vec![2]),
            ("%", vec![3]),
            ("0%", vec![3]),
            ("1%e", vec![]),
            ("_", vec![4]),
            ("e_c", vec![4]),
            ("\\", vec![4]),
            ("c:\\t", vec![4]),
            ("\\%", vec![]),
            ("\\_", vec![]),
            ("100", vec![3, 5]),
            // A word does not match across title and description.
            ("herethere", vec![]),
            ("here there", vec![6]),
            ("*", vec![]),
            ("\"", vec![]),
            ("'", vec![]),
        ] {
            let list = owner.get(format!("/v1/tasks?dir=asc&q={}", percent_encoded(words))).await.ok();
            let expected: Vec<&str> = expected.into_iter().map(|index: usize| texts[index].0).collect();
            assert_eq!(list.column("title"), expected, "{words}");
            assert_eq!(list["meta"]["total"], expected.len(), "{words}");
        }
        for blank in ["", "+", "%20%20"] {
            assert_eq!(owner.get(format!("/v1/tasks?q={blank}")).await.ok()["meta"]["total"], texts.len(), "{blank}");
        }
    }

    async fn a_search_finds_the_current_text(app: TestApp) {
        let owner = app.user().await;
        let task = owner.task(&owner.project().await, json!({"title": "Tea", "labels": ["old"]})).await;
        let path = format!("/v1/tasks/{}", task.id());
        owner.patch(&path, json!({"title": "Coffee", "description": "Black", "labels": ["new"]})).await.ok();
        owner.patch(&path, json!({"description": "White"})).await.ok();
        for (query, found) in
            [("q=tea", 0), ("q=coffee", 1), ("q=black", 0), ("q=white", 1), ("label=old", 0), ("label=new", 1)]
        {
            assert_eq!(owner.get(format!("/v1/tasks?{query}")).await.ok()["meta"]["total"], found, "{query}");
        }
    }
}
