//! Holds tests/lessons.md: what users of other systems suffered, and which test bears each story.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A row of the table: number, what happened to others, our answer, what holds it.
struct Lesson {
    number: usize,
    cells: [String; 3],
}

impl Lesson {
    fn of(line: &str) -> Option<Lesson> {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
        let number = cells.first()?.trim().parse().ok()?;
        let [_, others, answer, held] = cells.try_into().ok()?;
        Some(Lesson { number, cells: [others, answer, held].map(|cell| cell.trim().to_owned()) })
    }

    /// The tests it names, each as a file and a function.
    fn tests(&self) -> Vec<(String, String)> {
        let named = self.cells[2].split('`').skip(1).step_by(2);
        named
            .map(|test| {
                let (file, function) = test.split_once("::").unwrap_or((test, ""));
                (file.to_owned(), function.to_owned())
            })
            .collect()
    }
}

fn lessons() -> Vec<Lesson> {
    let table = fs::read_to_string(root().join("tests/lessons.md")).unwrap();
    table.lines().filter_map(Lesson::of).collect()
}

/// Whether the file has a test of that name, and one that is run.
fn is_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opens = |line: &&str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|line| line.split('(').next()) == Some(function)
    };
    let Some(at) = lines.iter().position(opens) else { return false };
    let before = lines[..at].iter().rev();
    let attributes: Vec<_> =
        before.take_while(|l| l.starts_with("#[") || l.starts_with("//")).collect();
    let is = |start: &str| attributes.iter().any(|line| line.starts_with(start));
    (is("#[test]") || is("#[tokio::test")) && !is("#[ignore")
}

#[test]
fn every_request_stands_in_the_table_once_and_is_answered() {
    let lessons = lessons();
    let numbers: Vec<usize> = lessons.iter().map(|lesson| lesson.number).collect();
    assert_eq!(numbers, (1..=lessons.len()).collect::<Vec<_>>());
    for lesson in &lessons {
        let is_empty = lesson.cells.iter().any(String::is_empty);
        assert!(!is_empty, "request {} has an empty cell", lesson.number);
    }
}

/// A request that no test can bear says so: `no test: …`.
#[test]
fn every_answer_is_held_by_tests_that_are_there() {
    let mut wrong = Vec::new();
    for lesson in lessons() {
        let (number, tests) = (lesson.number, lesson.tests());
        let excuse = lesson.cells[2].strip_prefix("no test: ");
        if tests.is_empty() && excuse.is_none_or(str::is_empty) {
            wrong.push(format!("{number}: nothing holds it"));
        }
        for (file, function) in tests {
            let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
            if !is_test(&text, &function) {
                wrong.push(format!("{number}: {file} has no test {function}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A file of stories that nobody includes is not run, and nobody would notice.
#[test]
fn every_file_of_stories_is_part_of_its_binary() {
    let mut wrong = Vec::new();
    let binaries = [
        ("tests/it", "tests/it/main.rs"),
        ("tests/schema", "tests/schema.rs"),
        ("lab/tests/sandbox", "lab/tests/sandbox.rs"),
    ];
    for (folder, binary) in binaries {
        let included = fs::read_to_string(root().join(binary)).unwrap();
        for path in stories(&root().join(folder)) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let module = format!("mod {name};");
            let is_included = included
                .lines()
                .any(|line| line.trim().strip_prefix("pub ").unwrap_or(line.trim()) == module);
            if name != "main" && !is_included {
                wrong.push(format!("{binary} does not include {}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn stories(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| stories(folder)).collect();
    found.extend(files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")));
    found
}
