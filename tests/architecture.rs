//! Holds the layout to its rules: who may use whom, no circles, one name for one type, how much a folder holds,
//! what a stage must say.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// The layers from the lowest to the highest, and which lower ones each may use.
const LAYERS: [(&str, &[&str]); 18] = [
    ("clock", &[]),
    ("error_chain", &[]),
    ("finding", &[]),
    ("domain", &["finding"]),
    ("config", &["domain", "error_chain", "finding"]),
    ("telemetry", &["config", "domain"]),
    ("postgres", &["config", "domain", "error_chain", "finding"]),
    ("provider", &["clock", "config", "domain", "error_chain"]),
    ("http/server", &[]),
    ("http/sockets", &["http/server"]),
    (
        "pipeline",
        &[
            "clock",
            "config",
            "domain",
            "error_chain",
            "finding",
            "http/server",
            "postgres",
            "provider",
        ],
    ),
    ("http", &["config", "http/server", "http/sockets", "pipeline", "postgres", "telemetry"]),
    ("suggest", &["domain"]),
    (
        "operations",
        &[
            "clock",
            "config",
            "domain",
            "error_chain",
            "finding",
            "pipeline",
            "postgres",
            "provider",
        ],
    ),
    (
        "page",
        &[
            "clock",
            "config",
            "domain",
            "error_chain",
            "finding",
            "http/server",
            "http/sockets",
            "pipeline",
            "postgres",
            "operations",
        ],
    ),
    (
        "app",
        &[
            "clock",
            "config",
            "domain",
            "http",
            "http/sockets",
            "page",
            "pipeline",
            "postgres",
            "provider",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "clock",
            "config",
            "domain",
            "error_chain",
            "finding",
            "operations",
            "postgres",
            "provider",
            "suggest",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
];

/// The same for the rooms of the pipeline.
const ROOMS: [(&str, &[&str]); 9] = [
    ("context", &[]),
    ("gate", &["context"]),
    ("settle", &["context"]),
    ("claim", &["context", "gate", "settle"]),
    ("compose", &["context", "gate", "settle"]),
    ("deliver", &["context", "settle"]),
    ("receive", &["context", "settle"]),
    ("reconcile", &["context", "settle"]),
    ("follow_up", &["context", "settle"]),
];

/// The stages: each has its guarantee at the head of its file, and works by the loop of `Stage` or has `step()` and
/// `run()` of its own.
const STAGES: [&str; 16] = [
    "claim/claim",
    "compose/compose",
    "deliver/deliver",
    "deliver/channel_lease",
    "receive/webhook",
    "receive/poll",
    "receive/webhook_registration",
    "settle/settle",
    "reconcile/reconcile",
    "follow_up/alert",
    "follow_up/day_count",
    "follow_up/fallback",
    "follow_up/sweep",
    "follow_up/outcome_hooks",
    "follow_up/outgoing_webhook",
    "follow_up/retention",
];

const MOST_FILES: usize = 12;
const LONGEST_QUERY: usize = 60;

/// Beyond these a file or a function is worth a look.
const LONG_FILE: usize = 400;
const LONG_FUNCTION: usize = 60;

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

/// The sources of a package by their path below its root, without their tests.
fn sources(package: &str) -> BTreeMap<String, String> {
    let src = root().join(package).join("src");
    let name = |path: &Path| path.strip_prefix(&src).unwrap().display().to_string();
    let text = |path: &Path| production(&fs::read_to_string(path).unwrap()).to_owned();
    files(&src, "rs").iter().map(|path| (name(path), text(path))).collect()
}

/// What stands before the tests of a file.
fn production(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

/// Every path that a file takes from its own package, groups expanded: `crate::a::{b, c::D}` is `a/b` and `a/c/D`.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.trim_start())
        .filter(|line| !line.starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| expand("", &mut rest.chars().peekable()))
        .collect()
}

fn expand(before: &str, rest: &mut Peekable<Chars>) -> Vec<String> {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    if rest.next_if_eq(&'{').is_some() {
        let mut paths = Vec::new();
        loop {
            paths.extend(expand(before, rest));
            // `as` and the name behind it, up to the next path.
            let end = rest.find(|c| matches!(c, ',' | '}'));
            while rest.next_if(|c| c.is_whitespace()).is_some() {}
            if end != Some(',') || rest.next_if_eq(&'}').is_some() {
                return paths;
            }
        }
    }
    let mut path = before.to_owned();
    while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
        path.push(c);
    }
    if rest.next_if_eq(&':').is_some() && rest.next_if_eq(&':').is_some() {
        return expand(&(path + "/"), rest);
    }
    vec![path]
}

#[test]
fn groups_are_expanded() {
    let text = "// crate::no\nuse crate::a::{b, c::{D as E, f},\n g::H,\n};\nlet x = crate::i::j(crate::k);";
    assert_eq!(imports(text), ["a/b", "a/c/D", "a/c/f", "a/g/H", "i/j", "k"]);
}

/// The longest name of a table that a path begins with.
fn part_of<'a>(path: &str, table: &[(&'a str, &[&str])]) -> Option<&'a str> {
    let names = table.iter().map(|(name, _)| *name);
    names.filter(|name| is_below(path, name)).max_by_key(|name| name.len())
}

