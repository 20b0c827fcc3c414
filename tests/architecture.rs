//! Holds the layout to its rules: who may use whom, no circles, how much a folder holds, what a stage must say.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which module of the library may use which others of ours. What is not listed may use nothing.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("clock", &[]),
    ("error_chain", &[]),
    ("domain", &["error_chain"]),
    ("config", &["domain", "error_chain"]),
    ("postgres", &["clock", "config", "domain", "error_chain"]),
    ("provider", &["clock", "config", "domain", "error_chain"]),
    ("pipeline", &["clock", "config", "domain", "error_chain", "http", "postgres", "provider"]),
    ("http", &["config", "error_chain", "pipeline", "postgres", "telemetry"]),
    ("suggest", &["config", "domain", "error_chain", "postgres"]),
    (
        "operations",
        &["clock", "config", "domain", "error_chain", "pipeline", "postgres", "provider"],
    ),
    ("telemetry", &["config"]),
    (
        "app",
        &["clock", "config", "domain", "http", "pipeline", "postgres", "provider", "telemetry"],
    ),
    (
        "cli",
        &[
            "app",
            "clock",
            "config",
            "domain",
            "error_chain",
            "operations",
            "postgres",
            "provider",
            "suggest",
            "telemetry",
        ],
    ),
];

/// The stages: each has its guarantee at the head of its file, and works by the loop of `Stage` or has `step()` and
/// `run()` of its own.
const STAGES: [&str; 12] = [
    "claim/claim",
    "compose/compose",
    "deliver/deliver",
    "deliver/channel_lease",
    "receive/webhook",
    "receive/poll",
    "receive/webhook_registration",
    "settle/settle",
    "reconcile/reconcile",
    "follow_up/fallback",
    "follow_up/sweep",
    "follow_up/retention",
];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;
const LONGEST_QUERY: usize = 60;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Our sources, by their path below `src`.
fn sources() -> BTreeMap<String, String> {
    let src = root().join("src");
    let name = |path: &Path| path.strip_prefix(&src).unwrap().display().to_string();
    files(&src, "rs").iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// What stands before the tests of a file.
fn production(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

#[test]
fn modules_use_only_what_they_may() {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let allowed = may_use.get(module).unwrap_or_else(|| panic!("{module} is not in the table"));
        for used in production(&text).split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used != module && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{path} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_stage_opens_with_its_guarantee_and_has_step_and_run() {
    for stage in STAGES {
        let text = fs::read_to_string(root().join(format!("src/pipeline/{stage}.rs"))).unwrap();
        let name = text.strip_prefix("//! ").and_then(|head| head.split_once(": "));
        assert!(name.is_some(), "{stage} does not say what it is");
        assert!(
            text.contains("//! If the process dies"),
            "{stage} does not say what a crash leaves"
        );
        assert!(text.contains("Not promised: "), "{stage} does not say what it does not promise");
        let has_own_loop =
            ["step", "run"].iter().all(|f| text.contains(&format!("pub async fn {f}(")));
        assert!(
            text.contains("impl Stage for ") || has_own_loop,
            "{stage} has no step() and run()"
        );
    }
}

#[test]
fn there_is_no_mod_rs_and_no_file_is_too_long() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if path.ends_with("mod.rs") {
            wrong.push(format!("{path}: declare the folder in lib.rs instead"));
        }
        if lines > LONGEST_FILE {
            wrong.push(format!("{path} has {lines} lines"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lengths of functions, by the layout that rustfmt gives them: from the line that begins with `fn`
/// to the closing brace at the same indentation.
fn functions(path: &str, text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = production(text).lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let head = line.trim_start();
        let head = ["pub(crate) ", "pub "].iter().fold(head, |h, p| h.strip_prefix(p).unwrap_or(h));
        let head = ["async ", "const "].iter().fold(head, |h, p| h.strip_prefix(p).unwrap_or(h));
        let Some(name) = head.strip_prefix("fn ") else { continue };
        let close = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|l| *l == close) else { continue };
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        found.push((format!("{path}: {name}"), length + 1));
    }
    found
}

#[test]
fn functions_fit_in_the_head() {
    let mut all: Vec<(String, usize)> =
        sources().iter().flat_map(|(path, text)| functions(path, text)).collect();
    all.sort_by_key(|(_, length)| *length);
    let too_long: Vec<_> = all.iter().filter(|(_, length)| *length > LONGEST_FUNCTION).collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
    let median = all[all.len() / 2].1;
    let nine_in_ten = all[all.len() * 9 / 10].1;
    assert!(median <= 12, "the median function has {median} lines, its signature counted");
    assert!(nine_in_ten <= 40, "one function in ten has more than {nine_in_ten} lines");
}

#[test]
fn every_query_says_its_name_and_fits_on_a_page() {
    for path in files(&root().join("sql/queries"), "sql") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(text.starts_with(&format!("-- {name}: ")), "{name} does not begin with its name");
        let lines = text.lines().count();
        assert!(lines <= LONGEST_QUERY, "{name} has {lines} lines");
    }
}
