//! The page about metrics says what the code says.

use rowbell::telemetry::metrics::{Metric, OF_THE_DATABASE, OF_THE_PROCESS};

use super::page::page;

fn all() -> impl Iterator<Item = &'static Metric> {
    OF_THE_PROCESS.iter().chain(&OF_THE_DATABASE)
}

/// The table that tells of these metrics.
fn table(title: &str, metrics: &[Metric]) -> String {
    let mut table = format!("| {title} | type, labels | unit | |\n|---|---|---|---|\n");
    for metric in metrics {
        let labels = metric.labels.join("`, `");
        let labels = if labels.is_empty() { labels } else { format!(" by `{labels}`") };
        let (kind, unit) = (metric.kind.into_str(), metric.unit_in_words());
        table += &format!("| `{}` | {kind}{labels} | {unit} | {} |\n", metric.name, metric.meaning);
    }
    table
}

#[test]
fn the_page_tells_of_every_metric() {
    let page = page("docs/METRICS.md").text;
    let process = table("counted by the daemon", &OF_THE_PROCESS);
    assert!(page.contains(&process), "write into docs/METRICS.md:\n{process}");
    let database = table("asked of the database", &OF_THE_DATABASE);
    assert!(page.contains(&database), "write into docs/METRICS.md:\n{database}");
}

#[test]
fn alarms_speak_of_metrics_that_there_are() {
    let alarms = page("monitoring/alerts.yml").text;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut seen = 0;
    for (start, _) in alarms.match_indices("rowbell_") {
        let rest = &alarms[start..];
        let name = &rest[..rest.find(|c| !is_name(c)).unwrap()];
        let known = metric(name);
        if let Some(labels) = rest[name.len()..].strip_prefix('{') {
            let (label, _) = labels.split_once(['=', '!']).unwrap();
            assert!(known.labels.contains(&label), "{name} has no label {label}");
        }
        seen += 1;
    }
    assert!(seen > 10, "the question itself must find something");
    let grouped =
        alarms.split("by (").skip(1).flat_map(|by| by.split(')').next().unwrap().split(", "));
    for label in grouped {
        let is_known = label == "le" || all().any(|metric| metric.labels.contains(&label));
        assert!(is_known, "there is no label {label}");
    }
}

/// The metric of a name as a query has it.
pub fn metric(name: &str) -> &'static Metric {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let found = all().find(|metric| metric.name == name || Some(metric.name) == base);
    found.unwrap_or_else(|| panic!("{name} is in no table"))
}