fn is_below(path: &str, name: &str) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| matches!(rest.chars().next(), None | Some('/' | '.')))
}

/// What is used below `folder` against a table.
fn against(table: &[(&str, &[&str])], folder: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, (part, allowed)) in table.iter().enumerate() {
        let is_lower = |name: &&str| table[..at].iter().any(|(lower, _)| lower == name);
        let higher = allowed.iter().filter(|name| !is_lower(name));
        wrong.extend(higher.map(|name| format!("{name} does not stand below {part}")));
    }
    let mut seen = BTreeSet::new();
    for (path, text) in sources("") {
        let Some(inside) = path.strip_prefix(folder).filter(|path| *path != "lib.rs") else {
            continue;
        };
        let Some(part) = part_of(inside, table) else {
            wrong.push(format!("{path} is not in the table"));
            continue;
        };
        seen.insert(part);
        let allowed = table.iter().find(|(name, _)| *name == part).unwrap().1;
        for import in imports(&text) {
            let Some(used) = import.strip_prefix(folder) else { continue };
            let used = part_of(used, table).unwrap_or(used);
            if used != part && !allowed.contains(&used) {
                wrong.push(format!("{path} uses {used}"));
            }
        }
    }
    let gone = table.iter().filter(|(part, _)| !seen.contains(part));
    wrong.extend(gone.map(|(part, _)| format!("{part} is not there any more")));
    wrong
}

