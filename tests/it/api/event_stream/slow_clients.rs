//! Clients that take their time.

use serde_json::{Value, json};

use super::messages::{follow, go_on, rename, told_until, types};
use crate::api::fixtures::members::{newcomer, remove};
use crate::on_both_databases;
use crate::support::{Client, TestApp};

/// Creates tasks, a hundred at a time, whose titles are numbers, with long descriptions.
async fn create(client: &Client, project: &str, count: usize, description: &str) {
    for first in (0..count).step_by(100) {
        let operations: Vec<Value> = (first..count.min(first + 100))
            .map(|number| json!({"op": "create", "title": number.to_string(), "description": description}))
            .collect();
        client.post(format!("/v1/projects/{project}/tasks/batch"), json!({"operations": operations})).await.ok();
    }
}

fn titles(events: &[Value]) -> Vec<usize> {
    events.iter().map(|event| event["data"]["title"].as_str().unwrap().parse().unwrap()).collect()
}

on_both_databases! {
    async fn who_reads_late_gets_everything_in_order(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (mut late, mut prompt) = (follow(&owner, "").await, follow(&owner, "").await);
        let reading = tokio::spawn(async move { told_until(&mut prompt, "Done").await });
        // Far more than are kept for all who follow.
        create(&owner, &project, 3_000, &"x".repeat(10_000)).await;
        rename(&owner, &project, "Done").await;
        let numbers: Vec<usize> = (0..3_000).collect();
        assert!(titles(&told_until(&mut late, "Done").await) == numbers, "who reads late");
        assert!(titles(&reading.await.unwrap()) == numbers, "who reads at once");
    }

    async fn events_that_are_too_long_to_keep_stand_in_their_order_too(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let (project, foreign) = (owner.project().await, stranger.project().await);
        let (mut late, mut prompt) = (follow(&owner, "").await, follow(&owner, "").await);
        let (mut other, mut filtered) = (follow(&stranger, "").await, follow(&owner, "type=project.updated").await);
        let reading = tokio::spawn(async move { told_until(&mut prompt, "Done").await });
        let long = "é".repeat(10_000);
        let mut expected = Vec::new();
        for count in [1, 5, 3] {
            create(&owner, &project, count, &long).await;
            create(&stranger, &foreign, count, &long).await;
            create(&owner, &project, count, "short").await;
            expected.extend((0..count).chain(0..count));
        }
        rename(&owner, &project, "Done").await;
        rename(&stranger, &foreign, "Done").await;
        assert_eq!(titles(&reading.await.unwrap()), expected);
        assert_eq!(titles(&told_until(&mut late, "Done").await), expected);
        assert_eq!(told_until(&mut other, "Done").await.len(), 9);
        assert_eq!(types(&told_until(&mut filtered, "Done").await), [""; 0]);
    }

    async fn what_waits_for_who_is_removed_is_not_told_afterwards(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        // Fewer than are kept for all, more than that, and what was read for one alone.
        for (count, is_behind) in [(20, false), (600, false), (20, true)] {
            let member = newcomer(&app, &owner, &project, "viewer").await;
            let own = member.project().await;
            let begun = follow(&member, "").await.last_id;
            let mut slow = if is_behind { None } else { Some(follow(&member, "").await) };
            create(&owner, &project, count, "secret").await;
            if is_behind {
                let mut stream = go_on(&member, "", &begun).await;
                assert_eq!(stream.event().await["data"]["title"], "0");
                slow = Some(stream);
            }
            let mut witness = follow(&member, "").await;
            remove(&owner, &project, &member).await.no_content();
            rename(&member, &own, "Done").await;
            // Whoever was told of this by the ring comes after the removal.
            told_until(&mut witness, "Done").await;
            let told = told_until(slow.as_mut().unwrap(), "Done").await;
            assert_eq!(types(&told), [""; 0], "{count}, {is_behind}");
        }
    }
}
