//! Alarms and dashboards: Prometheus takes the rules and they fire when they are to, Grafana's own SDK knows all that the
//! dashboards say, and what they ask for is there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::metrics::metric;
use super::page::{page, root};
use super::queries::{analyst_python, history};

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).current_dir(root()).output().expect(
        "this test needs promtool, of Debian's package prometheus: run scripts/test, which installs it",
    );
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

/// The names of the alarms.
fn alarms() -> Vec<String> {
    let rules = page("monitoring/alerts.yml").text;
    let names = rules.split("- alert: ").skip(1).map(|rest| rest.lines().next().unwrap());
    names.map(str::to_owned).collect()
}

#[test]
fn alarms_fire_when_they_are_to_and_at_no_other_time() {
    promtool(&["check", "rules", "monitoring/alerts.yml"]);
    promtool(&["test", "rules", "monitoring/alerts.test.yml"]);
    let tests = page("monitoring/alerts.test.yml").text;
    for name in alarms() {
        assert!(tests.contains(&format!("alertname: {name}\n")), "no test lets {name} fire");
    }
}

/// Each alarm leads to a part of the runbook, and each part of the runbook is of an alarm.
#[test]
fn every_alarm_has_its_part_of_the_runbook() {
    let (rules, runbook) = (page("monitoring/alerts.yml").text, page("docs/RUNBOOK.md").text);
    let parts: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(parts, alarms());
    for name in alarms() {
        let link = format!("/RUNBOOK.md#{}\"", name.to_lowercase());
        assert!(rules.contains(&link), "{name} does not lead to the runbook");
    }
}

fn dashboards() -> Vec<(PathBuf, Value)> {
    let files = std::fs::read_dir(root().join("monitoring/grafana")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    files.into_iter().map(|file| (file.clone(), read(&file))).collect()
}

/// What the panels of all dashboards ask, by this field: the title of the panel, and the query.
fn asked(field: &str) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for (_, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            let targets = panel["targets"].as_array().into_iter().flatten();
            let queries = targets.filter_map(|target| target[field].as_str());
            asked.extend(queries.map(|query| (title.clone(), query.to_owned())));
        }
    }
    assert!(asked.len() > 15, "the question itself must find something");
    asked
}

#[test]
fn dashboards_are_what_grafana_knows() {
    let files = dashboards().into_iter().map(|(file, _)| file);
    let script = root().join("tests/docs/analyst/dashboards.py");
    let output = Command::new(analyst_python()).arg(script).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.lines().count() == 2, "{said}");
}

/// Each metric of a panel is in the tables of docs/METRICS.md, with the labels that the panel takes.
#[test]
fn dashboards_speak_of_metrics_that_there_are() {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut seen = BTreeSet::new();
    for (title, query) in asked("expr") {
        let mut labels = BTreeSet::from(["le", "instance"]);
        for (start, _) in query.match_indices("rowbell_") {
            let rest = &query[start..];
            let known = metric(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]);
            seen.insert(known.name);
            labels.extend(known.labels);
            if let Some((label, _)) = rest.split_once('{').and_then(|(name, rest)| {
                name.chars().all(is_name).then(|| rest.split_once(['=', '!'])).flatten()
            }) {
                assert!(known.labels.contains(&label), "{title}: {} has no {label}", known.name);
            }
        }
        for by in query.split("by (").skip(1) {
            for label in by.split(')').next().unwrap().split(", ") {
                assert!(labels.contains(label), "{title}: there is no label {label} in {query}");
            }
        }
        let parsed = promtool_parses(&query);
        assert!(parsed.is_ok(), "{title}: {parsed:?}");
    }
    assert!(seen.len() > 25, "the question itself must find something: {}", seen.len());
}

/// As Prometheus gets it from Grafana.
fn promtool_parses(query: &str) -> Result<(), String> {
    let plain = query.replace("$__rate_interval", "1m").replace("$__interval", "1m");
    let rule = serde_json::json!({"groups": [{"name": "panels", "rules": [{"record": "panel", "expr": plain}]}]});
    let folder = tempfolder();
    let file = folder.path().join("panel.yml");
    std::fs::write(&file, rule.to_string()).unwrap();
    let checked = Command::new("promtool").args(["check", "rules"]).arg(&file).output().unwrap();
    match checked.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&checked.stderr).into_owned()),
    }
}

fn tempfolder() -> rowbell_lab::demo::scratch::Scratch {
    rowbell_lab::demo::scratch::Scratch::new("panels").unwrap()
}

/// Each query of the figures is answered to somebody who sees no personal data, and most of them with rows.
#[tokio::test]
async fn an_analyst_may_ask_what_the_figures_ask() {
    let client = history().await;
    client.batch_execute("set role rowbell_analyst").await.unwrap();
    let (mut filled, queries) = (0, asked("rawSql"));
    for (title, query) in &queries {
        let mut plain = query.clone();
        while let Some((before, rest)) = plain.split_once("$__timeFilter(") {
            let (column, after) = rest.split_once(')').unwrap();
            plain = format!(
                "{before}{column} between '2026-06-01T00:00:00Z' and '2026-07-01T00:00:00Z'{after}"
            );
        }
        let rows = client.query(&plain, &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{title}: {:?}", error.as_db_error()));
        filled += usize::from(!rows.is_empty());
    }
    assert!(filled + 3 >= queries.len(), "{filled} of {} find something", queries.len());
}