#[test]
fn layers_use_only_lower_ones() {
    let wrong = against(&LAYERS, "");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rooms_of_the_pipeline_use_only_what_they_may() {
    let wrong = against(&ROOMS, "pipeline/");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Which files a file uses, by the longest path that is one.
fn file_graph(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources(package);
    let module = |path: &str| path.trim_end_matches(".rs").to_owned();
    let modules: BTreeSet<String> = sources.keys().map(|path| module(path)).collect();
    let file_of = |import: &str| {
        let ends = import.match_indices('/').map(|(at, _)| at).chain([import.len()]);
        ends.map(|end| &import[..end]).rfind(|start| modules.contains(*start)).map(str::to_owned)
    };
    let used = |path: &str, text: &str| {
        let mut used: BTreeSet<String> =
            imports(text).iter().filter_map(|import| file_of(import)).collect();
        used.remove(&module(path));
        used
    };
    sources.iter().map(|(path, text)| (module(path), used(path, text))).collect()
}

/// All that a file uses, over however many others.
fn reach(graph: &BTreeMap<String, BTreeSet<String>>, file: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = graph[file].iter().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file.clone()) {
            next.extend(&graph[file]);
        }
    }
    reached
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut circles = BTreeSet::new();
    for package in ["", "lab"] {
        let graph = file_graph(package);
        let imports: usize = graph.values().map(BTreeSet::len).sum();
        assert!(imports > 50, "the question itself must find something");
        let reached: BTreeMap<&String, BTreeSet<String>> =
            graph.keys().map(|file| (file, reach(&graph, file))).collect();
        for (file, used) in &reached {
            let circle = used.iter().filter(|other| reached[other].contains(*file));
            circles.insert(circle.cloned().collect::<Vec<_>>());
        }
    }
    circles.remove(&Vec::new());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_two_public_types_have_one_name() {
    let mut wrong = Vec::new();
    for package in ["", "lab"] {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, text) in sources(package) {
            for line in text.lines() {
                let line = line.trim_start();
                let Some(item) = ["pub ", "pub(crate) "].iter().find_map(|p| line.strip_prefix(p))
                else {
                    continue;
                };
                let kinds = ["struct ", "enum ", "trait ", "type "];
                let Some(name) = kinds.iter().find_map(|kind| item.strip_prefix(kind)) else {
                    continue;
                };
                let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                places.entry(name.to_owned()).or_default().push(path.clone());
            }
        }
        assert!(places.len() > 30, "the question itself must find something");
        let doubled = places.into_iter().filter(|(_, places)| places.len() > 1);
        wrong.extend(doubled.map(|(name, places)| format!("{name}: {places:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_folder_holds_too_many_files_and_there_is_no_mod_rs() {
    let mut wrong = Vec::new();
    for folder in ["src", "lab/src", "tests/it", "sql/queries"] {
        let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let all = [files(&root().join(folder), "rs"), files(&root().join(folder), "sql")].concat();
        for path in &all {
            *counts.entry(path.parent().unwrap().to_owned()).or_default() += 1;
            if path.ends_with("mod.rs") {
                wrong.push(format!("{}: declare the folder in lib.rs instead", path.display()));
            }
        }
        let full = counts.into_iter().filter(|(_, count)| *count > MOST_FILES);
        wrong.extend(full.map(|(folder, count)| format!("{}: {count} files", folder.display())));
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

/// Lengths of functions, by the layout that rustfmt gives them: from the line that begins with `fn`
/// to the closing brace at the same indentation.
fn functions(path: &str, text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
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
        sources("").iter().flat_map(|(path, text)| functions(path, text)).collect();
    all.sort_by_key(|(_, length)| *length);
    let median = all[all.len() / 2].1;
    let nine_in_ten = all[all.len() * 9 / 10].1;
    assert!(median <= 12, "the median function has {median} lines, its signature counted");
    assert!(nine_in_ten <= 40, "one function in ten has more than {nine_in_ten} lines");
}

/// Refuses nothing: a file is about one subject, and its size follows from that.
#[test]
fn the_largest_are_worth_a_look() {
    let sources = sources("");
    let files = sources.iter().map(|(path, text)| (path.clone(), text.lines().count())).collect();
    let functions = sources.iter().flat_map(|(path, text)| functions(path, text)).collect();
    print_largest("file", LONG_FILE, files);
    print_largest("function", LONG_FUNCTION, functions);
}

fn print_largest(what: &str, long: usize, mut all: Vec<(String, usize)>) {
    all.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    for (name, lines) in &all[..5] {
        let remark = if *lines > long { ", long" } else { "" };
        println!("{what} {name}: {lines} lines{remark}");
    }
}

#[test]
fn every_query_says_its_name_and_fits_on_a_page() {
    for path in files(&root().join("sql/queries"), "sql") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(text.starts_with(&format!("-- {name}: ")), "{name} does not begin with its name");
        // What a parameter is stands in a line of its own: `-- $1 watch: …`.
        let lines = text.lines().filter(|line| !line.starts_with("-- $")).count();
        assert!(lines <= LONGEST_QUERY, "{name} has {lines} lines");
    }
}

/// Whoever has an alarm for an error finds it by its id; see src/domain/notice.rs.
#[test]
fn each_error_in_the_log_is_of_a_kind_that_has_an_id() {
    let mut without = Vec::new();
    for (path, text) in sources("") {
        for call in text.split("tracing::error!(").skip(1) {
            if !call.trim_start().starts_with("target: notice::") {
                let line = call.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                without.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
}
