//! Slow readers of event streams.

use serde_json::{Value, json};

use super::messages::{events_until, follow, rename, resume, types};
use crate::api::fixtures::members::{new_member, remove};
use crate::on_both_databases;
use crate::support::{Client, TestApp};

/// Creates tasks in batches of a hundred, with numbers as titles and the given description.
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
    async fn a_late_reader_receives_everything_in_order(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (mut late, mut prompt) = (follow(&owner, "").await, follow(&owner, "").await);
        let reading = tokio::spawn(async move { events_until(&mut prompt, "Done").await });
        // Far more than the shared buffer holds.
        create(&owner, &project, 1_000, &"x".repeat(10_000)).await;
        rename(&owner, &project, "Done").await;
        let numbers: Vec<usize> = (0..1_000).collect();
        assert!(titles(&events_until(&mut late, "Done").await) == numbers, "late reader");
        assert!(titles(&reading.await.unwrap()) == numbers, "prompt reader");
    }

    async fn events_too_long_for_the_buffer_are_delivered_in_order(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let (project, foreign) = (owner.project().await, stranger.project().await);
        let (mut late, mut prompt) = (follow(&owner, "").await, follow(&owner, "").await);
        let (mut other, mut filtered) = (follow(&stranger, "").await, follow(&owner, "type=project.updated").await);
        let reading = tokio::spawn(async move { events_until(&mut prompt, "Done").await });
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
        assert_eq!(titles(&events_until(&mut late, "Done").await), expected);
        assert_eq!(events_until(&mut other, "Done").await.len(), 9);
        assert_eq!(types(&events_until(&mut filtered, "Done").await), [""; 0]);
    }

    async fn pending_events_are_withheld_after_removal(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        // Fewer than the shared buffer holds, more than that, and events read for this stream alone.
        for (count, is_behind) in [(20, false), (600, false), (20, true)] {
            let member = new_member(&app, &owner, &project, "viewer").await;
            let own = member.project().await;
            let begun = follow(&member, "").await.last_id;
            let mut slow = if is_behind { None } else { Some(follow(&member, "").await) };
            create(&owner, &project, count, "secret").await;
            if is_behind {
                let mut stream = resume(&member, "", &begun).await;
                assert_eq!(stream.event().await["data"]["title"], "0");
                slow = Some(stream);
            }
            let mut witness = follow(&member, "").await;
            remove(&owner, &project, &member).await.no_content();
            rename(&member, &own, "Done").await;
            // The witness received this event through the shared buffer, so the removal has been processed.
            events_until(&mut witness, "Done").await;
            let received = events_until(slow.as_mut().unwrap(), "Done").await;
            assert_eq!(types(&received), [""; 0], "{count}, {is_behind}");
        }
    }
}
