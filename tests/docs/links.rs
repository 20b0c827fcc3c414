//! What the pages name is there.

use std::fs;
use std::path::Path;

use super::page::{Page, page, pages, root};

/// Folders whose files are named by their path from the root.
const FOLDERS: [&str; 8] =
    ["src/", "sql/", "tests/", "docs/", "lab/", "scripts/", "systemd/", "fuzz/"];

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { root().join(&page.name) } else { page.beside(path) };
            if !target.exists() || !(anchor.is_empty() || has_anchor(&target, anchor)) {
                wrong.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(seen > 30, "the question itself must find something");
    assert_none(&wrong);
}

fn has_anchor(target: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(target).unwrap_or_default();
    let page = Page { name: target.display().to_string(), text };
    page.anchors().iter().any(|known| known == anchor)
}

/// The part of a span that names a file or a folder of ours, and the function in it, if it names one.
fn path_of(span: &str) -> Option<(&str, Option<&str>)> {
    let first = span.split(' ').next()?;
    FOLDERS.iter().any(|folder| first.starts_with(folder)).then_some(())?;
    let (path, function) = match first.split_once("::") {
        Some((path, function)) => (path, Some(function)),
        None => (first, None),
    };
    // `sql/queries/<stage>/` and `watch.d/*.toml`: what stands before is there.
    let path = path.split(['<', '*', '{']).next()?;
    Some((path, function))
}

#[test]
fn every_path_between_backticks_is_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for span in page.spans() {
            let Some((path, _)) = path_of(&span) else { continue };
            seen += 1;
            let there = root().join(path);
            // A placeholder in the middle of a name leaves the beginning of one.
            let is_there = there.exists()
                || span.contains(['<', '*']) && there.parent().is_some_and(Path::exists);
            if !is_there {
                wrong.push(format!("{}: {span}", page.name));
            }
        }
    }
    assert!(seen > 100, "the question itself must find something");
    assert_none(&wrong);
}

#[test]
fn every_function_that_is_named_with_its_file_stands_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for span in page.spans() {
            let Some((path, Some(function))) = path_of(&span) else { continue };
            seen += 1;
            let text = fs::read_to_string(root().join(path)).unwrap_or_default();
            if !has_function(&text, function) {
                wrong.push(format!("{}: {span}", page.name));
            }
        }
    }
    assert!(seen > 20, "the question itself must find something");
    assert_none(&wrong);
}

/// Whether a function of that name is declared, and not only one whose name begins so.
fn has_function(text: &str, function: &str) -> bool {
    let head = format!("fn {function}");
    let declared = text.match_indices(&head).map(|(at, found)| at + found.len());
    let mut after = declared.map(|end| text[end..].chars().next());
    after.any(|next| matches!(next, Some('(' | '<')))
}

/// A newcomer's questions have each a file and a function for an answer.
#[test]
fn ten_questions_are_answered_by_file_and_function() {
    let answers = page("docs/ARCHITECTURE.md").section("## Ten questions of a newcomer");
    let questions: Vec<&str> = answers.split("\n**").skip(1).collect();
    assert_eq!(questions.len(), 10);
    for question in questions {
        assert!(question.contains(".rs"), "{question}");
    }
}

#[test]
fn readme_is_short_and_knows_every_page() {
    let readme = page("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 130, "README.md has {lines} lines");
    for page in pages() {
        let is_known = page.name == readme.name || readme.links().contains(&page.name);
        assert!(is_known, "README.md does not lead to {}", page.name);
    }
}
