//! The table of metrics, the alert rules and the dashboard name the metrics that exist.

use std::collections::BTreeSet;

use pocket_tasks::telemetry::metric_names;
use regex::Regex;
use serde_json::Value;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const ALERTS: &str = include_str!("../../../docs/deploy/alerts.yml");
const DASHBOARD: &str = include_str!("../../../docs/deploy/grafana-dashboard.json");

/// Metrics that a text refers to, without the suffixes of histograms.
fn named(text: &str) -> BTreeSet<String> {
    let metric = Regex::new(r"\b(?:pocket_tasks|db_client|http_server|process)_\w+").unwrap();
    // Labels of OpenTelemetry look like metrics.
    let is_label = |name: &str| name.starts_with("db_client_connection_pool_") || name == "db_client_connection_state";
    let names = metric.find_iter(text).map(|found| found.as_str());
    let series = |name: &str| {
        let stem = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let known = metric_names();
        if known.iter().any(|known| known == name) { name.to_owned() } else { stem.unwrap_or(name).to_owned() }
    };
    names.filter(|name| !is_label(name)).map(series).collect()
}

#[test]
fn the_table_of_metrics_is_complete() {
    let (_, section) = OPERATIONS.split_once("\n## Metrics\n").unwrap();
    let (_, table) = section.split_once("\n| `").unwrap();
    let table = format!("| `{}", table.split("\n\n").next().unwrap());
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows: Vec<_> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(rows, metric_names(), "the table in docs/operations.md and the code differ");
}

#[test]
fn alert_rules_and_dashboard_refer_to_existing_metrics() {
    let known: BTreeSet<_> = metric_names().into_iter().collect();
    for (file, text) in [("alerts.yml", ALERTS), ("grafana-dashboard.json", DASHBOARD)] {
        let unknown: Vec<_> = named(text).difference(&known).cloned().collect();
        assert!(named(text).len() > 8 && unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn the_dashboard_needs_only_its_data_source() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|variable| variable["name"] == "datasource" && variable["query"] == "prometheus"));
}
